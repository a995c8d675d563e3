"""Measure how much detail of a face is left in a result.

A face differs from others in its detail. A hidden face keeps light and colour of at most 4 x 4
cells. So everything that coarse is removed from both pictures, and the rest is correlated. The
detector has no part in this: a face that it no longer finds can still be readable.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from app.types import Image

SIDE = 32
"""Side in pixels to which a face is scaled."""
TILES = 4
"""Tiles per side. They are compared one by one: the edge of a mask over a part of the face is
detail too, and must not hide what the rest shows."""
COARSE = 0.8
"""Deviation of the removed blur in those pixels: a tenth of one of 4 cells. With more, the smooth
transitions between cells count as detail (docs/decisions/measuring-leaks.md)."""
READABLE = 0.21
"""Minimum correlation of a readable face. Half hidden faces have at least 0.21. Completely hidden
ones have at most 0.10 in images, and more in video after compression."""
FAINT = 0.5
"""Grey levels, root mean square over a tile. Weaker detail in a result is rounding and compression
noise, and counts as this strong, or as strong as before."""

_ROWS, _COLUMNS = np.mgrid[0:SIDE, 0:SIDE] * 2 / (SIDE - 1) - 1
_FACE = (_ROWS**2 + _COLUMNS**2 <= 1).astype(np.float32)
"""The ellipse in the box; the corners are background."""

Detail = NDArray[np.float32]
"""Detail of a face (tiles, pixels)."""
Corners = tuple[float, float, float, float]
"""x1, y1, x2, y2 in pixels."""


def readable(before: Image, after: Image, box: Corners, coarse: float = COARSE) -> float:
    """Return the correlation (-1..1) of a face's detail in two images (h, w, 3) of one size.

    It is the mean over the tiles, weighted by their detail before. ``box`` may extend beyond the
    image. The result is 0 if the face is outside or has no detail.
    """
    one, other = _detail(before, box, coarse), _detail(after, box, coarse)
    if one is None or other is None:
        return 0.0
    energy = (one**2).sum(axis=1)
    faint = np.minimum(energy, one.shape[1] * FAINT**2)
    left = np.maximum((other**2).sum(axis=1), faint)
    alike = (one * other).sum(axis=1) / np.sqrt(np.maximum(energy * left, 1e-6))
    return float((alike * energy).sum() / max(energy.sum(), 1e-6))


def _detail(picture: Image, box: Corners, coarse: float) -> Detail | None:
    """Return the grey levels of the face without coarse structure."""
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
