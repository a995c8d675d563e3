"""The times at which the frames of a video are shown."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from app.config import brief_time


@dataclass(frozen=True, slots=True)
class FrameTimes:
    """The pts of all frames, increasing, in units of ``base`` seconds.

    A time is counted in seconds from the first frame, wherever the clock of the file begins.
    """

    pts: Sequence[int]
    base: Fraction

    def frame_at(self, time: Fraction) -> int:
        """Return the number of the frame that is shown at a time: the last one that began."""
        return max(0, bisect_right(self.pts, self.pts[0] + time / self.base) - 1)

    def time_of(self, frame: int) -> Fraction:
        """Return the time at which a frame begins, in seconds."""
        return (self.pts[frame] - self.pts[0]) * self.base

    def label(self, frame: int) -> str:
        """Name a frame with its time.

        >>> FrameTimes([0, 40, 90], Fraction(1, 1000)).label(2)
        'frame 2 (0:00.09)'
        """
        return f"frame {frame} ({brief_time(self.time_of(frame))})"
