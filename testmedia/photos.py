"""The people of synthetic videos: cut-outs of real photographs with labelled faces."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from app.types import Image
from testmedia.fetch import fetch

Rectangle = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Photo:
    """A person in a photograph of ``testmedia.fetch.MEDIA``, or in a local file.

    ``face`` is x1, y1, x2, y2 in pixels of the photograph: the median of CenterFace's boxes with
    the photograph scaled to 200, 300, 400, 640 and 960 pixels; the five agree within 5 % of the
    face's size. ``room`` pixels are added around a photograph that ends at the face, by extending
    its borders.
    """

    person: str
    medium: str
    face: Rectangle
    room: int = 0


OBAMA = Photo("obama", "obama.jpg", (373, 85, 615, 431))
OBAMA_SPEAKING = Photo("obama", "obama2.jpg", (208, 240, 478, 640))
OBAMA_STANDING = Photo("obama", "obama3.jpg", (643, 250, 918, 612))
BIDEN = Photo("biden", "biden.jpg", (434, 178, 716, 560))
GUESTS = tuple(
    Photo(f"guest-{number}", "group.jpg", face)
    for number, face in enumerate(
        (
            (57, 271, 167, 397),
            (271, 153, 370, 269),
            (465, 264, 574, 413),
            (746, 346, 846, 481),
            (902, 63, 1011, 205),
            (1134, 274, 1228, 399),
        ),
        start=1,
    )
)


@dataclass(frozen=True, slots=True)
class Cutout:
    """Head and shoulders of a photo, at one scale.

    ``pixels`` is (h, w, 4) uint8: RGB and opacity, opaque over the face and soft at the rim.
    ``face`` (4,) is the box of the face in ``pixels``.
    """

    pixels: Image
    face: tuple[float, float, float, float]


def _opacity(height: int, width: int) -> Image:
    """Return opacity (h, w) uint8: a superellipse, 255 inside, falling to 0 in the outer eighth."""
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    radius = (np.abs(x) ** 4 + np.abs(y) ** 4) ** 0.25
    return np.asarray(np.clip((1 - radius) * 8, 0, 1) * 255, np.uint8)


@lru_cache(maxsize=16)
def _cut(photo: Photo) -> Cutout:
    path = Path(photo.medium)
    picture = cv2.imread(str(path if path.is_absolute() else fetch(photo.medium)))
    if picture is None:
        raise ValueError(f"{photo.medium} is not an image")
    room = photo.room
    picture = cv2.copyMakeBorder(picture, room, room, room, room, cv2.BORDER_REPLICATE)
    x1, y1, x2, y2 = (side + room for side in photo.face)
    wide, high = x2 - x1, y2 - y1
    left, top = max(0, x1 - int(0.6 * wide)), max(0, y1 - int(0.5 * high))
    right = min(picture.shape[1], x2 + int(0.6 * wide))
    bottom = min(picture.shape[0], y2 + int(0.7 * high))
    part = cv2.cvtColor(picture[top:bottom, left:right], cv2.COLOR_BGR2RGB)
    pixels = np.dstack([part, _opacity(*part.shape[:2])])
    return Cutout(np.asarray(pixels, np.uint8), (x1 - left, y1 - top, x2 - left, y2 - top))


@lru_cache(maxsize=64)
def _halved(photo: Photo, times: int) -> Cutout:
    if times == 0:
        return _cut(photo)
    larger = _halved(photo, times - 1)
    height, width = larger.pixels.shape[:2]
    size = (width // 2, height // 2)
    x, y = size[0] / width, size[1] / height
    x1, y1, x2, y2 = larger.face
    smaller = cv2.resize(larger.pixels, size, interpolation=cv2.INTER_AREA)
    return Cutout(np.asarray(smaller, np.uint8), (x1 * x, y1 * y, x2 * x, y2 * y))


def cutout(photo: Photo, face_width: float) -> Cutout:
    """Return the cut-out for a face ``face_width`` pixels wide: the smallest that suffices.

    So drawing at most halves it, which avoids aliasing. A face larger than its photograph is
    enlarged from the photograph.
    """
    times = 0
    while times < 6 and (photo.face[2] - photo.face[0]) / 2 ** (times + 1) >= face_width:
        times += 1
    return _halved(photo, times)
