"""Prepare images for detectors: enlarge, pad, and sample at many scales without aliasing."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from app.packs.description import SIDE_MULTIPLE
from app.types import Boxes, Faces, Image, Size

MIN_LONGER_SIDE: Final = 64
"""Images whose longer side has fewer pixels are enlarged: detectors miss tiny faces."""
_MIN_LEVEL_SIDE: Final = 12
"""Smallest shorter side of a level of a pyramid, in pixels."""
_GREY: Final = 127
"""Colour outside an image. For networks whose input is scaled to -1..1 it is almost 0."""


def check_image(image: Image) -> None:
    """Check that an image is (h, w, 3) uint8 and not empty.

    Raises:
        ValueError: it is not.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise ValueError(f"image: expected (h, w, 3) uint8, got {image.shape} {image.dtype}")


def padded_side(side: int) -> int:
    """Round a side up to the next multiple of ``SIDE_MULTIPLE``.

    >>> padded_side(1), padded_side(64), padded_side(65)
    (32, 64, 96)
    """
    return -(-side // SIDE_MULTIPLE) * SIDE_MULTIPLE


def enlarge_small(image: Image) -> Image:
    """Enlarge an image whose longer side is below ``MIN_LONGER_SIDE``; return others unchanged.

    Raises:
        ValueError: the image is not (h, w, 3) uint8, or is empty.
    """
    check_image(image)
    height, width = image.shape[:2]
    scale = MIN_LONGER_SIDE / max(height, width)
    if scale <= 1:
        return image
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return _resize(image, size, cv2.INTER_LINEAR)


def pad_image(image: Image, size: Size | None = None) -> Image:
    """Add black at the right and at the bottom.

    Args:
        image: (h, w, 3) uint8.
        size: the new size, at least that of the image; default: the next multiples of
            ``SIDE_MULTIPLE``.
    """
    height, width = image.shape[:2]
    columns, rows = size or (padded_side(width), padded_side(height))
    canvas = np.zeros((rows, columns, 3), np.uint8)
    canvas[:height, :width] = image
    return canvas


def to_original(faces: Faces, enlarged: Image, image: Image) -> Faces:
    """Convert faces from pixels of an enlarged image to pixels of the original image."""
    if enlarged.shape == image.shape:
        return faces
    scale = (image.shape[1] / enlarged.shape[1], image.shape[0] / enlarged.shape[0])
    return faces.moved(scale, (0.0, 0.0))


class ImagePyramid:
    """An image and smaller copies of it, each half as large as the one before.

    Samples are taken bilinearly from the smallest copy that still has enough pixels. They reduce it
    by less than two, so that no pixel is skipped.
    """

    def __init__(self, image: Image) -> None:
        self.size: Size = (image.shape[1], image.shape[0])
        self._levels = [image]
        while min(self._levels[-1].shape[:2]) >= 2 * _MIN_LEVEL_SIDE:
            last = self._levels[-1]
            half = (last.shape[1] // 2, last.shape[0] // 2)
            self._levels.append(_resize(last, half, cv2.INTER_AREA))

    def scaled(self, size: Size, margin: int = 0) -> Image:
        """Return the image at another size, with its edge pixels repeated in a margin around it.

        The result is (h + 2 * margin, w + 2 * margin, 3).
        """
        ratio = np.asarray([self.size[0] / size[0]])
        resized = _resize(self._levels[self._level_numbers(ratio)[0]], size, cv2.INTER_LINEAR)
        return np.pad(resized, ((margin, margin), (margin, margin), (0, 0)), mode="edge")

    def crops(self, boxes: Boxes, side: int) -> NDArray[np.uint8]:
        """Return the contents of N squares (N, 4) as (N, side, side, 3), grey outside the image.

        ``N * side`` must be less than 32,767, because OpenCV counts rows in 16 bits.
        """
        out = np.empty((len(boxes), side, side, 3), np.uint8)
        numbers = self._level_numbers((boxes[:, 2] - boxes[:, 0]) / side)
        for number in np.unique(numbers):
            chosen = numbers == number
            out[chosen] = _crop(self._levels[number], boxes[chosen], side, self.size)
        return out

    def _level_numbers(self, ratios: NDArray[np.floating]) -> NDArray[np.intp]:
        """Return, for each reduction, the smallest level that need not be enlarged."""
        octaves = np.floor(np.log2(np.maximum(ratios, 1)))
        return np.asarray(np.minimum(octaves, len(self._levels) - 1), np.intp)


def _resize(image: Image, size: Size, interpolation: int) -> Image:
    return np.asarray(cv2.resize(image, size, interpolation=interpolation), np.uint8)


def _crop(image: Image, boxes: Boxes, side: int, size: Size) -> NDArray[np.uint8]:
    """Sample squares of ``image``; the boxes are in pixels of an image of ``size``."""
    scale = np.asarray(image.shape[1::-1], np.float32) / np.asarray(size, np.float32)
    steps = (np.arange(side, dtype=np.float32) + 0.5) / side
    # Pixels are squares, not points: the centre of the first one is at 0.5.
    x, y = (
        (boxes[:, [axis]] + (boxes[:, [axis + 2]] - boxes[:, [axis]]) * steps) * scale[axis] - 0.5
        for axis in (0, 1)
    )
    shape = (len(boxes), side, side)
    sampled = cv2.remap(
        image,
        np.broadcast_to(x[:, None, :], shape).reshape(-1, side),
        np.broadcast_to(y[:, :, None], shape).reshape(-1, side),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(_GREY, _GREY, _GREY),
    )
    return np.asarray(sampled, np.uint8).reshape(*shape, 3)
