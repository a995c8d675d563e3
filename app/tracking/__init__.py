"""Follow faces through a shot: looks, association, sampling, stitching, interpolation."""
