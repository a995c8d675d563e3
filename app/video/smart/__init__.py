"""Smart rendering: untouched groups of pictures are copied, the others are encoded."""
