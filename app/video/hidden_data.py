"""Recognise pictures and places in data that should hold neither: headers, tags, fonts, subtitles.

These are nets below allow-lists, not the lists themselves: a picture in a form that is not known
here is kept out because only known keys, tables and headers are copied.
"""

import re
from collections.abc import Iterator

_SOI = re.compile(rb"\xff\xd8(?=\xff[\xc0-\xfe])")
"""The start of a JPEG image, and its first marker (ITU-T T.81, B.1.1.3)."""
_SEGMENTS = 2
"""Segments that must follow each other exactly: fewer occur by chance in compressed sound."""
_SIGNATURES = re.compile(
    rb"\x89PNG\r\n\x1a\n|GIF8[79]a|RIFF.{4}WEBP|ftyp(?:avi[fs]|hei[cmsx]|mif1|msf1)"
    rb"|\0\0\0\x0cjP  \r\n\x87\n|\0\0\0\x0cJXL \r\n\x87\n",
    re.DOTALL,
)
"""PNG, GIF, WebP, AVIF and HEIF, JPEG 2000, JPEG XL."""

_MAX_CHARACTERS = 4096
"""Characters of a text that people read, such as a description; a longer one is data."""
_CODE = r"[A-Za-z0-9+/_=-]"
_DATA = re.compile(rf"{_CODE}{{120,}}|(?:{_CODE}{{40,}}\s+){{3,}}")
"""Base64 or hexadecimal: more characters without a space than any word has, or lines of them."""
_DATA_BYTES = re.compile(rf"{_CODE}{{120,}}".encode())
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_PLACE = re.compile(
    r"[+-]\d{2,6}(?:\.\d+)?[+-]\d{3,7}(?:\.\d+)?(?:[+-]\d+(?:\.\d+)?)?(?:CRS[\w:]*)?/"
    r"|\bgeo:-?\d+(?:\.\d+)?,-?\d",
    re.IGNORECASE,
)
"""Coordinates as ISO 6709 and RFC 5870 write them."""


def holds_picture(data: bytes) -> bool:
    r"""Whether a picture begins somewhere in ``data``.

    >>> holds_picture(b"\xff\xfb\x90 sound"), holds_picture(b"ID3 \x89PNG\r\n\x1a\n")
    (False, True)
    """
    if _SIGNATURES.search(data) is not None:
        return True
    return any(_is_jpeg(data, match.end()) for match in _SOI.finditer(data))


def _is_jpeg(data: bytes, position: int) -> bool:
    """Whether the first segments of a JPEG image follow each other."""
    return sum(1 for _ in _segments(data, position)) >= _SEGMENTS


def _segments(data: bytes, position: int) -> Iterator[int]:
    """Yield the markers of the first segments, as far as they are valid."""
    for _ in range(_SEGMENTS):
        head = data[position : position + 4]
        if len(head) < 4 or head[0] != 0xFF or head[1] < 0xC0 or head[2:] < b"\0\2":
            return
        yield head[1]
        position += 2 + int.from_bytes(head[2:])


def holds_data(text: str) -> bool:
    """Whether a text is not one that people read: encoded, binary, or far too long.

    >>> holds_data("See https://example.org/a/long/address?x=1"), holds_data("A" * 200)
    (False, True)
    """
    return len(text) > _MAX_CHARACTERS or bool(_DATA.search(text) or _CONTROL.search(text))


def holds_encoded_text(data: bytes) -> bool:
    """Whether binary data has a run of characters that is encoded data rather than a name."""
    return _DATA_BYTES.search(data) is not None


def names_place(text: str) -> bool:
    """Whether a text holds coordinates.

    >>> names_place("Take 2 +48.1374+011.5755/"), names_place("-12 dB, take +3/4")
    (True, False)
    """
    return _PLACE.search(text) is not None
