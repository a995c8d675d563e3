"""Face tracking within a shot: when to look, association, stitching and interpolation."""
