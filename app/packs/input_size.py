"""What detectors share: pictures of every size for networks that want multiples of 32."""

from dataclasses import dataclass

import cv2
import numpy as np

from app.types import Faces, Image, Size

COMMON = 0.35
"""Score on the scale that all detectors share, CenterFace's, from which a find mostly is a face."""
TRANSNET_SIZE = (48, 27)
"""Width and height of the frames that TransNet V2 takes."""
SIDE_UNIT = 32
"""Sides of the input are multiples of this."""
ENLARGED = 2
"""A small picture is enlarged by this at most: beyond it nothing more is seen."""


def padded(side: int) -> int:
    """The next multiple of ``SIDE_UNIT``.

    >>> padded(1), padded(64), padded(65)
    (32, 64, 96)
    """
    return -(-side // SIDE_UNIT) * SIDE_UNIT


@dataclass(frozen=True, slots=True)
class InputSize:
    """In which size whole pictures are looked at: large enough for small faces, no larger.

    ``reduction`` divides the sides of a picture; the longer one is then brought between ``least``
    and ``most`` pixels. With 1.5 a face of 24 pixels is seen at 16, the least that the networks
    find reliably.
    """

    reduction: float = 1.5
    least: int = 640
    most: int = 1920

    def scale(self, size: Size) -> float:
        """By how much a picture is scaled; at most ``ENLARGED``.

        Raises:
            ValueError: the size is not positive.
        """
        if min(size) < 1:
            raise ValueError(f"size: expected positive sides, got {size}")
        longest = min(max(max(size) / self.reduction, self.least), self.most)
        return float(min(longest / max(size), ENLARGED))

    def of(self, size: Size) -> Size:
        """Width and height; multiples of ``SIDE_UNIT`` where the picture is reduced.

        Raises:
            ValueError: the size is not positive.

        >>> InputSize().of((1920, 1080)), InputSize().of((176, 144))
        ((1280, 704), (352, 288))
        """
        width, height = size
        scale = self.scale(size)
        if scale >= 1:
            return round(width * scale), round(height * scale)
        rounded = [max(1, round(side * scale / SIDE_UNIT)) * SIDE_UNIT for side in size]
        return rounded[0], rounded[1]


WHOLE = InputSize()


def enlarged(image: Image, smallest: int) -> Image:
    """The picture itself, or a larger copy of one whose longer side is below ``smallest`` pixels.

    Raises:
        ValueError: the picture is not (h, w, 3) uint8, or empty.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise ValueError(f"image: expected (h, w, 3) uint8, got {image.shape} {image.dtype}")
    height, width = image.shape[:2]
    scale = smallest / max(height, width)
    if scale <= 1:
        return image
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_LINEAR), np.uint8)


def on_canvas(image: Image, size: Size | None = None) -> Image:
    """The picture with black at its right and bottom, up to ``size``.

    Args:
        image: (h, w, 3) uint8.
        size: not smaller than the picture; default: the next multiples of ``SIDE_UNIT``.
    """
    height, width = image.shape[:2]
    columns, rows = size or (padded(width), padded(height))
    canvas = np.zeros((rows, columns, 3), np.uint8)
    canvas[:height, :width] = image
    return canvas


def restored(faces: Faces, seen: Image, image: Image) -> Faces:
    """Faces of the picture that was looked at, in pixels of the one that was given."""
    if seen.shape == image.shape:
        return faces
    scale = (image.shape[1] / seen.shape[1], image.shape[0] / seen.shape[0])
    return faces.moved(scale, (0.0, 0.0))
