"""A decoded picture: upright views of its planes, and conversion to RGB."""

import threading
from dataclasses import dataclass
from typing import Any

import av
import cv2
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from app.types import Image, Luma, Plane, Region, Size
from app.video.orientation import Orientation
from app.video.pixel_formats import FULL_RANGE, Layout, PlaneLayout, layout
from app.video.sidedata import quantisers

_UNSPECIFIED = 2
_HD_LINES = 720
THUMBNAIL = 8
"""Reduction from which a picture is a thumbnail: looked at as a whole, not for faces."""
_REACH = 4
_GRID = 8
_MACROBLOCK = 16
"""Side in pixels of the blocks that have a quantiser in H.264."""


class Converters(threading.local):
    """The scaler contexts of one source, one set for each thread: making them is not free."""

    def __init__(self) -> None:
        self.whole = VideoReformatter()
        self.crop = VideoReformatter()
        self.scale = VideoReformatter()


@dataclass(frozen=True, slots=True, eq=False)
class DecodedFrame:
    """One picture of a file; implements the contract ``Frame``.

    ``picture`` is the coded picture as the decoder made it (not turned), in a format that
    ``formats.layout`` knows. ``pts`` is in units of the source's time base.
    """

    index: int
    pts: int
    picture: av.VideoFrame
    orientation: Orientation
    converters: Converters

    @property
    def size(self) -> Size:
        """Width and height of the upright picture."""
        return self.orientation.size((self.picture.width, self.picture.height))

    def rgb(self, size: Size | None = None, region: Region | None = None) -> Image:
        """A copy as (h, w, 3) RGB: of ``region`` (default: all), scaled to ``size``.

        Colour matrix and range are those of the stream; where it does not say, BT.709 from 720
        lines on and BT.601 below, as players do. A region that is not scaled is exactly that part
        of the whole for 8-bit pictures of even size; deeper ones may differ in their chroma by half
        a sample, because a cut picture cannot be told where its chroma samples lie.

        Raises:
            ValueError: ``region`` is empty or not inside the picture.
        """
        if region is None or region == (0, 0, *self.size):
            return self._whole(size)
        check_region(region, self.size)
        pixels = self._cut(self.orientation.coded(region, self.size))
        wanted = self._coded_size(size)
        if wanted is not None and wanted != (pixels.shape[1], pixels.shape[0]):
            pixels = scaled(self.converters.scale, pixels, wanted)
        return self._upright(pixels)

    def luma(self, size: Size, region: Region) -> Luma:
        """How light ``region`` is, averaged to ``size``: (h, w), in steps of 8 bits.

        A fraction of the cost of ``rgb``: the plane of luma is read where it is. Limited range
        stays limited.

        Raises:
            ValueError: ``region`` is empty or not inside the picture.
        """
        kinds = layout(self.picture.format.name)
        if kinds.is_rgb:
            return averaged(self.rgb(region=region), size)
        check_region(region, self.size)
        x1, y1, x2, y2 = region
        pixels = self.orientation.upright(plane_pixels(self.picture, kinds.planes[0]))
        return averaged(np.ascontiguousarray(pixels[y1:y2, x1:x2]), size) / np.float32(kinds.step)

    def quantiser(self, region: Region) -> float | None:
        """The mean quantiser of ``region``, if this is H.264; its source must ask for it.

        Raises:
            ValueError: ``region`` is empty or not inside the picture.
        """
        check_region(region, self.size)
        values = quantisers(self.picture)
        if values is None:
            return None
        x1, y1, x2, y2 = self.orientation.coded(region, self.size)
        rows = slice(y1 // _MACROBLOCK, -(-y2 // _MACROBLOCK))
        columns = slice(x1 // _MACROBLOCK, -(-x2 // _MACROBLOCK))
        return float(values[rows, columns].mean())

    def planes(self) -> tuple[Plane, ...]:
        """Upright writable views of the planes, alpha left out.

        Takes the picture from the decoder first, so that no picture it still refers to changes.
        """
        self.picture.make_writable()
        kinds = layout(self.picture.format.name)
        full = kinds.is_full_range(self.picture.color_range)
        return tuple(self._plane(kind, full) for kind in kinds.planes if not kind.is_alpha)

    def _plane(self, kind: PlaneLayout, full: bool) -> Plane:
        shifts = kind.shift_x, kind.shift_y
        shift_x, shift_y = reversed(shifts) if self.orientation.transpose else shifts
        pixels = self.orientation.upright(plane_pixels(self.picture, kind))
        return Plane(pixels, shift_x, shift_y, kind.black(full=full))

    def _coded_size(self, size: Size | None) -> Size | None:
        return None if size is None else self.orientation.size(size)

    def _upright(self, pixels: Image) -> Image:
        return np.ascontiguousarray(self.orientation.upright(pixels))

    def _whole(self, size: Size | None) -> Image:
        width, height = self._coded_size(size) or (None, None)
        return self._upright(
            to_rgb(self.converters.whole, self.picture, width, height, self.matrix)
        )

    @property
    def matrix(self) -> int:
        """The colour matrix (H.273 code point), guessed where the stream does not say."""
        if self.picture.colorspace != _UNSPECIFIED:
            return self.picture.colorspace
        return 1 if self.picture.height >= _HD_LINES else 5

    def _cut(self, region: Region) -> Image:
        """The coded region as RGB: only its rows are copied and converted."""
        kinds = layout(self.picture.format.name)
        grid = aligned(region, kinds, (self.picture.width, self.picture.height))
        small = cut(self.picture, grid, kinds)
        pixels = to_rgb(self.converters.crop, small, None, None, self.matrix)
        x1, y1 = region[0] - grid[0], region[1] - grid[1]
        return pixels[y1 : y1 + region[3] - region[1], x1 : x1 + region[2] - region[0]]


def check_region(region: Region, size: Size) -> None:
    """Whether ``region`` is some part of a picture of ``size``.

    Raises:
        ValueError: it is empty or overhangs.
    """
    x1, y1, x2, y2 = region
    if not (0 <= x1 < x2 <= size[0] and 0 <= y1 < y2 <= size[1]):
        raise ValueError(f"region {region} is not inside the picture of {size[0]} x {size[1]}")


def averaged(pixels: NDArray[Any], size: Size) -> Luma:
    """How light RGB pixels (h, w, 3), or those of one plane (h, w), are, averaged to ``size``."""
    light = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY) if pixels.ndim == 3 else pixels
    return np.asarray(cv2.resize(light, size, interpolation=cv2.INTER_AREA), np.float32)


def plane_pixels(picture: av.VideoFrame, kind: PlaneLayout) -> NDArray[Any]:
    """A view of one plane, (h, w) or (h, w, c), without the padding of its lines."""
    plane = picture.planes[kind.index]
    step = abs(plane.line_size)
    pixel = kind.channels * kind.itemsize
    shape: tuple[int, ...] = (plane.height, plane.width)
    strides: tuple[int, ...] = (plane.line_size, pixel)
    if kind.channels > 1:
        shape, strides = (*shape, kind.channels), (*strides, kind.itemsize)
    # A negative line size means that the first line lies last in memory.
    offset = (plane.height - 1) * step if plane.line_size < 0 else 0
    dtype = np.uint8 if kind.itemsize == 1 else np.uint16
    return np.ndarray(shape, dtype, memoryview(plane), offset, strides)


def aligned(region: Region, kinds: Layout, size: Size) -> Region:
    """``region`` grown by the pixels that converters look at around it.

    It lies on a grid of eight pixels, which holds whole chroma samples and the pattern that the
    scaler dithers with, and is even, as its faster ways demand: so its pixels are those of the
    whole picture (of even size).
    """
    x1, y1, x2, y2 = region
    reach_x, reach_y = (_REACH << shift for shift in kinds.shifts)
    return (
        max(0, (x1 - reach_x) // _GRID * _GRID),
        max(0, (y1 - reach_y) // _GRID * _GRID),
        min(size[0], -(-(x2 + reach_x) // _GRID) * _GRID),
        min(size[1], -(-(y2 + reach_y) // _GRID) * _GRID),
    )


def cut(picture: av.VideoFrame, region: Region, kinds: Layout) -> av.VideoFrame:
    """A picture of its own of a region that is aligned to the chroma samples."""
    x1, y1, x2, y2 = region
    small = av.VideoFrame(x2 - x1, y2 - y1, kinds.name)
    small.colorspace, small.color_range = picture.colorspace, picture.color_range
    for kind in kinds.planes:
        target = plane_pixels(small, kind)
        top, left = y1 >> kind.shift_y, x1 >> kind.shift_x
        rows, columns = target.shape[:2]
        target[:] = plane_pixels(picture, kind)[top : top + rows, left : left + columns]
    return small


def _interpolation(width: int, wanted: int | None) -> Interpolation:
    """Thumbnails may be sampled, at a seventh of the cost; faces must be averaged."""
    tiny = wanted is not None and wanted * THUMBNAIL <= width
    return Interpolation.FAST_BILINEAR if tiny else Interpolation.BILINEAR


def to_rgb(
    converter: VideoReformatter,
    picture: av.VideoFrame,
    width: int | None,
    height: int | None,
    matrix: int,
) -> Image:
    """``picture`` as (h, w, 3) RGB, scaled to ``width`` x ``height`` where given."""
    kinds = layout(picture.format.name)
    full = kinds.is_full_range(picture.color_range)
    converted = converter.reformat(
        picture,
        width,
        height,
        "rgb24",
        src_colorspace=None if kinds.is_rgb else matrix,
        src_color_range=FULL_RANGE if full else 1,
        interpolation=_interpolation(picture.width, width),
        threads=1,
    )
    pixels = converted.to_ndarray()
    return np.ascontiguousarray(pixels, dtype=np.uint8)


def scaled(converter: VideoReformatter, pixels: Image, size: Size) -> Image:
    """RGB pixels of another size."""
    picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
    scaled = converter.reformat(picture, size[0], size[1], "rgb24", threads=1)
    return np.ascontiguousarray(scaled.to_ndarray(), dtype=np.uint8)
