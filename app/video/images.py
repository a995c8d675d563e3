"""Read and write an image as a video of one frame."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import cv2
import numpy as np

from app.errors import MediaError, MediaTooLarge, OutputError, UnsupportedMedia
from app.files import PendingFile, check_destination, remove_leftovers
from app.types import (
    Boxes,
    Frame,
    Image,
    Luma,
    MediaFile,
    MediaInfo,
    Opacity,
    Plane,
    Region,
    Size,
    Stretch,
)
from app.video.container import translated
from app.video.frame import Converters, average_luma, check_region, scale_rgb
from app.video.image_codec import DecodedImage, read_image, read_size, to_rgb8
from app.video.image_encoding import encode_image, holds_16_bits, holds_alpha
from app.video.kinds import BY_SUFFIX, PHOTO_FORMATS, output_kind
from app.video.media import Media
from app.video.writing import Writing

MAX_PHOTO_PIXELS = 120_000_000
"""Pixels of the largest reference photo: that of a phone with 108 megapixels."""
_RATE = Fraction(25)
"""Frames per second that an image pretends to have."""
_OPAQUE = 255


@dataclass(frozen=True, slots=True, eq=False)
class ImageFrame:
    """The only frame of an image; implements the contract ``Frame``."""

    image: DecodedImage
    converters: Converters
    index: int = 0
    pts: int = 0

    @property
    def size(self) -> Size:
        """Width and height."""
        return self.image.size

    @property
    def pixel_aspect(self) -> Fraction:
        """Width of a pixel divided by its height, by the resolution in the file."""
        return self.image.pixel_aspect

    def rgb(self, size: Size | None = None, region: Region | None = None) -> Image:
        """Return a copy as (h, w, 3) RGB: of ``region`` (default: all), scaled to ``size``.

        Raises:
            ValueError: ``region`` is empty or not inside the image.
        """
        x1, y1, x2, y2 = region or (0, 0, *self.size)
        check_region((x1, y1, x2, y2), self.size)
        pixels = to_rgb8(self.image.pixels[y1:y2, x1:x2])
        if size is not None and size != (x2 - x1, y2 - y1):
            return scale_rgb(self.converters.scale, pixels, size)
        return pixels

    def luma(self, size: Size, region: Region) -> Luma:
        """Return the luma of ``region``, averaged to ``size``.

        Raises:
            ValueError: ``region`` is empty or not inside the image.
        """
        return average_luma(self.rgb(region=region), size)

    def quantiser(self, region: Region) -> None:
        """Return None: images have no known quantiser."""

    def planes(self) -> tuple[Plane, ...]:
        """Return one writable plane of colours, and one of opacity if the image has it."""
        pixels, alpha = self.image.pixels, self.image.alpha
        colours = Plane(pixels, 0, 0, (0,) * (1 if pixels.ndim == 2 else 3))
        if alpha is None:
            return (colours,)
        return colours, Plane(alpha, 0, 0, (np.iinfo(alpha.dtype).max,), is_alpha=True)

    def opacity(self, size: Size | None = None, region: Region | None = None) -> Opacity | None:
        """Return the opacity (h, w) of ``region`` (default: all), scaled to ``size`` if given.

        The result is None if all of the image is opaque.

        Raises:
            ValueError: ``region`` is empty or not inside the image.
        """
        x1, y1, x2, y2 = region or (0, 0, *self.size)
        check_region((x1, y1, x2, y2), self.size)
        if self.image.alpha is None:
            return None
        alpha = to_rgb8(self.image.alpha)[:, :, 0]
        if alpha.min() == _OPAQUE:
            return None
        part = np.ascontiguousarray(alpha[y1:y2, x1:x2])
        if size is not None and size != (x2 - x1, y2 - y1):
            part = cv2.resize(part, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
        return part


class ImageSource:
    """An image as a video of one frame; implements the contract ``PartialSource``.

    Raises:
        MediaError: the file is damaged.
        UnsupportedMedia: it is animated.
    """

    def __init__(self, media: Media) -> None:
        self._media = media
        self.info = MediaInfo(
            size=media.fact(read_size),
            time_base=1 / _RATE,
            rate=_RATE,
            duration=1 / _RATE,
            frames=1,
            is_image=True,
        )

    def __iter__(self) -> Iterator[ImageFrame]:
        yield ImageFrame(read_image(self._media), Converters())

    def only(self, stretches: Sequence[Stretch]) -> Iterator[ImageFrame]:
        """Return the frame if one of the stretches holds it."""
        return iter(self) if any(stretch.first == 0 for stretch in stretches) else iter(())


class ImageSink:
    """Writes an image; implements the contract ``FrameSink``.

    Raises:
        OutputError: ``output`` cannot be written, or its suffix is not that of an image.
        DiskFull: there is no space for it.
    """

    def __init__(self, media: Media, output: Path, writing: Writing) -> None:
        check_destination(output, overwrite=writing.overwrite, inputs=(media.file,))
        self._format = image_format(output)
        self._media, self._name, self._quality = media, output, writing.quality
        self._pending = PendingFile(output, overwrite=writing.overwrite)
        self._written: Size | None = None

    def write(self, frame: Frame, boxes: Boxes) -> None:  # noqa: ARG002 - part of the contract
        """Encode the frame."""
        if not isinstance(frame, ImageFrame) or self._written is not None:
            raise TypeError("expected the one frame of an image source")
        with translated(self._name, writing=True):
            data = self._encoded(frame.image)
            remove_leftovers(self._pending.path.parent)
            self._pending.claim()
            self._pending.path.write_bytes(data)
        self._written = frame.size

    def _encoded(self, image: DecodedImage) -> bytes:
        try:
            return encode_image(image, self._format, self._quality)
        except (ValueError, RuntimeError) as error:
            raise OutputError(f"{self._name}: cannot be encoded; choose another format") from error

    def commit(self) -> None:
        """Check the finished file, and move it to its name."""
        if self._written is None:
            raise MediaError(f"{self._media}: no frame was written, so there is no output")
        written = read_image(Media(self._pending.path))
        if written.size != self._written:
            raise MediaError(f"{self._name}: not written, its size would change")
        self._media.check_unchanged()
        with translated(self._name, writing=True):
            self._pending.commit()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pending.discard()


def image_format(output: Path) -> str:
    """Return Pillow's name of the image format that the suffix of ``output`` names.

    Raises:
        OutputError: the suffix is not that of an image.
    """
    kind = output_kind(output)
    if kind is None or not kind.is_image:
        known = " ".join(suffix for suffix, one in BY_SUFFIX.items() if one.is_image)
        raise OutputError(f"{output}: the input is an image; use one of {known}")
    return kind.name.upper()


def image_warnings(media: Media, output: Path) -> list[str]:
    """Return warnings, one line each, of content of an image that ``output`` cannot hold."""
    target, image = image_format(output), read_image(media)
    warnings = []
    if image.alpha is not None and not holds_alpha(target):
        warnings.append("image: the alpha channel is dropped")
    if image.lost_depth:
        warnings.append("image: its colours are reduced to 8 bits")
    if image.pixels.dtype != np.uint8 and not holds_16_bits(target, image):
        warnings.append("image: 16 bits are reduced to 8")
    if image.lost_profile or (image.profile and target == "BMP"):
        warnings.append(
            "image: its colour profile is dropped, it is not a plain one, or the format holds none;"
            " colours change"
        )
    if image.has_more_images:
        warnings.append("image: further images in the file are dropped")
    return warnings


def read_photo(file: MediaFile) -> Image:
    """Read a photo as upright (h, w, 3) uint8 RGB.

    Raises:
        MediaError: the file is missing or damaged.
        MediaTooLarge: it has more than ``MAX_PHOTO_PIXELS`` pixels.
        UnsupportedMedia: it is not a supported image.
    """
    media = Media(file)
    if not media.is_image:
        raise UnsupportedMedia(f"{media}: not a photo; give a {PHOTO_FORMATS} image")
    width, height = read_size(media)
    if width * height > MAX_PHOTO_PIXELS:
        raise MediaTooLarge(f"{media}: {width} x {height} pixels are too many; make it smaller")
    return to_rgb8(read_image(media).pixels)
