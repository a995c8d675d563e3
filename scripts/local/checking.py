"""Compare a result with its source, frame for frame, and with the truth about its faces."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

from app.types import Image

_HIDDEN = 0.35
"""The most that may be left of the detail of a hidden face. Encoding again leaves above 0.7."""
_KEPT = 0.7
_SAME = 12.0
"""The largest mean difference of a frame outside faces, in grey levels: another frame of the same
shot differs by less only where nothing moves, so times are compared too."""


def check_video(source: Path, result: Path, truth: Mapping[str, Any], listed: str) -> Iterator[str]:
    """Yield what is wrong: with frames, times and sound, and with faces hidden or not.

    Args:
        source: the source.
        result: the result.
        truth: ``frames``, and ``faces`` as frame, person and box.
        listed: the person to hide.
    """
    before, after = _pictures(source), _pictures(result)
    if not len(before) == len(after) == truth["frames"]:
        yield f"{result.name}: {len(after)} frames, but the source has {truth['frames']}"
        return
    if _times(source) != _times(result):
        yield f"{result.name}: its frames are at other times than those of the source"
    if _sound(source) != _sound(result):
        yield f"{result.name}: its sound is not that of the source"
    boxes: dict[int, list[tuple[str, list[int]]]] = {}
    for frame, person, *box in truth["faces"]:
        boxes.setdefault(frame, []).append((person, [round(value) for value in box]))
    for number, pair in enumerate(zip(before, after, strict=True)):
        yield from _check_frame(f"{result.name}, frame {number}", *pair, boxes[number], listed)


def _check_frame(
    name: str, before: Image, after: Image, faces: list[tuple[str, list[int]]], listed: str
) -> Iterator[str]:
    outside = np.ones(before.shape[:2], bool)
    for person, (x1, y1, x2, y2) in faces:
        part = slice(y1, y2), slice(x1, x2)
        width, height = x2 - x1, y2 - y1
        outside[max(0, y1 - height) : y2 + height, max(0, x1 - width) : x2 + width] = False
        left = _detail(after[part]) / _detail(before[part])
        if person == listed and left >= _HIDDEN:
            yield f"{name}: {person} is not hidden ({left:.2f} of the detail is left)"
        if person != listed and left <= _KEPT:
            yield f"{name}: {person} is hidden ({left:.2f} of the detail is left)"
    differs = np.abs(before.astype(int) - after)[outside].mean()
    if differs > _SAME:
        yield f"{name}: is another picture ({differs:.1f} grey levels away)"


def _detail(image: Image) -> float:
    grey = cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_RGB2GRAY)
    return float(cv2.Laplacian(grey, 3).std())


def _pictures(path: Path) -> list[Image]:
    with av.open(str(path)) as container:
        frames = container.decode(video=0)
        return [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in frames]


def _times(path: Path) -> list[float | None]:
    with av.open(str(path)) as container:
        return [frame.time for frame in container.decode(video=0)]


def _sound(path: Path) -> bytes:
    with av.open(str(path)) as container:
        return b"".join(bytes(packet) for packet in container.demux(audio=0))
