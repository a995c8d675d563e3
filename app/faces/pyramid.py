"""Many parts of a picture at one size: sampled together, and without aliasing."""

import cv2
import numpy as np
from numpy.typing import NDArray

from app.types import Boxes, Image, Size

LEAST = 12
"""A half whose shorter side would be less, in pixels, is not made."""
GREY = 127
"""What is beyond a picture: to networks that take values from -1 to 1 it is nothing."""


class Halves:
    """A picture, its half, the half of that, and so on.

    What is sampled bilinearly from the smallest of them that still has enough pixels is at most
    halved, so no pixel is jumped over.
    """

    def __init__(self, image: Image) -> None:
        self.size: Size = (image.shape[1], image.shape[0])
        self._images = [image]
        while min(self._images[-1].shape[:2]) >= 2 * LEAST:
            last = self._images[-1]
            half = (last.shape[1] // 2, last.shape[0] // 2)
            self._images.append(_resized(last, half, cv2.INTER_AREA))

    def scaled(self, size: Size, margin: int = 0) -> Image:
        """The whole picture at a size, and the pixels of its edge repeated in a margin around it.

        Returned is (h + 2 * margin, w + 2 * margin, 3).
        """
        ratio = np.asarray([self.size[0] / size[0]])
        whole = _resized(self._images[self._levels(ratio)[0]], size, cv2.INTER_LINEAR)
        return np.pad(whole, ((margin, margin), (margin, margin), (0, 0)), mode="edge")

    def crops(self, boxes: Boxes, side: int) -> NDArray[np.uint8]:
        """(N, side, side, 3) of N squares (N, 4); grey where they overhang the picture.

        ``N * side`` must be less than 32,767: OpenCV counts rows in 16 bits.
        """
        out = np.empty((len(boxes), side, side, 3), np.uint8)
        levels = self._levels((boxes[:, 2] - boxes[:, 0]) / side)
        for level in np.unique(levels):
            chosen = levels == level
            out[chosen] = _cut(self._images[level], boxes[chosen], side, self.size)
        return out

    def _levels(self, ratios: NDArray[np.floating]) -> NDArray[np.intp]:
        """For each reduction the smallest half that does not have to be enlarged for it."""
        octaves = np.floor(np.log2(np.maximum(ratios, 1)))
        return np.asarray(np.minimum(octaves, len(self._images) - 1), np.intp)


def _resized(image: Image, size: Size, interpolation: int) -> Image:
    return np.asarray(cv2.resize(image, size, interpolation=interpolation), np.uint8)


def _cut(image: Image, boxes: Boxes, side: int, size: Size) -> NDArray[np.uint8]:
    """Crops of boxes in pixels of a picture of ``size``, of which ``image`` is a copy."""
    scale = np.asarray(image.shape[1::-1], np.float32) / np.asarray(size, np.float32)
    steps = (np.arange(side, dtype=np.float32) + 0.5) / side
    # pixels are squares, not points: the centre of the first one lies at 0.5
    x, y = (
        (boxes[:, [axis]] + (boxes[:, [axis + 2]] - boxes[:, [axis]]) * steps) * scale[axis] - 0.5
        for axis in (0, 1)
    )
    shape = (len(boxes), side, side)
    at_x = np.broadcast_to(x[:, None, :], shape).reshape(-1, side)
    at_y = np.broadcast_to(y[:, :, None], shape).reshape(-1, side)
    drawn = cv2.remap(
        image,
        at_x,
        at_y,
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_CONSTANT,
        borderValue=(GREY, GREY, GREY),
    )
    return np.asarray(drawn, np.uint8).reshape(*shape, 3)
