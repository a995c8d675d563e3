"""A decoded frame: upright views of its planes, and conversion to RGB."""

import threading
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import av
import cv2
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

from app.types import Image, Luma, Plane, Region, Size
from app.video.orientation import Orientation
from app.video.pixel_aspect import SQUARE
from app.video.pixel_formats import FULL_RANGE, Layout, PlaneLayout, layout
from app.video.sidedata import quantisers

_UNSPECIFIED = 2
"""The colour matrix of a stream that does not specify one (H.273, table 4)."""
_BT709, _BT601 = 1, 5
_HD_LINES = 720
_LIMITED_RANGE = 1
"""``AVCOL_RANGE_MPEG``."""
_THUMBNAIL_REDUCTION = 8
"""Reduction from which a frame is a thumbnail: it is viewed as a whole, not searched for faces."""
_CHROMA_REACH = 4
"""Chroma samples around a region that converters read."""
_GRID = 8
_MACROBLOCK = 16
"""Side in pixels of the blocks that have a quantiser in H.264."""


class Converters(threading.local):
    """The scaler contexts of one source, one set for each thread: creating them takes time."""

    def __init__(self) -> None:
        self.whole = VideoReformatter()
        self.crop = VideoReformatter()
        self.scale = VideoReformatter()


@dataclass(frozen=True, slots=True, eq=False)
class DecodedFrame:
    """One frame of a video; implements the contract ``Frame``.

    Several threads may read it at the same time. The library changes the colour tags of a frame
    while it converts it, and puts them back afterwards: so conversions take turns.

    Attributes:
        index: the number of the frame, from 0.
        pts: the presentation time, in units of the source's time base.
        picture: the frame of the decoder, not turned upright, in a pixel format that
            ``pixel_formats.layout`` knows.
        orientation: how ``picture`` is turned upright.
        converters: the scaler contexts of the source.
        coded_aspect: width of a pixel of ``picture`` divided by its height, as it is shown.
    """

    index: int
    pts: int
    picture: av.VideoFrame
    orientation: Orientation
    converters: Converters
    coded_aspect: Fraction = SQUARE
    _turn: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def size(self) -> Size:
        """Width and height of the upright frame."""
        return self.orientation.size((self.picture.width, self.picture.height))

    @property
    def pixel_aspect(self) -> Fraction:
        """Width of a pixel of the upright frame divided by its height."""
        return 1 / self.coded_aspect if self.orientation.transpose else self.coded_aspect

    def rgb(self, size: Size | None = None, region: Region | None = None) -> Image:
        """Return a copy as (h, w, 3) RGB: of ``region`` (default: all), scaled to ``size``.

        Colour matrix and range are those of the stream. If it does not specify a matrix, it is
        BT.709 from 720 lines on and BT.601 below, as in players. An unscaled region of an 8-bit
        frame of even size equals that part of the whole. In deeper frames its chroma may differ by
        half a sample, because the position of chroma samples cannot be set for a cut-out frame.

        Raises:
            ValueError: ``region`` is empty or not inside the frame.
        """
        if region is None or region == (0, 0, *self.size):
            return self._whole(size)
        check_region(region, self.size)
        pixels = self._cut_rgb(self.orientation.coded(region, self.size))
        coded_size = self._coded_size(size)
        if coded_size is not None and coded_size != (pixels.shape[1], pixels.shape[0]):
            pixels = scale_rgb(self.converters.scale, pixels, coded_size)
        return self._upright(pixels)

    def luma(self, size: Size, region: Region) -> Luma:
        """Return the luma of ``region``, averaged to ``size``: (h, w) float32, on the 8-bit scale.

        It costs a fraction of ``rgb``, because the luma plane is read in place. Limited range
        stays limited.

        Raises:
            ValueError: ``region`` is empty or not inside the frame.
        """
        planes = layout(self.picture.format.name)
        if planes.is_rgb:
            return average_luma(self.rgb(region=region), size)
        check_region(region, self.size)
        x1, y1, x2, y2 = region
        pixels = self.orientation.upright(plane_pixels(self.picture, planes.planes[0]))
        light = average_luma(np.ascontiguousarray(pixels[y1:y2, x1:x2]), size)
        return light / np.float32(planes.step)

    def quantiser(self, region: Region) -> float | None:
        """Return the mean quantiser of ``region``, None if it is unknown.

        It is known for H.264, if the decoder exports quantisers.

        Raises:
            ValueError: ``region`` is empty or not inside the frame.
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
        """Return upright writable views of the planes, without alpha.

        The frame is copied first if the decoder still refers to it.
        """
        self.picture.make_writable()
        format_ = layout(self.picture.format.name)
        full = format_.is_full_range(self.picture.color_range)
        return tuple(self._plane(plane, full) for plane in format_.planes if not plane.is_alpha)

    def _plane(self, plane: PlaneLayout, full: bool) -> Plane:
        shifts = plane.shift_x, plane.shift_y
        shift_x, shift_y = reversed(shifts) if self.orientation.transpose else shifts
        pixels = self.orientation.upright(plane_pixels(self.picture, plane))
        return Plane(pixels, shift_x, shift_y, plane.black(full=full))

    def _coded_size(self, size: Size | None) -> Size | None:
        return None if size is None else self.orientation.size(size)

    def _upright(self, pixels: Image) -> Image:
        return np.ascontiguousarray(self.orientation.upright(pixels))

    def _whole(self, size: Size | None) -> Image:
        width, height = self._coded_size(size) or (None, None)
        with self._turn:
            pixels = _to_rgb(self.converters.whole, self.picture, width, height, self.matrix)
        return self._upright(pixels)

    @property
    def matrix(self) -> int:
        """The colour matrix (H.273 code point), by the number of lines if it is unspecified."""
        if self.picture.colorspace != _UNSPECIFIED:
            return self.picture.colorspace
        return _BT709 if self.picture.height >= _HD_LINES else _BT601

    def _cut_rgb(self, region: Region) -> Image:
        """Return a coded region as RGB; only the region is copied and converted."""
        format_ = layout(self.picture.format.name)
        aligned = _align(region, format_, (self.picture.width, self.picture.height))
        with self._turn:
            matrix, cut = self.matrix, _cut(self.picture, aligned, format_)
        pixels = _to_rgb(self.converters.crop, cut, None, None, matrix)
        x1, y1 = region[0] - aligned[0], region[1] - aligned[1]
        return pixels[y1 : y1 + region[3] - region[1], x1 : x1 + region[2] - region[0]]


def check_region(region: Region, size: Size) -> None:
    """Check that ``region`` is a part of a frame of ``size``.

    Raises:
        ValueError: it is empty, or reaches beyond the frame.
    """
    x1, y1, x2, y2 = region
    if not (0 <= x1 < x2 <= size[0] and 0 <= y1 < y2 <= size[1]):
        raise ValueError(f"region {region} is not inside the frame of {size[0]} x {size[1]}")


def average_luma(pixels: NDArray[Any], size: Size) -> Luma:
    """Return the luma of RGB (h, w, 3) or of one plane (h, w), averaged to ``size``."""
    light = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY) if pixels.ndim == 3 else pixels
    return np.asarray(cv2.resize(light, size, interpolation=cv2.INTER_AREA), np.float32)


def plane_pixels(picture: av.VideoFrame, form: PlaneLayout) -> NDArray[Any]:
    """Return a view of one plane, (h, w) or (h, w, c), without the padding of its lines."""
    plane = picture.planes[form.index]
    shape: tuple[int, ...] = (plane.height, plane.width)
    strides: tuple[int, ...] = (plane.line_size, form.channels * form.itemsize)
    if form.channels > 1:
        shape, strides = (*shape, form.channels), (*strides, form.itemsize)
    # A negative line size means that the first line lies last in memory.
    offset = (plane.height - 1) * abs(plane.line_size) if plane.line_size < 0 else 0
    dtype = np.uint8 if form.itemsize == 1 else np.uint16
    return np.ndarray(shape, dtype, memoryview(plane), offset, strides)


def _align(region: Region, format_: Layout, size: Size) -> Region:
    """Extend ``region`` by the pixels that converters read around it, to a grid of 8 pixels.

    The grid holds whole chroma samples and the dither pattern of the scaler, and its even sizes
    allow the same fast paths. So the pixels equal those of the whole frame (of even size).
    """
    x1, y1, x2, y2 = region
    reach_x, reach_y = (_CHROMA_REACH << shift for shift in format_.shifts)
    return (
        max(0, (x1 - reach_x) // _GRID * _GRID),
        max(0, (y1 - reach_y) // _GRID * _GRID),
        min(size[0], -(-(x2 + reach_x) // _GRID) * _GRID),
        min(size[1], -(-(y2 + reach_y) // _GRID) * _GRID),
    )


def _cut(picture: av.VideoFrame, region: Region, format_: Layout) -> av.VideoFrame:
    """Return a region, which is aligned to the chroma samples, as a frame of its own."""
    x1, y1, x2, y2 = region
    small = av.VideoFrame(x2 - x1, y2 - y1, format_.name)
    small.colorspace, small.color_range = picture.colorspace, picture.color_range
    for plane in format_.planes:
        target = plane_pixels(small, plane)
        top, left = y1 >> plane.shift_y, x1 >> plane.shift_x
        rows, columns = target.shape[:2]
        target[:] = plane_pixels(picture, plane)[top : top + rows, left : left + columns]
    return small


def _interpolation(width: int, target_width: int | None) -> Interpolation:
    """Return the interpolation: thumbnails are sampled, at a seventh of the cost of averaging."""
    tiny = target_width is not None and target_width * _THUMBNAIL_REDUCTION <= width
    return Interpolation.FAST_BILINEAR if tiny else Interpolation.BILINEAR


def _to_rgb(
    converter: VideoReformatter,
    picture: av.VideoFrame,
    width: int | None,
    height: int | None,
    matrix: int,
) -> Image:
    """Return ``picture`` as (h, w, 3) RGB, scaled to ``width`` x ``height`` if given."""
    format_ = layout(picture.format.name)
    full = format_.is_full_range(picture.color_range)
    converted = converter.reformat(
        picture,
        width,
        height,
        "rgb24",
        src_colorspace=None if format_.is_rgb else matrix,
        src_color_range=FULL_RANGE if full else _LIMITED_RANGE,
        interpolation=_interpolation(picture.width, width),
        threads=1,
    )
    pixels = converted.to_ndarray()
    return np.ascontiguousarray(pixels, dtype=np.uint8)


def scale_rgb(converter: VideoReformatter, pixels: Image, size: Size) -> Image:
    """Scale RGB pixels (h, w, 3) to ``size``."""
    picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
    scaled = converter.reformat(picture, size[0], size[1], "rgb24", threads=1)
    return np.ascontiguousarray(scaled.to_ndarray(), dtype=np.uint8)
