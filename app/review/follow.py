"""Follow the content of a drawn box through its shot, by correlating its picture.

A reviewer draws where the detector saw no face, so it is not asked again. From frame to frame the
picture in the box is searched for nearby, at some sizes; where nothing similar is found, following
ends and the reviewer goes on.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from app.edits.records import Key, Region
from app.errors import UsageError
from app.types import Frame, Size
from app.video.random_access import FrameReader

_SIDE = 32
"""Longer side of the searched picture in pixels: enough detail to tell a face from another."""
_REACH = 0.75
"""How far a face may move from one frame to the next, in sides of its box."""
_SCALES = (0.94, 0.97, 1.0, 1.03, 1.06)
"""Sizes of the face in the next frame: one that comes closer grows by a few percent a frame."""
_ALIKE = 0.6
"""Least correlation with the frame before; the linker of tracks uses the same for one frame."""
_RENEWED = 0.15
"""Share of the new picture in the one that is searched for: small, so that it does not drift."""
_TOLERANCE = 0.04
"""Deviation from a straight line that needs no key frame, in sides of the box."""
MAX_FRAMES = 1_500
"""Most frames in each direction: a minute; following that long takes some seconds."""

Patch: TypeAlias = NDArray[np.float32]
Box: TypeAlias = NDArray[np.float64]


@dataclass(slots=True)
class _Patch:
    """The picture that is followed, and the place where it was last."""

    box: Box
    pixels: Patch

    @classmethod
    def of(cls, frame: Frame, box: Box) -> "_Patch":
        scale = _scale(box)
        return cls(box, _cut(_luma(frame, scale), box * scale))

    def move(self, frame: Frame) -> bool:
        """Move to the most similar place in the next frame; return whether it is similar enough."""
        scale = _scale(self.box)
        luma = _luma(frame, scale)
        alike, box = max((self._best(luma, scale, size) for size in _SCALES), key=lambda x: x[0])
        if alike < _ALIKE:
            return False
        self.box = box
        fresh = cv2.resize(_cut(luma, box * scale), self.pixels.shape[::-1])
        mixed = (1 - _RENEWED) * self.pixels + _RENEWED * np.asarray(fresh)
        self.pixels = np.asarray(mixed, np.float32)
        return True

    def _best(self, luma: Patch, scale: float, size: float) -> tuple[float, Box]:
        """Return the highest correlation near the last place at one size, and its box."""
        sides = (self.box[2:] - self.box[:2]) * scale * size
        width, height = (max(4, round(float(side))) for side in sides)
        wanted = cv2.resize(self.pixels, (width, height))
        centre = (self.box[:2] + self.box[2:]) / 2 * scale
        reach = sides * (0.5 + _REACH)
        area = np.concatenate([centre - reach, centre + reach])
        values = cv2.matchTemplate(_cut(luma, area), wanted, cv2.TM_CCOEFF_NORMED)
        _, best, _, (x, y) = cv2.minMaxLoc(values)
        middle = np.floor(area[:2]) + np.array([x, y]) + np.array([width, height]) / 2
        return float(best), np.concatenate([middle - sides / 2, middle + sides / 2]) / scale


def _scale(box: Box) -> float:
    return _SIDE / max(float((box[2:] - box[:2]).max()), 1.0)


def _luma(frame: Frame, scale: float) -> Patch:
    width, height = frame.size
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return frame.luma(size, (0, 0, width, height))


def _cut(luma: Patch, box: Box) -> Patch:
    """Return a part of a picture; what lies outside of it repeats its border."""
    x1, y1 = (int(value) for value in np.floor(box[:2]))
    x2, y2 = max(x1 + 4, round(float(box[2]))), max(y1 + 4, round(float(box[3])))
    rows = np.clip(np.arange(y1, y2), 0, luma.shape[0] - 1)
    columns = np.clip(np.arange(x1, x2), 0, luma.shape[1] - 1)
    return np.ascontiguousarray(luma[np.ix_(rows, columns)])


def followed(
    reader: FrameReader, shot: tuple[int, int], frame: int, box: Sequence[float]
) -> Region:
    """Return a region that follows the content of ``box`` in ``frame`` through its shot.

    ``shot`` is ``[first, end)``. Both directions are followed as far as the content is found.

    Raises:
        UsageError: the frame is not in the shot, or the box is empty.
        MediaError: the frames cannot be read.
    """
    if not shot[0] <= frame < shot[1] or len(box) != 4 or box[2] <= box[0] or box[3] <= box[1]:
        raise UsageError("follow needs a frame of the shot and a box x1, y1, x2, y2")
    start = np.asarray(box, np.float64)
    last = min(shot[1] - 1, frame + MAX_FRAMES)
    later = list(_path(reader.read(frame, last), start))
    first = max(shot[0], frame - MAX_FRAMES)
    earlier = list(_path(_backwards(reader, first, frame), start))
    path = [*reversed(earlier[1:]), *later]
    begin = frame - (len(earlier) - 1)
    keys = _simplified(begin, np.array(path), frame)
    return Region(begin, begin + len(path) - 1, tuple(keys))


def _path(frames: Iterable[Frame], box: Box) -> Iterator[Box]:
    """Yield the box in each frame, from the first one, in which it is known."""
    patch: _Patch | None = None
    for frame in frames:
        if patch is None:
            patch = _Patch.of(frame, box)
        elif not patch.move(frame) or _has_left(patch.box, frame.size):
            return
        yield patch.box


def _backwards(reader: FrameReader, first: int, last: int) -> Iterator[Frame]:
    """Yield frames in falling order; some are decoded at a time, to bound the memory."""
    step = 32
    for end in range(last, first - 1, -step):
        yield from reversed(list(reader.read(max(first, end - step + 1), end)))


def _has_left(box: Box, size: Size) -> bool:
    """Return whether the centre of a box is outside of the picture."""
    x, y = (box[:2] + box[2:]) / 2
    return not (0 <= x < size[0] and 0 <= y < size[1])


def _simplified(first: int, path: Box, kept: int) -> list[Key]:
    """Return key frames from which the path deviates little; ``kept`` is always one of them."""
    chosen = {0, len(path) - 1, kept - first}
    spans = list(zip(sorted(chosen), sorted(chosen)[1:], strict=False))
    while spans:
        low, high = spans.pop()
        if high - low < 2:
            continue
        share = np.linspace(0, 1, high - low + 1)[:, None]
        line = path[low] + share * (path[high] - path[low])
        side = float((path[low, 2:] - path[low, :2]).max())
        error = np.abs(line - path[low : high + 1]).max(axis=1)
        worst = int(np.argmax(error))
        if error[worst] > _TOLERANCE * side:
            chosen.add(low + worst)
            spans += [(low, low + worst), (low + worst, high)]
    return [_key(first + i, path[i]) for i in sorted(chosen)]


def _key(frame: int, box: Box) -> Key:
    x1, y1, x2, y2 = (round(float(value), 2) for value in box)
    return frame, x1, y1, x2, y2
