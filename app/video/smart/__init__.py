"""Smart rendering: copy the groups of pictures in which nothing is hidden, encode the others."""
