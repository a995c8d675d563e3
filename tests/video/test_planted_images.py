"""A known picture, planted in images and their colour profiles, is in no result."""

import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageCms
from PIL.PngImagePlugin import PngInfo

from app.video import check_output
from testmedia.fetch import fetch
from testmedia.videos import copy_video
from tests.video.planted import ENCODED, JPEG, PLACE, leaks

# --- Images ---------------------------------------------------------------------------------------


def picture_with(path: Path, format_: str, **options: Any) -> Path:
    Pillow.fromarray(np.full((32, 48, 3), 120, np.uint8)).save(path, format_, **options)
    return path


def jpeg_segment(marker: int, content: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content


def spliced(source: Path, at: int, data: bytes) -> Path:
    content = source.read_bytes()
    source.write_bytes(content[:at] + data + content[at:])
    return source


def png_chunk(kind: bytes, content: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + check


def maker_note() -> bytes:
    exif = Pillow.Exif()
    exif[0x927C] = JPEG + PLACE.encode()
    return exif.tobytes()


def png_info() -> PngInfo:
    info = PngInfo()
    info.add_text("Raw profile type exif", ENCODED)
    info.add_itxt("XML:com.adobe.xmp", ENCODED, zip=True)
    return info


IMAGES: dict[str, Callable[[Path], Path]] = {
    "JPEG: Exif": lambda p: picture_with(p / "a.jpg", "JPEG", exif=maker_note()),
    "JPEG: profile": lambda p: picture_with(p / "a.jpg", "JPEG", icc_profile=JPEG),
    "JPEG: comment": lambda p: picture_with(p / "a.jpg", "JPEG", comment=JPEG),
    "JPEG: JFXX": lambda p: spliced(
        picture_with(p / "a.jpg", "JPEG"), 20, jpeg_segment(0xE0, b"JFXX\0\x10" + JPEG)
    ),
    "JPEG: XMP": lambda p: spliced(
        picture_with(p / "a.jpg", "JPEG"),
        20,
        jpeg_segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + ENCODED.encode() + PLACE.encode()),
    ),
    "JPEG: Photoshop": lambda p: spliced(
        picture_with(p / "a.jpg", "JPEG"), 20, jpeg_segment(0xED, b"Photoshop 3.0\0" + JPEG)
    ),
    "JPEG: trailer": lambda p: spliced(picture_with(p / "a.jpg", "JPEG"), 10**6, JPEG),
    "PNG: Exif": lambda p: picture_with(p / "a.png", "PNG", exif=maker_note()),
    "PNG: profile": lambda p: picture_with(p / "a.png", "PNG", icc_profile=JPEG),
    "PNG: texts": lambda p: picture_with(p / "a.png", "PNG", pnginfo=png_info()),
    "PNG: chunk": lambda p: spliced(
        picture_with(p / "a.png", "PNG"), 33, png_chunk(b"faCe", JPEG + PLACE.encode())
    ),
    "PNG: trailer": lambda p: spliced(picture_with(p / "a.png", "PNG"), 10**6, JPEG),
    "WebP: Exif": lambda p: picture_with(p / "a.webp", "WEBP", exif=maker_note()),
    "WebP: XMP": lambda p: picture_with(p / "a.webp", "WEBP", xmp=JPEG + PLACE.encode()),
    "WebP: profile": lambda p: picture_with(p / "a.webp", "WEBP", icc_profile=JPEG),
    "WebP: trailer": lambda p: spliced(picture_with(p / "a.webp", "WEBP"), 10**6, JPEG),
}


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
@pytest.mark.parametrize("name", IMAGES)
def test_images(name: str, suffix: str, tmp_path: Path) -> None:
    source = IMAGES[name](tmp_path)
    assert leaks(source)
    if "profile" in name:
        assert any("colour profile" in one for one in check_output(source, tmp_path / "b.png"))
    output = copy_video(source, tmp_path / f"out{suffix}")
    assert not leaks(output)
    with Pillow.open(output) as image:
        assert image.size == (48, 32)
        assert "exif" not in image.info
        assert "icc_profile" not in image.info


# --- Colour profiles ------------------------------------------------------------------------------


def profile(tags: dict[bytes, bytes], space: bytes = b"RGB ", version: int = 2) -> bytes:
    """A colour profile, made without the code under test."""
    body, end, directory = b"", 132 + 12 * len(tags), b""
    for tag, content in tags.items():
        padded = content + bytes(-len(content) % 4)
        directory += struct.pack(">4sII", tag, end, len(content))
        body, end = body + padded, end + len(padded)
    illuminant = struct.pack(">3i", 63190, 65536, 54061)
    head = struct.pack(">I4sI4s4s4s", end, b"APPL", version << 24, b"mntr", space, b"XYZ ")
    head += bytes(12) + b"acsp" + b"APPL" + bytes(4) + b"appl" + b"face" + bytes(8) + bytes(4)
    head += illuminant + b"appl" + bytes(16) + PLACE.encode().ljust(28)[:28]
    return head + struct.pack(">I", len(tags)) + directory + body


def point(x: float, y: float, z: float) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(v * 65536) for v in (x, y, z)))


def curve(*values: int) -> bytes:
    return b"curv" + bytes(4) + struct.pack(f">I{len(values)}H", len(values), *values)


def described(text: bytes) -> bytes:
    return b"desc" + bytes(4) + struct.pack(">I", len(text) + 1) + text + bytes(79)


def adobe_like() -> dict[bytes, bytes]:
    """The tags of a profile with other primaries than sRGB, and a gamma of 2.2."""
    return {
        b"desc": described(b"Wide RGB"),
        b"cprt": b"text" + bytes(4) + b"Somebody\0",
        b"wtpt": point(0.9505, 1, 1.0891),
        b"rXYZ": point(0.6097, 0.3111, 0.0195),
        b"gXYZ": point(0.2053, 0.6257, 0.0609),
        b"bXYZ": point(0.1492, 0.0632, 0.7446),
        **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve(563)),
    }


def sampled() -> bytes:
    levels = [round(65535 * (step / 1023) ** 1.8) for step in range(1024)]
    return profile({**adobe_like(), b"rTRC": curve(*levels)})


PROFILES: dict[str, Callable[[], bytes]] = {
    "sRGB": lambda: ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
    "version 2": lambda: profile(adobe_like()),
    "a sampled curve": sampled,
    "an unknown tag": lambda: profile({**adobe_like(), b"face": JPEG}),
    "a dictionary": lambda: profile({**adobe_like(), b"meta": b"dict" + bytes(4) + JPEG}),
    "the description": lambda: profile({**adobe_like(), b"desc": described(JPEG)}),
    "the copyright": lambda: profile({**adobe_like(), b"cprt": b"text\0\0\0\0" + JPEG}),
    "bytes after a number": lambda: profile({**adobe_like(), b"wtpt": point(1, 1, 1) + JPEG}),
    "bytes after a curve": lambda: profile({**adobe_like(), b"gTRC": curve(563) + JPEG}),
}


def lab_values(profile_data: bytes) -> Any:
    """The colours of a few pixels with a profile, by LittleCMS."""
    pixels = np.random.default_rng(3).integers(0, 256, (16, 16, 3), np.uint8)
    transform = ImageCms.buildTransform(
        ImageCms.ImageCmsProfile(BytesIO(profile_data)), ImageCms.createProfile("LAB"), "RGB", "LAB"
    )
    return np.array(ImageCms.applyTransform(Pillow.fromarray(pixels), transform))


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
@pytest.mark.parametrize("name", PROFILES)
def test_colours_are_kept_and_nothing_else_of_a_profile(
    name: str, suffix: str, tmp_path: Path
) -> None:
    original = PROFILES[name]()
    source = picture_with(tmp_path / "in.png", "PNG", icc_profile=original)
    output = copy_video(source, tmp_path / f"out{suffix}")
    assert check_output(source, tmp_path / f"b{suffix}") == []
    with Pillow.open(output) as image:
        kept = image.info["icc_profile"]
    np.testing.assert_array_equal(lab_values(kept), lab_values(original))
    assert not leaks(output)
    (tmp_path / "profile").write_bytes(kept)
    assert not leaks(tmp_path / "profile")
    description = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(BytesIO(kept)))
    words = {"sRGB": "sRGB built-in", "the description": ""}.get(name, "Wide RGB")
    assert description.strip() == words


def test_the_profile_of_a_real_photograph(tmp_path: Path) -> None:
    source = fetch("obama.jpg")
    with Pillow.open(source) as image:
        original = image.info["icc_profile"]
    output = copy_video(source, tmp_path / "out.jpg")
    with Pillow.open(output) as image:
        kept = image.info["icc_profile"]
    assert len(kept) < len(original)
    np.testing.assert_array_equal(lab_values(kept), lab_values(original))


def falling() -> bytes:
    values = struct.unpack(f">{len(JPEG) // 2}H", JPEG[: len(JPEG) // 2 * 2])
    return profile({**adobe_like(), b"rTRC": curve(*values)})


LOST_PROFILES: dict[str, Callable[[], bytes]] = {
    "a JPEG": lambda: JPEG,
    "a header and a JPEG": lambda: profile(adobe_like())[:128] + JPEG,
    "a curve that is a picture": falling,
    "tables": lambda: profile({**adobe_like(), b"A2B0": b"mft2" + bytes(4) + JPEG}),
    "another space": lambda: profile(adobe_like(), b"CMYK"),
    "no curve": lambda: profile({b"wtpt": point(1, 1, 1)}),
    "bytes after its end": lambda: profile(adobe_like()) + JPEG,
    "cut off": lambda: profile(adobe_like())[:-9],
}


@pytest.mark.parametrize("name", LOST_PROFILES)
def test_what_is_not_a_plain_profile_is_dropped_with_a_warning(name: str, tmp_path: Path) -> None:
    data = LOST_PROFILES[name]()
    source = picture_with(tmp_path / "in.png", "PNG", icc_profile=data)
    (warning,) = check_output(source, tmp_path / "out.png")
    assert "colour profile" in warning
    output = copy_video(source, tmp_path / "out.png")
    assert not leaks(output)
    with Pillow.open(output) as image:
        assert "icc_profile" not in image.info
