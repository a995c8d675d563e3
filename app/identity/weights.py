"""How much a chip says about who is seen: soft, dark, small and doubtful ones say less."""

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float32]

SCORE = (0.25, 0.65)
CONTRAST = (0.008, 0.025)
SHARPNESS = (0.08, 0.25)
SIZE = (8.0, 24.0)
"""Each measure counts nothing below the first value and fully above the second. The values are
those that told named people from soft and dark strangers on a concert video; see
``docs/decisions``."""


def ramp(values: Values, limits: tuple[float, float]) -> Values:
    """Values as 0 below the first limit, 1 above the second, and linearly between.

    >>> ramp(np.float32([1, 3, 9]), (2, 4)).tolist()
    [0.0, 0.5, 1.0]
    """
    low, high = limits
    return np.asarray(np.clip((values - low) / (high - low), 0, 1), np.float32)


def chip_weights(scores: Values, sizes: Values, contrast: Values, sharpness: Values) -> Values:
    """Weights (k,) in 0..1 of chips.

    By the detector's score, the face's size in pixels, and the chip's contrast and sharpness.
    """
    return np.asarray(
        ramp(scores, SCORE)
        * ramp(sizes, SIZE)
        * ramp(contrast, CONTRAST)
        * ramp(sharpness, SHARPNESS),
        np.float32,
    )
