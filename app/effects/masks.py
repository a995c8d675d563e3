"""Where a face is hidden: opaque inside an outline, fading to nothing outside of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from app.geometry import inside
from app.types import Region, Size

Alpha: TypeAlias = NDArray[np.float32]
Box: TypeAlias = NDArray[np.float64]
Axis: TypeAlias = NDArray[np.float32]

SHAPES: dict[str, Callable[[Axis, Axis, float], Alpha]] = {
    "ellipse": lambda x, y, peak: np.subtract((peak - y)[:, None], x[None]),
    "rectangle": lambda x, y, peak: np.minimum((peak - y)[:, None], (peak - x)[None]),
}
"""Slopes (h, w) that fall from ``peak`` in the middle by ``x`` (w,) and ``y`` (h,) together, or by
the larger one."""

_SHARP = 1e-6
"""Stands for a feather of no width."""
_ROUNDING = 1e-5
"""Far more than single precision loses on a squared radius near 1: what is inside stays opaque."""


@dataclass(frozen=True, slots=True)
class Mask:
    """One face's outline on the samples of one region of a plane.

    Its alpha falls from ``peak`` in the middle with the squared distance, by ``x`` (w,) and ``y``
    (h,): to 1 where the outline crosses an axis, and to 0 where the feather ends.
    """

    shape: str
    x: Axis
    y: Axis
    peak: float

    def alpha(self, rows: slice, columns: slice = slice(None)) -> Alpha:
        """How much each sample of a part is hidden: (n, m), 1 wholly, 0 not at all."""
        alpha = SHAPES[self.shape](self.x[columns], self.y[rows], self.peak)
        return np.clip(alpha, 0, 1, out=alpha)

    def opaque(self, rows: slice) -> tuple[int, int]:
        """The columns [first, end) that are hidden wholly in all of some rows."""
        shallow = rows.start + int(self.y[rows].argmax())
        wholly = np.flatnonzero(self.alpha(slice(shallow, shallow + 1))[0] >= 1)
        return (int(wholly[0]), int(wholly[-1]) + 1) if len(wholly) else (0, 0)


@dataclass(frozen=True, slots=True)
class Outline:
    """The shape drawn around every box: a key of ``SHAPES``, and fractions of a box's sides.

    ``margin`` is added on each side and is opaque, ``feather`` is added around that and fades. With
    a margin of 0.2 the ellipse is 1.4 times the box and so nearly passes through its corners.
    """

    shape: str
    margin: float
    feather: float

    def opaque(self, box: Box) -> Box:
        """Widen a (4,) box to the one around all that is hidden wholly."""
        return _widened(box, self.margin)

    def region(self, box: Box, shift: tuple[int, int], size: Size) -> Region | None:
        """Find the samples of a plane of ``size`` (w, h) that the mask may change, or None."""
        touched = _widened(box, self.margin + self.feather) / ((1 << shift[0], 1 << shift[1]) * 2)
        return inside(touched.astype(np.float32), size)

    def mask(self, box: Box, shift: tuple[int, int], region: Region) -> Mask:
        """Lay the outline over the samples of ``region`` in a plane.

        A sample is as near as the nearest point of the pixels that it stands for, so that one that
        is touched by the outline is hidden wholly, in every plane.
        """
        x1, y1, x2, y2 = self.opaque(box).tolist()
        reach = 1 + 2 * self.feather / (1 + 2 * self.margin)
        fade = max(reach * reach - 1, _SHARP)
        x = _distances(region[0], region[2], shift[0], x1, x2) / fade
        y = _distances(region[1], region[3], shift[1], y1, y2) / fade
        peak = 1 + (1 + _ROUNDING) / fade
        return Mask(self.shape, x.astype(np.float32), y.astype(np.float32), peak)


def _widened(box: Box, fraction: float) -> Box:
    added = (box[2:] - box[:2]) * fraction
    return np.concatenate([box[:2] - added, box[2:] + added])


def _distances(start: int, stop: int, shift: int, low: float, high: float) -> NDArray[np.float64]:
    """Squared distances of samples from the middle of ``low`` to ``high``, where these have 1.

    >>> _distances(0, 4, 1, 2.0, 6.0).tolist()  # samples of two pixels each
    [1.0, 0.0, 0.0, 1.0]
    """
    near = np.arange(start, stop, dtype=np.float64) * (1 << shift)
    middle, half = (low + high) / 2, (high - low) / 2
    gap = np.maximum(near - middle, middle - near - (1 << shift))
    return np.asarray((np.maximum(gap, 0) / half) ** 2, np.float64)
