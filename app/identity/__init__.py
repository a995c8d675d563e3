"""Who is who: the gallery of people, matching of tracks to it, and whom to hide."""
