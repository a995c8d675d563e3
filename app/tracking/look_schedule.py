"""Schedules: decide when the next full look is due, at most a fixed time after the last one."""

from collections.abc import Callable
from fractions import Fraction
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from app.types import Frame

THUMBNAIL_SIZE = (64, 36)
CHANGED_LEVELS = 24
"""Grey levels (of 255) from which a change of a thumbnail pixel is more than noise or light."""
CHANGED_FRACTION = 0.3
"""Fraction of the thumbnail that must change for an early look."""
MIN_INTERVAL = Fraction(3, 20)
"""Seconds between comparisons, and the least time before an early look. The quick looks in between
find faces that come and go faster."""


class LookSchedule(Protocol):
    """Decide for each frame whether it needs a full look."""

    def restart(self, frame: Frame) -> None:
        """Record a full look at ``frame``."""

    def due(self, frame: Frame) -> bool:
        """Return whether this later frame needs a full look."""


class EveryFrame:
    """Look at every frame: the slowest and safest schedule, and the reference for the others."""

    def restart(self, frame: Frame) -> None:
        """Do nothing: there is no state."""

    def due(self, frame: Frame) -> bool:  # noqa: ARG002 - the protocol's signature
        """Return True."""
        return True


class AdaptiveSchedule:
    """Look after ``longest`` seconds, or earlier when the image has changed a lot."""

    def __init__(self, longest: Fraction, time_base: Fraction) -> None:
        self._longest = longest / time_base
        self._shortest = min(MIN_INTERVAL, longest) / time_base
        self._looked_at = self._compared_at = 0
        self._thumbnail: NDArray[np.uint8] | None = None

    def restart(self, frame: Frame) -> None:
        """Record a full look at ``frame``; later frames are compared with it."""
        self._looked_at = self._compared_at = frame.pts
        self._thumbnail = _thumbnail(frame)

    def due(self, frame: Frame) -> bool:
        """Return whether ``frame`` is too long after the last look, or too different from it."""
        if self._thumbnail is None or frame.pts - self._looked_at >= self._longest:
            return True
        if frame.pts - self._compared_at < self._shortest:
            return False
        self._compared_at = frame.pts
        change = cv2.absdiff(_thumbnail(frame), self._thumbnail)
        return bool(np.mean(change > CHANGED_LEVELS) > CHANGED_FRACTION)


def _thumbnail(frame: Frame) -> NDArray[np.uint8]:
    width, height = frame.size
    size = min(width, THUMBNAIL_SIZE[0]), min(height, THUMBNAIL_SIZE[1])
    return np.asarray(cv2.cvtColor(frame.rgb(size), cv2.COLOR_RGB2GRAY), np.uint8)


SCHEDULES: dict[str, Callable[[Fraction, Fraction], LookSchedule]] = {
    "adaptive": AdaptiveSchedule,
    "every": lambda longest, time_base: EveryFrame(),  # noqa: ARG005 - one signature for all
}
"""Schedules by the setting ``sampling``. Arguments: longest time between looks in seconds, and the
time base."""
