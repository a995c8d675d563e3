"""Read image files: pixels, transparency, colour profile and resolution."""

import math
import struct
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from fractions import Fraction
from io import SEEK_CUR
from typing import Any, BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from app.errors import MediaError, MediaTooLarge, UnsupportedMedia
from app.types import Image, Size
from app.video.heif import HEAD_BYTES, HeicImage, is_deep_avif, open_heic
from app.video.kinds import HEIC, TIFF
from app.video.media import Media
from app.video.orientation import Orientation
from app.video.pixel_aspect import SQUARE, plausible_aspect
from app.video.profiles import rebuilt_profile
from app.video.quiet import silenced
from app.video.tiff import check_tiff, is_deep_tiff

_MAX_PIXELS = 178_956_970
"""The limit of Pillow."""
_PNG_SIGNATURE_BYTES = 8
_CHECKSUM_BYTES = 4
_DAMAGE = (
    *(OSError, SyntaxError, ValueError, LookupError, TypeError, ArithmeticError, struct.error),
    *(EOFError, RuntimeError),
)
"""What the libraries raise for damaged files: their parsers of metadata translate no error, and
libheif's errors are of the last two kinds."""
_MAX_RESOLUTION = 65_535
"""The largest resolution that JPEG can store; others are a mistake."""
_ORIENTATION_TAG = 0x0112
_ORIENTATIONS = {
    2: Orientation(flip_x=True),
    3: Orientation(flip_x=True, flip_y=True),
    4: Orientation(flip_y=True),
    5: Orientation(transpose=True),
    6: Orientation(transpose=True, flip_x=True),
    7: Orientation(transpose=True, flip_x=True, flip_y=True),
    8: Orientation(transpose=True, flip_y=True),
}
"""EXIF 2.32, 4.6.4, tag Orientation."""


@dataclass(frozen=True, slots=True, eq=False)
class DecodedImage:
    """The upright content of an image file.

    Attributes:
        pixels: (h, w, 3) RGB or (h, w) gray, uint8 or uint16.
        alpha: (h, w) of the same type, or None.
        profile: the ICC colour profile, rebuilt from its numbers, or None.
        lost_profile: whether the file has a profile that is not a plain one.
        lost_depth: whether the file has more bits than the pixels.
        resolution: pixels per inch, horizontal and vertical, or None.
        lossless: whether the file was coded without loss.
        has_more_images: whether the file holds further images, which are not read.
        pixel_aspect: width of a pixel divided by its height, by the file's resolution.
    """

    pixels: NDArray[Any]
    alpha: NDArray[Any] | None
    profile: bytes | None
    resolution: tuple[float, float] | None
    lossless: bool
    has_more_images: bool
    lost_profile: bool = False
    lost_depth: bool = False
    pixel_aspect: Fraction = SQUARE

    @property
    def size(self) -> Size:
        """Width and height."""
        return self.pixels.shape[1], self.pixels.shape[0]


def to_rgb8(pixels: NDArray[Any]) -> Image:
    """Return a copy of gray or RGB pixels of 8 or 16 bits as (h, w, 3) uint8."""
    narrow = pixels if pixels.dtype == np.uint8 else (pixels >> 8).astype(np.uint8)
    wide = np.repeat(narrow[:, :, None], 3, axis=2) if narrow.ndim == 2 else narrow
    return np.array(wide, np.uint8, order="C")


def read_image(media: Media) -> DecodedImage:
    """Read the upright pixels of an image.

    Raises:
        MediaError: the file is damaged.
        MediaTooLarge: it has more than ``_MAX_PIXELS`` pixels.
        UnsupportedMedia: it is animated, or of an unusual kind.
    """
    if media.kind is HEIC:
        return _read_heic(media)
    with _translated(media), _opened(media) as image:
        return _content(image, media.stream().read(HEAD_BYTES), media)


def read_size(media: Media) -> Size:
    """Read the upright width and height of an image from its header, without decoding it.

    Raises:
        MediaError, MediaTooLarge, UnsupportedMedia: as ``read_image``.
    """
    if media.kind is HEIC:
        with _translated(media):
            return _open_heic(media).size
    with _translated(media), _opened(media) as image:
        _check_header(image, media)
        exif = _png_exif(media.stream()) if image.format == "PNG" else image.getexif()
        return _turn_of(exif, image).size(image.size)


@contextmanager
def _translated(media: Media) -> Iterator[None]:
    try:
        with warnings.catch_warnings():
            # The library warns of damaged metadata, and from half of its limit on.
            warnings.simplefilter("ignore")
            yield
    except Pillow.DecompressionBombError as error:
        raise MediaTooLarge(f"{media}: too many pixels; make it smaller") from error
    except _DAMAGE as error:
        raise MediaError(f"{media}: damaged image; export it again") from error


@contextmanager
def _opened(media: Media) -> Iterator[Pillow.Image]:
    with (
        silenced() if media.kind is TIFF else nullcontext(),
        Pillow.open(media.stream(), formats=[media.format.upper()]) as image,
    ):
        yield image


def _check_header(image: Pillow.Image, media: Media) -> int:
    """Check what the header says, and return the number of images in the file."""
    _check_size(image.size, media)
    if image.format == "TIFF":
        return check_tiff(image, media)
    frames = getattr(image, "n_frames", 1)
    # Phones add depth maps and gain maps to a JPEG; its first picture is the photo.
    if frames > 1 and image.format != "MPO":
        raise UnsupportedMedia(f"{media}: an animation; convert it to a video first")
    return frames


def _check_size(size: Size, media: Media) -> None:
    if size[0] * size[1] > _MAX_PIXELS:
        raise MediaTooLarge(f"{media}: too many pixels; make it smaller")


def _open_heic(media: Media) -> HeicImage:
    """Read the headers of a HEIC file, and check them."""
    image = open_heic(media.stream())
    _check_size(image.size, media)
    if image.is_sequence:
        raise UnsupportedMedia(f"{media}: an animation; convert it to a video first")
    return image


def _read_heic(media: Media) -> DecodedImage:
    with _translated(media):
        image = _open_heic(media)
        decoded = image.decode()
        if decoded.size != image.size:
            raise ValueError("another size than declared")
        # Its metadata are not read: the library has turned the pixels already.
        content = _decoded(decoded, Orientation(), media)
    return replace(
        content,
        has_more_images=image.images > 1,
        lost_depth=image.lost_depth,
        lost_profile=content.lost_profile or image.lost_colours,
    )


def _png_exif(file: BinaryIO) -> Pillow.Exif:
    """Return the EXIF data of a PNG; Pillow decodes the whole image to look for them."""
    exif = Pillow.Exif()
    file.seek(_PNG_SIGNATURE_BYTES)
    while len(head := file.read(8)) == 8 and head[4:] != b"IEND":
        size = int.from_bytes(head[:4], "big")
        if head[4:] == b"eXIf":
            exif.load(file.read(size))
            break
        file.seek(size + _CHECKSUM_BYTES, SEEK_CUR)
    return exif


def _turn_of(exif: Pillow.Exif, image: Pillow.Image) -> Orientation:
    """Return how the decoded pixels must be turned; the library turns those of TIFF itself."""
    if image.format == "TIFF":
        return Orientation()
    return _ORIENTATIONS.get(exif.get(_ORIENTATION_TAG, 1), Orientation())


def _content(image: Pillow.Image, head: bytes, media: Media) -> DecodedImage:
    frames = _check_header(image, media)
    turn = _turn_of(image.getexif(), image)
    is_deep = is_deep_tiff(image) if image.format == "TIFF" else is_deep_avif(head)
    content = _decoded(image, turn, media, deep_png=_is_deep(head))
    return replace(
        content,
        lossless=head[12:16] != b"VP8 ",
        has_more_images=frames > 1,
        lost_depth=is_deep,
    )


def _decoded(
    image: Pillow.Image, turn: Orientation, media: Media, *, deep_png: bool = False
) -> DecodedImage:
    """Decode the pixels of an image; ``deep_png`` are those that the library cannot hold."""
    # A profile of CMYK does not describe the RGB that it is converted to.
    original = None if image.mode == "CMYK" else image.info.get("icc_profile")
    profile = None if not original else rebuilt_profile(original)
    pixels, alpha = _read16(media) if deep_png else _read8(image)
    return DecodedImage(
        pixels=np.ascontiguousarray(turn.upright(pixels)),
        alpha=None if alpha is None else np.ascontiguousarray(turn.upright(alpha)),
        profile=profile,
        resolution=_resolution(image.info),
        lossless=True,
        has_more_images=False,
        lost_profile=bool(original) and profile is None,
        pixel_aspect=_pixel_aspect(image.info, turn),
    )


def _resolution(info: Mapping[Any, Any]) -> tuple[float, float] | None:
    """Return the pixels per inch, unless they are damaged."""
    across, down = (float(value) for value in info.get("dpi") or (0, 0))
    valid = all(math.isfinite(value) and 0 < value <= _MAX_RESOLUTION for value in (across, down))
    return (across, down) if valid else None


def _pixel_aspect(info: Mapping[Any, Any], turn: Orientation) -> Fraction:
    """Return the pixel aspect of the upright image; a dense axis has narrow pixels.

    A JPEG without a unit of length, and a PNG likewise, give a ratio only.
    """
    values = info.get("dpi") or info.get("jfif_density") or info.get("aspect") or (1, 1)
    across, down = (float(value) for value in values)
    return plausible_aspect(across, down) if turn.transpose else plausible_aspect(down, across)


def _read8(image: Pillow.Image) -> tuple[NDArray[Any], NDArray[Any] | None]:
    image.load()
    if image.mode.startswith("I;16"):
        return np.array(image).astype(np.uint16), None
    if image.mode == "La":
        image = image.convert("LA")
    if image.mode in {"L", "1"} and "transparency" not in image.info:
        return np.array(image.convert("L")), None
    if image.mode == "LA":
        both = np.array(image)
        return both[:, :, 0].copy(), both[:, :, 1].copy()
    if image.mode in {"RGBA", "PA", "RGBa"} or "transparency" in image.info:
        all_four = np.array(image.convert("RGBA"))
        return all_four[:, :, :3].copy(), all_four[:, :, 3].copy()
    return np.array(image.convert("RGB")), None


def _is_deep(head: bytes) -> bool:
    """Whether it is a PNG of 16 bits (ISO/IEC 15948, 11.2.2)."""
    return head[12:16] == b"IHDR" and head[24] == 16


def _read16(media: Media) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Read 16 bits with OpenCV: Pillow does not support RGB of 16 bits."""
    data = np.frombuffer(media.stream().read(), np.uint8)
    pixels = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise ValueError("cannot be decoded")
    if pixels.ndim == 2:
        return pixels, None
    rgb = pixels[:, :, 2::-1].copy()
    return rgb, pixels[:, :, 3].copy() if pixels.shape[2] == 4 else None
