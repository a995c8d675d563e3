"""A monotone cubic through points: smooth, and never beyond what was seen.

Fritsch and Carlson, "Monotone piecewise cubic interpolation", SIAM J. Numer. Anal. 17 (1980), with
the slopes of Fritsch and Butland, "A method for constructing local monotone piecewise cubic
interpolants", SIAM J. Sci. Stat. Comput. 5 (1984): the same curve as scipy's ``PchipInterpolator``,
which takes half a second to load.
"""

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]


def pchip(x: NDArray[np.int64], y: Values, at: NDArray[np.int64]) -> Values:
    """The curve through ``y`` (k, d) at the strictly increasing ``x`` (k,), at places ``at`` (n,).

    ``k`` is at least 2, and ``at`` is inside ``x[0]``..``x[-1]``. Returns (n, d).
    """
    widths = np.diff(x).astype(np.float64)[:, None]
    secants = np.diff(y, axis=0) / widths
    slopes = _slopes(widths, secants)
    piece = np.clip(np.searchsorted(x, at, side="right") - 1, 0, len(x) - 2)
    width = widths[piece]
    part = (at - x[piece])[:, None] / width
    rest = 1 - part
    ends = y[piece] * (1 + 2 * part) * rest**2 + y[piece + 1] * (1 + 2 * rest) * part**2
    turns = slopes[piece] * part * rest**2 - slopes[piece + 1] * rest * part**2
    return np.asarray(ends + width * turns, np.float64)


def _slopes(widths: Values, secants: Values) -> Values:
    """The slope at each point, (k, d): 0 at turning points."""
    if len(secants) == 1:
        return np.repeat(secants, 2, axis=0)
    before, after = secants[:-1], secants[1:]
    same = before * after > 0
    early, late = widths[:-1] + 2 * widths[1:], 2 * widths[:-1] + widths[1:]
    safe_before, safe_after = np.where(same, before, 1.0), np.where(same, after, 1.0)
    mean = (early + late) / (early / safe_before + late / safe_after)
    first = _end(widths[0], widths[1], secants[0], secants[1])
    last = _end(widths[-1], widths[-2], secants[-1], secants[-2])
    return np.concatenate([first[None], np.where(same, mean, 0.0), last[None]])


def _end(width: Values, following: Values, secant: Values, next_secant: Values) -> Values:
    """The slope (d,) at an outer point, by three points, held so that nothing overshoots."""
    slope = ((2 * width + following) * secant - width * next_secant) / (width + following)
    limited = np.where(
        (secant * next_secant < 0) & (np.abs(slope) > 3 * np.abs(secant)), 3 * secant, slope
    )
    return np.asarray(np.where(slope * secant > 0, limited, 0.0), np.float64)
