"""Read and write image files (JPEG, PNG and WebP).

Output holds only pixels, transparency, colour profile and resolution. EXIF with its thumbnail,
locations and maker notes, XMP, comments and further images of the file are left out.
"""

import struct
import warnings
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from io import SEEK_CUR, BytesIO
from typing import Any, BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from app.errors import MediaError, MediaTooLarge, UnsupportedMedia
from app.types import Image, Size
from app.video.media import Media
from app.video.orientation import Orientation
from app.video.pixel_aspect import SQUARE, plausible_aspect
from app.video.profiles import rebuilt_profile

_MAX_PIXELS = 178_956_970
"""The limit of Pillow."""
_HEAD_BYTES = 26
"""The signature and header, which hold the depth of a PNG and the coding of a WebP."""
_PNG_SIGNATURE_BYTES = 8
_CHECKSUM_BYTES = 4
_PNG_HEADER_BYTES = 33
"""The signature of a PNG and its first chunk, IHDR."""
_DAMAGE = (OSError, SyntaxError, ValueError, LookupError, TypeError, ArithmeticError, struct.error)
"""What the library raises for damaged files: its parsers of metadata translate no error."""
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
        UnsupportedMedia: it is animated.
    """
    with _translated(media), _opened(media.stream(), media.format) as image:
        return _content(image, media.stream().read(_HEAD_BYTES), media)


def read_size(media: Media) -> Size:
    """Read the upright width and height of an image from its header, without decoding it.

    Raises:
        MediaError, MediaTooLarge, UnsupportedMedia: as ``read_image``.
    """
    with _translated(media), _opened(media.stream(), media.format) as image:
        _check_header(image, media)
        exif = _png_exif(media.stream()) if image.format == "PNG" else image.getexif()
        return _turn_of(exif).size(image.size)


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


def _opened(file: BinaryIO, format_: str) -> Pillow.Image:
    return Pillow.open(file, formats=[format_.upper()])


def _check_header(image: Pillow.Image, media: Media) -> int:
    """Check what the header says, and return the number of images in the file."""
    if image.width * image.height > _MAX_PIXELS:
        raise MediaTooLarge(f"{media}: too many pixels; make it smaller")
    frames = getattr(image, "n_frames", 1)
    # Phones add depth maps and gain maps to a JPEG; its first picture is the photo.
    if frames > 1 and image.format != "MPO":
        raise UnsupportedMedia(f"{media}: an animation; convert it to a video first")
    return frames


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


def _turn_of(exif: Pillow.Exif) -> Orientation:
    return _ORIENTATIONS.get(exif.get(_ORIENTATION_TAG, 1), Orientation())


def _content(image: Pillow.Image, head: bytes, media: Media) -> DecodedImage:
    frames = _check_header(image, media)
    turn = _turn_of(image.getexif())
    # A profile of CMYK does not describe the RGB that it is converted to.
    original = None if image.mode == "CMYK" else image.info.get("icc_profile")
    profile = None if not original else rebuilt_profile(original)
    pixels, alpha = _read16(media) if _is_deep(head) else _read8(image)
    return DecodedImage(
        pixels=np.ascontiguousarray(turn.upright(pixels)),
        alpha=None if alpha is None else np.ascontiguousarray(turn.upright(alpha)),
        profile=profile,
        resolution=image.info.get("dpi"),
        lossless=head[12:16] != b"VP8 ",
        has_more_images=frames > 1,
        lost_profile=bool(original) and profile is None,
        pixel_aspect=_pixel_aspect(image.info, turn),
    )


def _pixel_aspect(info: Mapping[Any, Any], turn: Orientation) -> Fraction:
    """Return the pixel aspect of the upright image; a dense axis has narrow pixels.

    A JPEG without a unit of length, and a PNG likewise, give a ratio only.
    """
    values = info.get("dpi") or info.get("jfif_density") or info.get("aspect") or (1, 1)
    across, down = (float(value) for value in values)
    return plausible_aspect(across, down) if turn.transpose else plausible_aspect(down, across)


def _read8(image: Pillow.Image) -> tuple[NDArray[Any], NDArray[Any] | None]:
    image.load()
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


def encode_image(image: DecodedImage, format_: str, quality: int) -> bytes:
    """Return the content of an image file.

    Args:
        image: the pixels.
        format_: ``JPEG``, ``PNG`` or ``WEBP``.
        quality: 1 to 100; not used for PNG and lossless WebP.
    """
    if format_ == "PNG" and image.pixels.dtype == np.uint16:
        return _png16(image)
    settings: dict[str, Any] = {
        "JPEG": {"quality": quality, "subsampling": 0 if quality >= 90 else 2},
        "PNG": {},
        "WEBP": {"quality": quality, "lossless": image.lossless, "exact": True},
    }[format_]
    if image.profile:
        settings["icc_profile"] = image.profile
    if image.resolution and format_ != "WEBP":
        settings["dpi"] = image.resolution
    file = BytesIO()
    _to_pillow(image, with_alpha=format_ != "JPEG").save(file, format_, **settings)
    return file.getvalue()


def _to_pillow(image: DecodedImage, *, with_alpha: bool) -> Pillow.Image:
    pixels, alpha = image.pixels, image.alpha
    if pixels.dtype == np.uint16:
        pixels = (pixels >> 8).astype(np.uint8)
        alpha = None if alpha is None else (alpha >> 8).astype(np.uint8)
    if alpha is None or not with_alpha:
        return Pillow.fromarray(pixels)
    return Pillow.fromarray(np.dstack([pixels, alpha]))


def _png16(image: DecodedImage) -> bytes:
    pixels = image.pixels if image.pixels.ndim == 2 else image.pixels[:, :, ::-1]
    if image.alpha is not None:
        rgb = pixels if pixels.ndim == 3 else np.repeat(pixels[:, :, None], 3, axis=2)
        pixels = np.dstack([rgb, image.alpha])
    done, data = cv2.imencode(".png", np.ascontiguousarray(pixels))
    if not done:
        raise ValueError("cannot be encoded")
    return _with_profile(data.tobytes(), image.profile)


def _with_profile(png: bytes, profile: bytes | None) -> bytes:
    """Insert a colour profile after the header of a PNG (chunk iCCP; ISO/IEC 15948, 11.3.3.3)."""
    if not profile:
        return png
    body = b"iCCPICC profile\0\0" + zlib.compress(profile)
    chunk = (len(body) - 4).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")
    return png[:_PNG_HEADER_BYTES] + chunk + png[_PNG_HEADER_BYTES:]
