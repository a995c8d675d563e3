"""Image files: pixels in, pixels out, and nothing else that the file tells.

What is written holds pixels, transparency, colour profile and resolution only: EXIF with its
thumbnail, places and maker notes, XMP, comments and further pictures of the file are left out.
"""

import warnings
import zlib
from dataclasses import dataclass
from io import BytesIO
from typing import Any, BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from app.errors import MediaError, MediaTooLarge, UnsupportedMedia
from app.types import Image, Size
from app.video.media import Media
from app.video.orientation import Orientation

_MAX_PIXELS = 178_956_970
_HEAD_BYTES = 26
"""The signature and header that tell the depth of a PNG and the coding of a WebP."""
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
class Picture:
    """Upright content of an image file.

    ``pixels`` is (h, w, 3) RGB or (h, w) gray, uint8 or uint16; ``alpha`` (h, w) of the same
    kind, or None. ``further`` tells that the file holds more pictures, which are not read.
    """

    pixels: NDArray[Any]
    alpha: NDArray[Any] | None
    profile: bytes | None
    resolution: tuple[float, float] | None
    lossless: bool
    further: bool

    @property
    def size(self) -> Size:
        """Width and height."""
        return self.pixels.shape[1], self.pixels.shape[0]


def to_rgb8(pixels: NDArray[Any]) -> Image:
    """A copy of gray or RGB pixels of 8 or 16 bits as (h, w, 3) uint8."""
    narrow = pixels if pixels.dtype == np.uint8 else (pixels >> 8).astype(np.uint8)
    wide = np.repeat(narrow[:, :, None], 3, axis=2) if narrow.ndim == 2 else narrow
    return np.array(wide, np.uint8, order="C")


def read_picture(media: Media) -> Picture:
    """Read the upright pixels of an image (JPEG, PNG or WebP).

    Raises:
        MediaError: the file is damaged.
        MediaTooLarge: it has more than 178 956 970 pixels.
        UnsupportedMedia: it is animated.
    """
    try:
        head = media.stream().read(_HEAD_BYTES)
        with _opened(media.stream(), media.format) as image:
            return _content(image, head, media)
    except Pillow.DecompressionBombError as error:
        raise MediaTooLarge(f"{media}: too many pixels; make it smaller") from error
    except (OSError, SyntaxError, ValueError) as error:
        raise MediaError(f"{media}: damaged image ({error}); export it again") from error


def _opened(file: BinaryIO, format_: str) -> Pillow.Image:
    with warnings.catch_warnings():
        # The library warns of half of what it allows; we have a limit of our own.
        warnings.simplefilter("ignore", Pillow.DecompressionBombWarning)
        return Pillow.open(file, formats=[format_.upper()])


def _content(image: Pillow.Image, head: bytes, media: Media) -> Picture:
    if image.width * image.height > _MAX_PIXELS:
        raise MediaTooLarge(f"{media}: too many pixels; make it smaller")
    frames = getattr(image, "n_frames", 1)
    # Phones add depth maps and gain maps to a JPEG; its first picture is the photo.
    if frames > 1 and image.format != "MPO":
        raise UnsupportedMedia(f"{media}: an animation; convert it to a video first")
    turn = _ORIENTATIONS.get(image.getexif().get(_ORIENTATION_TAG, 1), Orientation())
    pixels, alpha = _read16(media) if _is_deep(head) else _read8(image)
    return Picture(
        pixels=np.ascontiguousarray(turn.upright(pixels)),
        alpha=None if alpha is None else np.ascontiguousarray(turn.upright(alpha)),
        # A profile of inks does not describe the RGB that is made of them.
        profile=None if image.mode == "CMYK" else image.info.get("icc_profile"),
        resolution=image.info.get("dpi"),
        lossless=head[12:16] != b"VP8 ",
        further=frames > 1,
    )


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
    """Pillow has no RGB of 16 bits; OpenCV has."""
    data = np.frombuffer(media.stream().read(), np.uint8)
    pixels = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise ValueError("cannot be decoded")
    if pixels.ndim == 2:
        return pixels, None
    rgb = pixels[:, :, 2::-1].copy()
    return rgb, pixels[:, :, 3].copy() if pixels.shape[2] == 4 else None


def encode(picture: Picture, format_: str, quality: int) -> bytes:
    """The bytes of a file of ``picture`` in a format of Pillow's."""
    if format_ == "PNG" and picture.pixels.dtype == np.uint16:
        return _png16(picture)
    image = _pillow(picture, with_alpha=format_ != "JPEG")
    settings: dict[str, Any] = {
        "JPEG": {"quality": quality, "subsampling": 0 if quality >= 90 else 2},
        "PNG": {},
        "WEBP": {"quality": quality, "lossless": picture.lossless, "exact": True},
    }[format_]
    if picture.profile:
        settings["icc_profile"] = picture.profile
    if picture.resolution and format_ != "WEBP":
        settings["dpi"] = picture.resolution
    file = BytesIO()
    image.save(file, format_, **settings)
    return file.getvalue()


def _pillow(picture: Picture, *, with_alpha: bool) -> Pillow.Image:
    pixels, alpha = picture.pixels, picture.alpha
    if pixels.dtype == np.uint16:
        pixels = (pixels >> 8).astype(np.uint8)
        alpha = None if alpha is None else (alpha >> 8).astype(np.uint8)
    if alpha is None or not with_alpha:
        return Pillow.fromarray(pixels)
    return Pillow.fromarray(np.dstack([pixels, alpha]))


def _png16(picture: Picture) -> bytes:
    pixels = picture.pixels if picture.pixels.ndim == 2 else picture.pixels[:, :, ::-1]
    if picture.alpha is not None:
        rgb = pixels if pixels.ndim == 3 else np.repeat(pixels[:, :, None], 3, axis=2)
        pixels = np.dstack([rgb, picture.alpha])
    done, data = cv2.imencode(".png", np.ascontiguousarray(pixels))
    if not done:
        raise ValueError("cannot be encoded")
    return _with_profile(data.tobytes(), picture.profile)


def _with_profile(png: bytes, profile: bytes | None) -> bytes:
    """A PNG with an iCCP chunk behind its header (ISO/IEC 15948, 11.3.3.3)."""
    if not profile:
        return png
    body = b"iCCPICC profile\0\0" + zlib.compress(profile)
    chunk = (len(body) - 4).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")
    return png[:33] + chunk + png[33:]
