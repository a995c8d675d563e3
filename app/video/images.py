"""Images: films of one frame."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from app.errors import MediaError, OutputError, UnsupportedMedia
from app.files import PendingFile, check_destination
from app.types import (
    Boxes,
    Frame,
    Image,
    Luma,
    MediaFile,
    MediaInfo,
    Plane,
    Region,
    Size,
    Stretch,
)
from app.video.container import translated
from app.video.frame import Converters, averaged, check_region, scaled
from app.video.image_codec import Picture, encode, read_picture, to_rgb8
from app.video.kinds import BY_SUFFIX, output_kind
from app.video.media import Media
from app.video.writing import Writing

_RATE = Fraction(25)


@dataclass(frozen=True, slots=True, eq=False)
class ImageFrame:
    """The only frame of an image; implements the contract ``Frame``."""

    picture: Picture
    converters: Converters
    index: int = 0
    pts: int = 0

    @property
    def size(self) -> Size:
        """Width and height."""
        return self.picture.size

    def rgb(self, size: Size | None = None, region: Region | None = None) -> Image:
        """A copy as (h, w, 3) RGB: of ``region`` (default: all), scaled to ``size``.

        Raises:
            ValueError: ``region`` is empty or not inside the picture.
        """
        x1, y1, x2, y2 = region or (0, 0, *self.size)
        check_region((x1, y1, x2, y2), self.size)
        pixels = to_rgb8(self.picture.pixels[y1:y2, x1:x2])
        if size is not None and size != (x2 - x1, y2 - y1):
            return scaled(self.converters.scale, pixels, size)
        return pixels

    def luma(self, size: Size, region: Region) -> Luma:
        """How light ``region`` is, scaled to ``size``.

        Raises:
            ValueError: ``region`` is empty or not inside the picture.
        """
        return averaged(self.rgb(region=region), size)

    def quantiser(self, region: Region) -> None:
        """Not known of images."""

    def planes(self) -> tuple[Plane, ...]:
        """One writable plane; transparency is left out."""
        pixels = self.picture.pixels
        return (Plane(pixels, 0, 0, (0,) * (1 if pixels.ndim == 2 else 3)),)


class ImageSource:
    """An image as a film of one frame; implements the contract ``PartialSource``.

    Raises:
        MediaError: the file is damaged.
        UnsupportedMedia: it is animated.
    """

    def __init__(self, media: Media) -> None:
        self._media = media
        self.info = MediaInfo(
            size=media.fact(_size),
            time_base=1 / _RATE,
            rate=_RATE,
            duration=1 / _RATE,
            frames=1,
            is_image=True,
        )

    def __iter__(self) -> Iterator[ImageFrame]:
        yield ImageFrame(read_picture(self._media), Converters())

    def only(self, stretches: Sequence[Stretch]) -> Iterator[ImageFrame]:
        """The frame, if it is wanted."""
        return iter(self) if any(stretch.first == 0 for stretch in stretches) else iter(())


def _size(media: Media) -> Size:
    return read_picture(media).size


class ImageSink:
    """Writes an image; implements the contract ``FrameSink``.

    Raises:
        OutputError: ``output`` cannot be written, or is not an image by its suffix.
        DiskFull: there is no room.
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
            data = encode(frame.picture, self._format, self._quality)
            self._pending.path.write_bytes(data)
        self._written = frame.size

    def commit(self) -> None:
        """Look at the finished file, and move it to its name."""
        if self._written is None:
            raise MediaError(f"{self._media}: no frame was written; nothing to put in place")
        found = read_picture(Media(self._pending.path))
        if found.size != self._written:
            raise MediaError(f"{self._name}: not written, its size would change")
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
    """Pillow's name of the image format that the suffix of ``output`` names.

    Raises:
        OutputError: the suffix is not one of an image.
    """
    kind = output_kind(output)
    if kind is None or not kind.is_image:
        known = " ".join(suffix for suffix, one in BY_SUFFIX.items() if one.is_image)
        raise OutputError(f"{output}: the input is an image; use one of {known}")
    return kind.name.upper()


def image_warnings(media: Media, output: Path) -> list[str]:
    """Warnings, one line each, of content of an image that ``output`` cannot hold."""
    target, picture = image_format(output), read_picture(media)
    found = []
    if picture.alpha is not None and target == "JPEG":
        found.append("image: the alpha channel is dropped")
    if picture.pixels.dtype != np.uint8 and target != "PNG":
        found.append("image: 16 bits are reduced to 8")
    if picture.further:
        found.append("image: further pictures in the file are dropped")
    return found


def read_photo(file: MediaFile) -> Image:
    """Read a photo as upright (h, w, 3) uint8 RGB.

    Raises:
        MediaError: the file is missing or damaged.
        UnsupportedMedia: it is not an image that we read.
    """
    media = Media(file)
    if not media.is_image:
        raise UnsupportedMedia(f"{media}: not a photo; give a JPEG, PNG or WebP image")
    return to_rgb8(read_picture(media).pixels)
