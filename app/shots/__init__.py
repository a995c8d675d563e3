"""Shot detectors: they find cuts, the frames with which a new shot begins.

The detectors here need no weights. ``app.shots.transnet`` has the one that is a network.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from app.networks import CPU, Runtime
from app.packs.catalogue import load_pack
from app.shots.pyscenedetect import make_scorer
from app.shots.transnet import TransNetShots
from app.types import Frame, ShotDetector, Size

__all__ = [
    "SHOT_DETECTORS",
    "SHOT_NETWORKS",
    "ContentShots",
    "NoShots",
    "TransNetShots",
    "load_shot_detector",
]

_THUMBNAIL_WIDTH: Final = 160
"""Width of the compared thumbnails: cuts are visible, but noise and small motion are not."""
_THRESHOLD: Final = 27.0
"""Mean change of hue, saturation and value (0..255) at a cut: PySceneDetect's default. In a concert
video with three known cuts it finds these and no other."""
_MIN_RATIO: Final = 1.25
"""The change at a cut must exceed the mean change of the frames around it by this factor. During a
dissolve every frame changes much: a burst of cuts would split each track into single frames."""
_NEIGHBOURS: Final = 2
"""Frames before, and frames after, whose change is compared with that of a cut."""
_CERTAIN: Final = float("inf")
"""Score of a frame with another size than the one before."""


class ContentShots:
    """A ``ShotDetector``: a cut is a frame that changes much, while its neighbours do not.

    Shots of a single frame are possible. A minimum length would hide cuts, and a track would then
    continue from one person to another. A flash becomes a short shot, which costs a few detections.
    """

    latency = _NEIGHBOURS

    def __init__(self, threshold: float = _THRESHOLD) -> None:
        self._threshold = threshold
        self._start()

    def _start(self) -> None:
        self._score = make_scorer()
        self._size: Size | None = None
        self._scores = [0.0] * _NEIGHBOURS
        self._next = 0

    def push(self, frame: Frame) -> list[int]:
        """Add the next frame; return the frame two before it if a shot begins there."""
        self._scores.append(self._change(frame))
        self._next = frame.index + 1
        return self._decided()

    def flush(self) -> list[int]:
        """Return the cuts in the last frames, and reset the detector for another video."""
        cuts = []
        for _ in range(min(_NEIGHBOURS, self._next)):
            self._scores.append(0.0)
            self._next += 1
            cuts += self._decided()
        self._start()
        return cuts

    def _change(self, frame: Frame) -> float:
        if self._size is not None and self._size != frame.size:
            # Images of different sizes cannot be compared, and no shot continues across the change.
            self._score = make_scorer()
            self._size = None
        changed_size = self._size is None and frame.index > 0
        self._size = frame.size
        bgr = np.ascontiguousarray(frame.rgb(_thumbnail_size(frame.size))[..., ::-1])
        score = self._score(frame.index, bgr)
        return _CERTAIN if changed_size else score

    def _decided(self) -> list[int]:
        """Return the frame in the middle of the window if it is a cut."""
        if len(self._scores) <= 2 * _NEIGHBOURS:
            return []
        self._scores = self._scores[-2 * _NEIGHBOURS - 1 :]
        before, score = self._scores[:_NEIGHBOURS], self._scores[_NEIGHBOURS]
        after = self._scores[-_NEIGHBOURS:]
        around = max(sum(before), sum(after)) / _NEIGHBOURS
        is_cut = score >= self._threshold and (score == _CERTAIN or score >= _MIN_RATIO * around)
        return [self._next - 1 - _NEIGHBOURS] if is_cut else []


def _thumbnail_size(size: Size) -> Size:
    """Return a size about ``_THUMBNAIL_WIDTH`` wide, never larger than the frame.

    >>> _thumbnail_size((1920, 1080)), _thumbnail_size((100, 3))
    ((160, 90), (100, 3))
    """
    width, height = size
    scale = min(1.0, _THUMBNAIL_WIDTH / width)
    return max(1, round(width * scale)), max(1, round(height * scale))


class NoShots:
    """A ``ShotDetector`` for videos without cuts: the whole video is one shot."""

    latency = 0

    def push(self, frame: Frame) -> list[int]:  # noqa: ARG002 - part of the contract
        """Return no cut."""
        return []

    def flush(self) -> list[int]:
        """Return no cut."""
        return []


SHOT_DETECTORS: dict[str, Callable[[], ShotDetector]] = {"content": ContentShots, "none": NoShots}
"""Shot detectors without weights, by name."""
SHOT_NETWORKS: dict[str, Callable[..., ShotDetector]] = {"transnet": TransNetShots}
"""Shot detectors that are networks, by the ``kind`` in a pack; they take a file and ``runtime``."""


def load_shot_detector(
    name: str,
    *,
    models_root: Path | None = None,
    runtime: Runtime = CPU,
) -> ShotDetector:
    """Load a shot detector.

    Args:
        name: a key of ``SHOT_DETECTORS``, or the name of a pack with a shot detector.
        models_root: the folder with the packs; default: the ``models`` folder of this program.
        runtime: the device and the threads.

    Raises:
        PackError: the weights are missing or damaged.
        DeviceError: a GPU was requested, but cannot be used.
        ModelError: the runtime cannot load the weights.
    """
    if name in SHOT_DETECTORS:
        return SHOT_DETECTORS[name]()
    pack = load_pack(name, models_root)
    part = pack.part("shots")
    (file,) = part.files["float"]
    return SHOT_NETWORKS[part.kind](pack.checked(file), runtime=runtime)
