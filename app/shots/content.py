"""Cuts by the change of colour and light from one frame to the next (PySceneDetect)."""

from fractions import Fraction

import numpy as np
from scenedetect.common import FrameTimecode  # type: ignore[import-untyped]
from scenedetect.detectors.content_detector import ContentDetector  # type: ignore[import-untyped]

from app.types import Frame, Image, Size

_WIDTH = 160
"""Width of the thumbnails compared: cuts are visible at it, and noise and small motion are not."""
_THRESHOLD = 27.0
"""Mean change of hue, saturation and value (0..255) that is a cut: PySceneDetect's default. On a
concert clip with three known cuts it finds these and no other."""
_LEAD = 1.25
"""By so much a cut must exceed the mean change of the frames before it and after it. A dissolve
changes much in every frame; as a burst of cuts it would tear each face into single frames."""
_WINDOW = 2
"""Frames before and after that a change is compared with."""
_RATE = Fraction(25)
"""The detector wants one for its time codes; nothing depends on it."""
_CERTAIN = float("inf")


class _Scorer(ContentDetector):  # type: ignore[misc]
    """PySceneDetect's measure of change, without its decisions."""

    def __init__(self) -> None:
        super().__init__(threshold=255.0, min_scene_len=0)

    def score(self, index: int, bgr: Image) -> float:
        """Change from the picture before, 0 for the first one."""
        self.process_frame(FrameTimecode(index, _RATE), bgr)
        return float(self._frame_score or 0.0)


class ContentShots:
    """A cut wherever a frame differs strongly from the one before, and its neighbours do not.

    Shots of a single frame are allowed: a minimum length would swallow a cut, and a track would
    then run on from one person to another. A flash becomes a short shot, which costs some looks.
    """

    latency = _WINDOW

    def __init__(self, threshold: float = _THRESHOLD) -> None:
        self._threshold = threshold
        self._start()

    def _start(self) -> None:
        self._scorer = _Scorer()
        self._size: Size | None = None
        self._scores = [0.0] * _WINDOW
        self._next = 0

    def push(self, frame: Frame) -> list[int]:
        """Take the next frame; return the frame two before it when a shot begins with that one."""
        self._scores.append(self._change(frame))
        self._next = frame.index + 1
        return self._decided()

    def flush(self) -> list[int]:
        """Decide the last frames, and forget the video."""
        cuts = []
        for _ in range(min(_WINDOW, self._next)):
            self._scores.append(0.0)
            self._next += 1
            cuts += self._decided()
        self._start()
        return cuts

    def _change(self, frame: Frame) -> float:
        if self._size is not None and self._size != frame.size:
            # Pictures of different sizes cannot be compared, and nothing goes on across the change.
            self._scorer = _Scorer()
            self._size = None
        changed_size = self._size is None and frame.index > 0
        self._size = frame.size
        bgr = np.ascontiguousarray(frame.rgb(_thumbnail(frame.size))[..., ::-1])
        score = self._scorer.score(frame.index, bgr)
        return _CERTAIN if changed_size else score

    def _decided(self) -> list[int]:
        """The frame in the middle of the window, if it is a cut."""
        if len(self._scores) <= 2 * _WINDOW:
            return []
        self._scores = self._scores[-2 * _WINDOW - 1 :]
        before, score, after = (
            self._scores[:_WINDOW],
            self._scores[_WINDOW],
            self._scores[-_WINDOW:],
        )
        around = max(sum(before), sum(after)) / _WINDOW
        cut = score >= self._threshold and (score == _CERTAIN or score >= _LEAD * around)
        return [self._next - 1 - _WINDOW] if cut else []


def _thumbnail(size: Size) -> Size:
    """Choose a size about ``_WIDTH`` wide, never larger than the picture.

    >>> _thumbnail((1920, 1080)), _thumbnail((100, 3))
    ((160, 90), (100, 3))
    """
    width, height = size
    scale = min(1.0, _WIDTH / width)
    return max(1, round(width * scale)), max(1, round(height * scale))
