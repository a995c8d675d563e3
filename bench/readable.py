"""Whether a face of a picture can still be read in what was made of it.

What tells a face from others is its detail. A hidden face keeps light and colour of at most 4 x 4
cells; so all that is coarser is taken away from both pictures, and what is left is correlated.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from app.types import Image

SIDE = 32
"""Pixels of a side that a face is brought to."""
TILES = 4
"""Tiles of a side in which pictures are compared: the edge of what hides a part of the face is
detail too, and must not count against what is seen of the rest."""
COARSE = 0.8
"""Deviation in those pixels of the blur that is taken away, a tenth of one of 4 cells. With more,
the smooth transitions between cells count as detail (docs/decisions/measuring-leaks.md)."""
READABLE = 0.21
"""Likeness from which a face counts as readable: one hidden by half has 0.21 and more, one hidden
wholly 0.10 and less in pictures (``bench/separation.py``), and more in film after compression."""
FAINT = 0.5
"""Grey levels, root mean square over a tile: weaker detail of a result is rounding and noise of the
compression; it counts as if it were that strong, or as strong as before."""

_ROWS, _COLUMNS = np.mgrid[0:SIDE, 0:SIDE] * 2 / (SIDE - 1) - 1
_FACE = (_ROWS**2 + _COLUMNS**2 <= 1).astype(np.float32)
"""The ellipse in the box: its corners are background."""

Detail = NDArray[np.float32]
"""(tiles, pixels) of a face."""


Box = tuple[float, float, float, float]


def readable(before: Image, after: Image, box: Box, coarse: float = COARSE) -> float:
    """How like (-1..1) the detail of a face is in two pictures (h, w, 3) of one size.

    The mean correlation of its tiles, weighted by their detail before. ``box`` is x1, y1, x2, y2
    in pixels and may overhang the picture; 0 where nothing of it is in the picture, or it has no
    detail.
    """
    one, other = _detail(before, box, coarse), _detail(after, box, coarse)
    if one is None or other is None:
        return 0.0
    energy = (one**2).sum(axis=1)
    faint = np.minimum(energy, one.shape[1] * FAINT**2)
    left = np.maximum((other**2).sum(axis=1), faint)
    alike = (one * other).sum(axis=1) / np.sqrt(np.maximum(energy * left, 1e-6))
    return float((alike * energy).sum() / max(energy.sum(), 1e-6))


def _detail(picture: Image, box: Box, coarse: float) -> Detail | None:
    """Grey levels of the face without all that is coarse."""
    x1, y1, x2, y2 = (max(0, round(value)) for value in box)
    part = picture[y1:y2, x1:x2]
    if min(part.shape[:2]) < 2:
        return None
    grey = cv2.cvtColor(part, cv2.COLOR_RGB2GRAY).astype(np.float32)
    small = cv2.resize(grey, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    fine = np.asarray(small - cv2.GaussianBlur(small, (0, 0), coarse), np.float32) * _FACE
    side = SIDE // TILES
    tiles = fine.reshape(TILES, side, TILES, side).swapaxes(1, 2)
    return np.asarray(tiles.reshape(TILES**2, side**2), np.float32)
