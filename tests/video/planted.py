"""A known picture and a known place, and a search for them in files."""

import base64
import re
import struct
import zlib
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Pillow

from testmedia.videos import VideoSpec

PLACE = "+48.1374+011.5755/"
COUNT = 20


def _jpeg() -> bytes:
    pixels = np.random.default_rng(7).integers(0, 255, (40, 40, 3), np.uint8)
    file = BytesIO()
    Pillow.fromarray(pixels).save(file, "JPEG", quality=60)
    return file.getvalue()


JPEG = _jpeg()
PARTS = [JPEG[at : at + 16] for at in range(JPEG.index(b"\xff\xda") + 40, len(JPEG) - 40, 60)]
"""Pieces of its coded pixels, which occur nowhere else."""
ENCODED = base64.b64encode(JPEG).decode()
FLAC_PICTURE = base64.b64encode(
    struct.pack(">II", 3, 10) + b"image/jpeg" + bytes(20) + struct.pack(">I", len(JPEG)) + JPEG
).decode()


def leaks(path: Path) -> list[str]:
    """Return what of picture and place is in a file: raw, in Base64, in hexadecimal or deflated."""
    data = path.read_bytes()
    contents = {"raw": data}
    for number, run in enumerate(re.findall(rb"[A-Za-z0-9+/]{30,}", re.sub(rb"\r?\n", b"", data))):
        for skipped in range(4):
            part = run[skipped : skipped + (len(run) - skipped) // 4 * 4]
            contents[f"base64 {number}.{skipped}"] = base64.b64decode(part)
    for number, run in enumerate(re.findall(rb"[0-9a-fA-F]{60,}", data)):
        for skipped in range(2):
            part = run[skipped : skipped + (len(run) - skipped) // 2 * 2]
            contents[f"hex {number}.{skipped}"] = bytes.fromhex(part.decode())
    for match in re.finditer(rb"x[\x01\x5e\x9c\xda]", data):
        try:
            contents[f"deflated {match.start()}"] = zlib.decompressobj().decompress(
                data[match.start() :]
            )
        except zlib.error:
            continue
    found = [where for where, one in contents.items() if any(part in one for part in PARTS)]
    place = PLACE.encode()
    return found + [f"place {w}" for w, one in contents.items() if place in one]


MUXERS = {".mkv": "libx264", ".webm": "libvpx-vp9", ".mp4": "libx264", ".mov": "libx264"}
MUXERS |= {".avi": "mpeg4", ".flv": "libx264", ".ts": "libx264"}
BASES = {".mkv": 1000, ".webm": 1000, ".flv": 1000, ".ts": 90000, ".avi": 25}


def plain(suffix: str, **options: Any) -> VideoSpec:
    base = Fraction(1, BASES.get(suffix, 12800))
    return VideoSpec(codec=MUXERS[suffix], base=base, count=COUNT, options={"g": "5"}, **options)
