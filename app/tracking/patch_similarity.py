"""Small grey pictures of a place, to be compared with the same place in another frame."""

import numpy as np
from numpy.typing import NDArray

from app.geometry import inside
from app.types import Boxes, Frame

Patch = NDArray[np.float32]
SIDE = 20


def patch(frame: Frame, box: Boxes) -> Patch | None:
    """The place of a (4,) box, (20, 20), of mean 0 and deviation 1; None outside the picture."""
    region = inside(box, frame.size)
    if region is None:
        return None
    light = frame.luma((SIDE, SIDE), region)
    return np.asarray((light - light.mean()) / max(float(light.std()), 1.0), np.float32)


def correlation(a: Patch, b: Patch) -> float:
    """How alike two patches are: 1 for the same, about 0 for different things, -1 for the negative.

    >>> patch = np.float32([[1, -1], [1, -1]])
    >>> correlation(patch, patch), correlation(patch, -patch)
    (1.0, -1.0)
    """
    return float((a * b).mean())
