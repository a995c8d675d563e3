"""The pictures of a review: frames and faces as JPEG, hidden exactly as in the result."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator

import cv2
import numpy as np

from app.errors import UsageError
from app.geometry import clip_to_pixels, grow
from app.pipeline.rendering import Hiding
from app.plan import Plan, PlanTrack
from app.types import Frame, Image, Size
from app.video.random_access import FrameReader

_QUALITY = 88
"""Quality of the JPEGs: faces can be told apart, and a frame of 1080 lines has 300 KB."""
_FACE_REACH = 2.0
"""Side of the picture of a face in sides of its box: hair and shoulders help to know a person."""
_CACHE_BYTES = 64 << 20
"""Memory for pictures that were made: some hundred faces and frames."""
MAX_SIDE = 2160
"""Largest height of a picture in pixels."""


class Cache:
    """The last pictures, in memory only, up to a number of bytes."""

    def __init__(self, most: int = _CACHE_BYTES) -> None:
        self._most, self._used = most, 0
        self._kept: OrderedDict[object, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: object, make: Callable[[], bytes]) -> bytes:
        """Return a kept picture, or make and keep it."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        made = make()
        with self._lock:
            self._used += len(made) - len(self._kept.pop(key, b""))
            self._kept[key] = made
            while self._used > self._most and len(self._kept) > 1:
                _, old = self._kept.popitem(last=False)
                self._used -= len(old)
        return made


def hidden_frames(
    reader: FrameReader, plan: Plan | None, hiding: Hiding, stretch: tuple[int, int]
) -> Iterator[Frame]:
    """Yield the frames of a stretch, both ends inclusive, as the result shows them.

    Without a plan nothing is hidden.
    """
    for frame in reader.read(*stretch):
        if plan is not None:
            boxes = plan.regions_at(frame.index)
            if len(boxes):
                hiding.hide(frame.planes(), boxes)
        yield frame


def frame_jpeg(
    reader: FrameReader, plan: Plan | None, hiding: Hiding, number: int, height: int
) -> bytes:
    """Return a frame as JPEG of at most ``height`` lines, with square pixels.

    Raises:
        UsageError: there is no such frame.
        MediaError: it cannot be decoded.
    """
    [frame] = hidden_frames(reader, plan, hiding, (checked(reader, number), number))
    return jpeg(frame.rgb(shown_size(frame, height)))


def face_jpeg(
    reader: FrameReader, plan: Plan | None, hiding: Hiding, face: tuple[PlanTrack, int], side: int
) -> bytes:
    """Return the face of a track in a frame, with its surroundings, as a square JPEG.

    Raises:
        UsageError: the track has no such frame.
        MediaError: it cannot be decoded.
    """
    track, number = face
    if not track.first <= number <= track.last:
        raise UsageError(f"track {track.id} has no frame {number}")
    [frame] = hidden_frames(reader, plan, hiding, (number, number))
    box = track.boxes[number - track.first, 1:]
    pixels = _cut(frame, np.asarray(box))
    scaled = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA)
    return jpeg(np.asarray(scaled, np.uint8))


def checked(reader: FrameReader, number: int) -> int:
    """Return the number of a frame.

    Raises:
        UsageError: there is no such frame.
    """
    if not 0 <= number < len(reader.pts):
        raise UsageError(f"there is no frame {number}; the last one is {len(reader.pts) - 1}")
    return number


def shown_size(frame: Frame, height: int) -> Size:
    """Return the size to show a frame at: at most ``height`` lines, even, with square pixels."""
    width, lines = frame.size
    shown = min(lines, height)
    return _even(width * float(frame.pixel_aspect) * shown / lines), _even(shown)


def _even(side: float) -> int:
    return max(2, round(side / 2) * 2)


def _cut(frame: Frame, box: np.ndarray) -> Image:
    """Return a square around a box; parts outside of the frame are black."""
    centre = (box[:2] + box[2:]) / 2
    half = max(float((box[2:] - box[:2]).max()) * _FACE_REACH / 2, 1.0)
    square = np.concatenate([centre - half, centre + half]).astype(np.float32)
    region = clip_to_pixels(grow(square[None], 1.0)[0], frame.size)
    side = max(1, round(2 * half))
    pixels = np.zeros((side, side, 3), np.uint8)
    if region is not None:
        x, y = (max(0, region[i] - round(float(square[i]))) for i in (0, 1))
        part = frame.rgb(region=region)[: side - y, : side - x]
        pixels[y : y + part.shape[0], x : x + part.shape[1]] = part
    return pixels


def jpeg(pixels: Image) -> bytes:
    """Return an (h, w, 3) RGB image as JPEG."""
    options = [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]
    done, data = cv2.imencode(".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), options)
    assert done
    return data.tobytes()
