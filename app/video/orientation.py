"""The display matrix of a video: how its coded frames are rotated and mirrored to be upright."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from app.types import Region, Size

Matrix = tuple[int, ...]
"""Nine integers, row by row ``a b u, c d v, x y w``; x' = a x + c y, y' = b x + d y (16.16)."""


_SKEW = 0.02
"""Part of a rotation that may be off: one degree. Fractions of 16 bits are off by far less."""


def is_quarter_turn(matrix: Sequence[int]) -> bool:
    """Whether a display matrix is close to one of the eight orientations, at any scale.

    Players show a frame upright, turned or skewed for any other matrix, each in its own way. A
    matrix of zeros, which some muxers write, is taken as none by all of them.

    >>> is_quarter_turn((0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30))
    True
    >>> is_quarter_turn((46341, 46341, 0, -46341, 46341, 0, 0, 0, 1 << 30))
    False
    """
    a, b, c, d = (abs(matrix[place]) for place in (0, 1, 3, 4))
    large, small = ((b, c), (a, d)) if b + c > a + d else ((a, d), (b, c))
    return not any((a, b, c, d)) or max(small) < _SKEW * min(large)


@dataclass(frozen=True, slots=True)
class Orientation:
    """The steps from a coded frame to the upright one, in this order.

    Attributes:
        transpose: swap rows and columns.
        flip_x: mirror left and right.
        flip_y: mirror top and bottom.
    """

    transpose: bool = False
    flip_x: bool = False
    flip_y: bool = False

    @classmethod
    def from_matrix(cls, matrix: Sequence[int] | None) -> "Orientation":
        """Return the nearest of the eight orientations to a display matrix; None: already upright.

        >>> Orientation.from_matrix((0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30))
        Orientation(transpose=True, flip_x=True, flip_y=False)
        """
        if matrix is None:
            return cls()
        a, b, c, d = matrix[0], matrix[1], matrix[3], matrix[4]
        if abs(b) + abs(c) > abs(a) + abs(d):
            return cls(transpose=True, flip_x=c < 0, flip_y=b < 0)
        return cls(transpose=False, flip_x=a < 0, flip_y=d < 0)

    def size(self, coded: Size) -> Size:
        """Return the size of the upright frame."""
        return (coded[1], coded[0]) if self.transpose else coded

    def upright(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Return an upright view of coded pixels, (h, w) or (h, w, c).

        >>> import numpy as np
        >>> Orientation(transpose=True, flip_x=True).upright(np.array([[1, 2], [3, 4]])).tolist()
        [[3, 1], [4, 2]]
        """
        view = pixels.swapaxes(0, 1) if self.transpose else pixels
        return view[:: -1 if self.flip_y else 1, :: -1 if self.flip_x else 1]

    def coded(self, region: Region, size: Size) -> Region:
        """Return the place in the coded frame of a region of the upright frame of ``size``.

        >>> Orientation(transpose=True, flip_x=True).coded((0, 0, 10, 20), (100, 200))
        (0, 90, 20, 100)
        """
        x1, y1, x2, y2 = region
        if self.flip_x:
            x1, x2 = size[0] - x2, size[0] - x1
        if self.flip_y:
            y1, y2 = size[1] - y2, size[1] - y1
        return (y1, x1, y2, x2) if self.transpose else (x1, y1, x2, y2)
