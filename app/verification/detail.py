"""Measure how much detail of a face is left in a result.

A face differs from others in its detail. A hidden face keeps light and colour of at most 4 x 4
cells. So everything that coarse is removed from both pictures, and the rest is correlated. The
detector has no part in this: a face that it no longer finds can still be readable.
"""

from dataclasses import dataclass

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
ALIKE = 0.7
"""Correlation of a tile from which it shows what it showed before. Where a mask ends inside a face,
tiles next to it are untouched; tiles that are hidden stay below."""
LEAST_SHARE = 0.05
"""Minimum share of the detail in such tiles: about one of the 16. The blocks of ``pixelate``
correlate a little everywhere, up to 0.25 in all, but in no tile as much."""

_ROWS, _COLUMNS = np.mgrid[0:SIDE, 0:SIDE] * 2 / (SIDE - 1) - 1
_FACE = (_ROWS**2 + _COLUMNS**2 <= 1).astype(np.float32)
"""The ellipse in the box; the corners are background."""

Detail = NDArray[np.float32]
"""Detail of a face (tiles, pixels)."""
Corners = tuple[float, float, float, float]
"""x1, y1, x2, y2 in pixels."""


@dataclass(frozen=True, slots=True)
class Trace:
    """What is left of a face: ``alike`` is the correlation of its detail, -1..1.

    ``share`` is the part of its detail, 0..1, in tiles that show what they showed before.
    """

    alike: float
    share: float

    @property
    def is_readable(self) -> bool:
        """Whether a part of the face can be read."""
        return self.alike >= READABLE and self.share >= LEAST_SHARE


def readable(before: Image, after: Image, box: Corners, coarse: float = COARSE) -> float:
    """Return the correlation (-1..1) of a face's detail in two images: see ``trace``."""
    return trace(before, after, box, coarse).alike


def trace(before: Image, after: Image, box: Corners, coarse: float = COARSE) -> Trace:
    """Compare a face's detail in two images (h, w, 3) of one size.

    The correlation is the mean over the tiles, weighted by their detail before. ``box`` may extend
    beyond the image. All is 0 if the face is outside or has no detail.
    """
    one, other = _detail(before, box, coarse), _detail(after, box, coarse)
    if one is None or other is None:
        return Trace(0.0, 0.0)
    energy = (one**2).sum(axis=1)
    faint = np.minimum(energy, one.shape[1] * FAINT**2)
    left = np.maximum((other**2).sum(axis=1), faint)
    alike = (one * other).sum(axis=1) / np.sqrt(np.maximum(energy * left, 1e-6))
    whole = max(float(energy.sum()), 1e-6)
    share = float(energy[alike >= ALIKE].sum()) / whole
    return Trace(float((alike * energy).sum()) / whole, share)


def _detail(picture: Image, box: Corners, coarse: float) -> Detail | None:
    """Return the grey levels of the face without coarse structure."""
    x1, y1, x2, y2 = (max(0, round(value)) for value in box)
    part = picture[y1:y2, x1:x2]
    if min(part.shape[:2]) < 2:
        return None
    grey = cv2.cvtColor(part, cv2.COLOR_RGB2GRAY).astype(np.float32)
    # Enlarged with INTER_AREA, the edges of pixels would be detail that both pictures share.
    how = cv2.INTER_AREA if min(part.shape[:2]) >= SIDE else cv2.INTER_LINEAR
    small = cv2.resize(grey, (SIDE, SIDE), interpolation=how)
    fine = np.asarray(small - cv2.GaussianBlur(small, (0, 0), coarse), np.float32) * _FACE
    side = SIDE // TILES
    tiles = fine.reshape(TILES, side, TILES, side).swapaxes(1, 2)
    return np.asarray(tiles.reshape(TILES**2, side**2), np.float32)
