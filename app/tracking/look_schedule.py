"""Samplers: when the next whole look is due. No stretch of frames stays unverified in between."""

from collections.abc import Callable
from fractions import Fraction
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from app.types import Frame

THUMBNAIL = (64, 36)
CHANGED_LEVELS = 24
"""Grey levels (of 255) by which a point of the thumbnail has changed beyond noise and light."""
CHANGED_PART = 0.3
"""Part of the thumbnail that has to change for an early look."""
SHORTEST = Fraction(3, 20)
"""Seconds between comparisons, and below which no look is early: glances see what comes and goes
faster."""


class Cadence(Protocol):
    """Decides at each frame whether it must be looked at as a whole."""

    def restart(self, frame: Frame) -> None:
        """``frame`` has been looked at."""

    def due(self, frame: Frame) -> bool:
        """Whether this later frame is to be looked at."""


class EveryFrame:
    """Looks at every frame: the slowest and surest way, and the reference for the others."""

    def restart(self, frame: Frame) -> None:
        """Nothing to remember."""

    def due(self, frame: Frame) -> bool:  # noqa: ARG002 - the contract's signature
        """Always."""
        return True


class AdaptiveCadence:
    """Looks after ``longest`` seconds, or when the picture has changed a good deal before that."""

    def __init__(self, longest: Fraction, time_base: Fraction) -> None:
        self._longest = longest / time_base
        self._shortest = min(SHORTEST, longest) / time_base
        self._since = self._compared = 0
        self._picture: NDArray[np.uint8] | None = None

    def restart(self, frame: Frame) -> None:
        """Compare the next frames with this one."""
        self._since = self._compared = frame.pts
        self._picture = _thumbnail(frame)

    def due(self, frame: Frame) -> bool:
        """Whether ``frame`` is too late after the last look, or too different from it."""
        if self._picture is None or frame.pts - self._since >= self._longest:
            return True
        if frame.pts - self._compared < self._shortest:
            return False
        self._compared = frame.pts
        change = cv2.absdiff(_thumbnail(frame), self._picture)
        return bool(np.mean(change > CHANGED_LEVELS) > CHANGED_PART)


def _thumbnail(frame: Frame) -> NDArray[np.uint8]:
    width, height = frame.size
    small = frame.rgb((min(width, THUMBNAIL[0]), min(height, THUMBNAIL[1])))
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), np.uint8)


SAMPLERS: dict[str, Callable[[Fraction, Fraction], Cadence]] = {
    "adaptive": AdaptiveCadence,
    "every": lambda longest, time_base: EveryFrame(),  # noqa: ARG005 - one signature for all
}
"""Samplers by name: from the longest time between looks in seconds, and the time base."""
