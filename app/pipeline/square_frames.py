"""View frames as they are shown, with square pixels, so that faces have their natural shape.

Detectors, landmarks and recognisers know faces of natural shape only. With a pixel aspect of 3, as
wide pixels of an anamorphic video may have, a detector finds no face in the stored pixels.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor
from typing import Final, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from app.types import Boxes, Frame, Image, Luma, Opacity, Plane, Region, SeeThroughFrame, Size

_SQUARE_ENOUGH: Final = 0.02
"""Pixels whose aspect is this close to 1 count as square. Faces differ more in their shape."""


@dataclass(frozen=True, slots=True, eq=False)
class SquareFrame:
    """A frame with its shorter pixel side stretched; implements the contract ``Frame``.

    ``stored`` is the frame, ``scale`` (x, y) the pixels of this view per stored pixel, at least 1.
    """

    stored: Frame
    scale: tuple[float, float]

    @property
    def index(self) -> int:
        """The number of the frame."""
        return self.stored.index

    @property
    def pts(self) -> int:
        """The presentation time."""
        return self.stored.pts

    @property
    def size(self) -> Size:
        """Width and height with square pixels."""
        width, height = self.stored.size
        return round(width * self.scale[0]), round(height * self.scale[1])

    @property
    def pixel_aspect(self) -> Fraction:
        """1: the pixels of this view are square."""
        return Fraction(1)

    def rgb(self, size: Size | None = None, region: Region | None = None) -> Image:
        """Return a copy of ``region`` (default: all) as RGB, scaled to ``size`` if given."""
        return self._scaled(self.stored.rgb, size, region)

    def opacity(self, size: Size | None = None, region: Region | None = None) -> Opacity | None:
        """Return the opacity of ``region``, as ``rgb``; None if the frame is opaque."""
        if not isinstance(self.stored, SeeThroughFrame):
            return None
        if self.stored.opacity((1, 1)) is None:
            return None
        read = self.stored.opacity
        return self._scaled(lambda size, region: cast("Opacity", read(size, region)), size, region)

    def _scaled(
        self,
        read: Callable[[Size | None, Region | None], NDArray[np.uint8]],
        size: Size | None,
        region: Region | None,
    ) -> NDArray[np.uint8]:
        """Read ``region`` of this view (default: all) from the stored frame, scaled to ``size``."""
        if region is None:
            return read(size or self.size, None)
        x1, y1, x2, y2 = region
        sides = x2 - x1, y2 - y1
        size = size or sides
        outer = self._outer(region)
        # Scale all stored pixels that the region touches, then cut the region out of them.
        scale = [self.scale[axis] * size[axis] / sides[axis] for axis in (0, 1)]
        whole = [max(1, round((outer[axis + 2] - outer[axis]) * scale[axis])) for axis in (0, 1)]
        left, top = (
            round(region[axis] * scale[axis] / self.scale[axis] - outer[axis] * scale[axis])
            for axis in (0, 1)
        )
        return _cut(read((whole[0], whole[1]), outer), left, top, size)

    def luma(self, size: Size, region: Region) -> Luma:
        """Return the luma of the stored pixels that ``region`` touches, averaged to ``size``."""
        return self.stored.luma(size, self._outer(region))

    def quantiser(self, region: Region) -> float | None:
        """Return the mean quantiser of ``region``; None if unknown."""
        return self.stored.quantiser(self._outer(region))

    def planes(self) -> tuple[Plane, ...]:
        """Return writable views of the stored planes."""
        return self.stored.planes()

    def _outer(self, region: Region) -> Region:
        """Return the stored pixels that a region of this view touches."""
        low = [min(floor(region[i] / self.scale[i]), self.stored.size[i] - 1) for i in (0, 1)]
        high = [min(ceil(region[i + 2] / self.scale[i]), self.stored.size[i]) for i in (0, 1)]
        return low[0], low[1], max(high[0], low[0] + 1), max(high[1], low[1] + 1)


def squared(frame: Frame) -> Frame:
    """Return a view of a frame with square pixels; itself if it has them."""
    aspect = float(frame.pixel_aspect)
    if abs(aspect - 1) <= _SQUARE_ENOUGH:
        return frame
    return SquareFrame(frame, (max(aspect, 1.0), max(1 / aspect, 1.0)))


def stored(frame: Frame) -> Frame:
    """Return the frame that was decoded, without the view."""
    return frame.stored if isinstance(frame, SquareFrame) else frame


def to_stored(boxes: Boxes, frame: Frame) -> Boxes:
    """Return boxes (N, 4) of the view ``frame`` in pixels of the decoded frame."""
    if not isinstance(frame, SquareFrame):
        return boxes
    return np.asarray(boxes / np.tile(frame.scale, 2), np.float32)


def other_stretch(frame: Frame) -> float:
    """Return the factor of the width that shows ``frame`` in its other shape; 1 if it has one.

    Players ignore the pixel aspect of images, and some ignore that of videos.
    """
    if isinstance(frame, SquareFrame):
        return 1 / float(frame.stored.pixel_aspect)
    aspect = float(frame.pixel_aspect)
    return 1.0 if abs(aspect - 1) <= _SQUARE_ENOUGH else aspect


def _cut(pixels: NDArray[np.uint8], left: int, top: int, size: Size) -> NDArray[np.uint8]:
    """Return a part of ``size``; missing pixels at its borders repeat their neighbours."""
    width, height = size
    part = pixels[max(0, top) : top + height, max(0, left) : left + width]
    missing = height - part.shape[0], width - part.shape[1]
    if any(missing):
        before = max(0, -top), max(0, -left)
        part = np.asarray(
            cv2.copyMakeBorder(
                part,
                before[0],
                missing[0] - before[0],
                before[1],
                missing[1] - before[1],
                cv2.BORDER_REPLICATE,
            ),
            np.uint8,
        )
    return np.ascontiguousarray(part)
