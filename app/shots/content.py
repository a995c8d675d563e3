"""Cuts by the change of colour and light from one frame to the next (PySceneDetect)."""

from fractions import Fraction

import numpy as np
from scenedetect.common import FrameTimecode  # type: ignore[import-untyped]
from scenedetect.detectors.content_detector import ContentDetector  # type: ignore[import-untyped]

from app.types import Frame, Size

_WIDTH = 160
"""Width of the thumbnails compared: cuts are visible at it, and noise and small motion are not."""
_THRESHOLD = 27.0
"""Mean change of hue, saturation and value (0..255) that is a cut: PySceneDetect's default. On a
concert clip with three known cuts it finds these and no other."""
_RATE = Fraction(25)
"""The detector wants one for its time codes; only their frame numbers are read back."""


class ContentShots:
    """A cut wherever two neighbouring frames differ strongly.

    Shots of a single frame are allowed: a minimum length would swallow a cut, and a track would
    then run on from one person to another. A flash becomes a short shot, which costs some looks.
    """

    latency = 0

    def __init__(self, threshold: float = _THRESHOLD) -> None:
        self._threshold = threshold
        self._start()

    def _start(self) -> None:
        self._detector = ContentDetector(threshold=self._threshold, min_scene_len=0)
        self._size: Size | None = None

    def push(self, frame: Frame) -> list[int]:
        """Take the next frame; return ``[frame.index]`` when a shot begins with it."""
        cuts = []
        if self._size != frame.size and self._size is not None:
            # Pictures of different sizes cannot be compared, and nothing goes on across the change.
            self._start()
            cuts = [frame.index]
        self._size = frame.size
        bgr = np.ascontiguousarray(frame.rgb(_thumbnail(frame.size))[..., ::-1])
        found = self._detector.process_frame(FrameTimecode(frame.index, _RATE), bgr)
        return cuts + [time.frame_num for time in found]

    def flush(self) -> list[int]:
        """Nothing was held back; forget the video."""
        self._start()
        return []


def _thumbnail(size: Size) -> Size:
    """Choose a size about ``_WIDTH`` wide, never larger than the picture.

    >>> _thumbnail((1920, 1080)), _thumbnail((100, 3))
    ((160, 90), (100, 3))
    """
    width, height = size
    scale = min(1.0, _WIDTH / width)
    return max(1, round(width * scale)), max(1, round(height * scale))
