"""Masks: opaque inside an outline, and fading to nothing outside of it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from app.geometry import clip_to_pixels
from app.types import Region, Size

Alpha: TypeAlias = NDArray[np.float32]
Box: TypeAlias = NDArray[np.float64]
Profile: TypeAlias = NDArray[np.float32]
"""Squared distances along one axis."""

SHAPES: dict[str, Callable[[Profile, Profile, float], Alpha]] = {
    "ellipse": lambda x, y, peak: np.subtract((peak - y)[:, None], x[None]),
    "rectangle": lambda x, y, peak: np.minimum((peak - y)[:, None], (peak - x)[None]),
}
"""Alpha (h, w) before clipping: ``peak`` in the middle, minus ``x`` (w,) and ``y`` (h,), or minus
the larger one."""

_MIN_FADE = 1e-6
"""Used instead of 0 if there is no feather."""
_ROUNDING = 1e-5
"""Far above the rounding error of a squared radius near 1, so that all of the inside is opaque."""


@dataclass(frozen=True, slots=True)
class Mask:
    """The outline of one face on the samples of one region of a plane.

    Alpha falls from ``peak`` in the middle with the squared distances ``x`` (w,) and ``y`` (h,): to
    1 where the outline crosses an axis, and to 0 where the feather ends.
    """

    shape: str
    x: Profile
    y: Profile
    peak: float

    def alpha(self, rows: slice, columns: slice = slice(None)) -> Alpha:
        """Return how much each sample of a part is hidden: (n, m), 1 fully, 0 not at all."""
        alpha = SHAPES[self.shape](self.x[columns], self.y[rows], self.peak)
        np.maximum(alpha, 0, out=alpha)  # np.clip takes twice as long for a small face
        return np.minimum(alpha, 1, out=alpha)

    def opaque_columns(self, rows: slice) -> tuple[int, int]:
        """Return the columns [first, end) that are fully hidden in all of some rows."""
        outermost = rows.start + int(self.y[rows].argmax())
        opaque = np.flatnonzero(self.alpha(slice(outermost, outermost + 1))[0] >= 1)
        return (int(opaque[0]), int(opaque[-1]) + 1) if len(opaque) else (0, 0)


@dataclass(frozen=True, slots=True)
class Outline:
    """The shape around every box: a key of ``SHAPES``, and fractions of a box's sides.

    ``margin`` is added on each side and is opaque; ``feather`` is added around it and fades. With a
    margin of 0.2 the ellipse is 1.4 times as large as the box and nearly reaches its corners.
    """

    shape: str
    margin: float
    feather: float

    def opaque_box(self, box: Box) -> Box:
        """Widen a (4,) box by the margin: it contains all that is fully hidden."""
        return _widened(box, self.margin)

    def region(self, box: Box, shift: tuple[int, int], size: Size) -> Region | None:
        """Return the samples of a plane of ``size`` (w, h) that the mask may change, or None."""
        touched = _widened(box, self.margin + self.feather) / ((1 << shift[0], 1 << shift[1]) * 2)
        return clip_to_pixels(touched.astype(np.float32), size)

    def mask(self, box: Box, shift: tuple[int, int], region: Region) -> Mask:
        """Return the mask over the samples of ``region`` in a plane.

        The distance of a sample is that of the nearest point of the pixels that it covers. So a
        sample that the outline touches is fully hidden, in every plane.
        """
        x1, y1, x2, y2 = self.opaque_box(box).tolist()
        reach = 1 + 2 * self.feather / (1 + 2 * self.margin)
        fade = max(reach * reach - 1, _MIN_FADE)
        x = _squared_distances(region[0], region[2], shift[0], x1, x2) / fade
        y = _squared_distances(region[1], region[3], shift[1], y1, y2) / fade
        peak = 1 + (1 + _ROUNDING) / fade
        return Mask(self.shape, x.astype(np.float32), y.astype(np.float32), peak)


def _widened(box: Box, fraction: float) -> Box:
    added = (box[2:] - box[:2]) * fraction
    return np.concatenate([box[:2] - added, box[2:] + added])


def _squared_distances(
    start: int, stop: int, shift: int, low: float, high: float
) -> NDArray[np.float64]:
    """Return squared distances of samples from the middle of ``low`` and ``high``, which are at 1.

    >>> _squared_distances(0, 4, 1, 2.0, 6.0).tolist()  # samples of two pixels each
    [1.0, 0.0, 0.0, 1.0]
    """
    near = np.arange(start, stop, dtype=np.float64) * (1 << shift)
    middle, half = (low + high) / 2, (high - low) / 2
    gap = np.maximum(near - middle, middle - near - (1 << shift))
    return np.asarray((np.maximum(gap, 0) / half) ** 2, np.float64)
