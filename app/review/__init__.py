"""The review: a page on this machine for the person who answers for a publication."""
