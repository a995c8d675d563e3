"""Write image files.

They hold only pixels, transparency, colour profile and resolution. EXIF with its thumbnail,
locations and maker notes, XMP, comments and further images of a source are not even read.
"""

import zlib
from io import BytesIO
from typing import Any

import cv2
import numpy as np
from PIL import Image as Pillow

from app.video.image_codec import DecodedImage

_OPAQUE_FORMATS = frozenset({"JPEG", "BMP"})
"""Formats that are written without transparency: BMP has it in variants that few programs read."""
_FORMATS_WITH_RESOLUTION = frozenset({"JPEG", "PNG", "TIFF", "BMP"})
_FULL_COLOUR_QUALITY = 90
"""Quality from which colours are stored at full resolution."""
_PNG_HEADER_BYTES = 33
"""The signature of a PNG and its first chunk, IHDR."""


def encode_image(image: DecodedImage, format_: str, quality: int) -> bytes:
    """Return the content of an image file.

    Args:
        image: the pixels.
        format_: Pillow's name of the format.
        quality: 1 to 100; not used for PNG, TIFF, BMP and lossless WebP.
    """
    if format_ == "PNG" and image.pixels.dtype == np.uint16:
        return _png16(image)
    by_format: dict[str, dict[str, Any]] = {
        "JPEG": {"quality": quality, "subsampling": 0 if quality >= _FULL_COLOUR_QUALITY else 2},
        "PNG": {},
        "WEBP": {"quality": quality, "lossless": image.lossless, "exact": True},
        "AVIF": {"quality": quality, **_avif_subsampling(image, quality)},
        "TIFF": {"compression": "tiff_adobe_deflate"},
        "BMP": {},
    }
    settings = by_format[format_]
    if image.profile:
        settings["icc_profile"] = image.profile
    if image.resolution and format_ in _FORMATS_WITH_RESOLUTION:
        settings["dpi"] = image.resolution
    file = BytesIO()
    _to_pillow(image, format_).save(file, format_, **settings)
    return file.getvalue()


def holds_alpha(format_: str) -> bool:
    """Whether images are written with their transparency in a format."""
    return format_ not in _OPAQUE_FORMATS


def holds_16_bits(format_: str, image: DecodedImage) -> bool:
    """Whether an image of 16 bits is written with all of them in a format."""
    return format_ == "PNG" or (
        format_ == "TIFF" and image.pixels.ndim == 2 and image.alpha is None
    )


def _avif_subsampling(image: DecodedImage, quality: int) -> dict[str, str]:
    """Return the setting for colours; without it, gray has no planes for them."""
    if image.pixels.ndim == 2:
        return {}
    return {"subsampling": "4:4:4" if quality >= _FULL_COLOUR_QUALITY else "4:2:0"}


def _to_pillow(image: DecodedImage, format_: str) -> Pillow.Image:
    pixels, alpha = image.pixels, image.alpha
    if pixels.dtype == np.uint16 and holds_16_bits(format_, image):
        return Pillow.fromarray(pixels)
    if pixels.dtype == np.uint16:
        pixels = (pixels >> 8).astype(np.uint8)
        alpha = None if alpha is None else (alpha >> 8).astype(np.uint8)
    if alpha is None or not holds_alpha(format_):
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
