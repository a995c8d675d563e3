"""The headers of copied streams (the extradata of codecs), without anything that is not needed.

Containers store them as they are, and some have room for pictures and places: the comments of
Vorbis above all.
"""

from collections.abc import Callable

from app.video.ass import cleaned_ass_header
from app.video.hidden_data import holds_encoded_text, holds_picture

_MAX_HEADER_BYTES = 128
"""Bytes of a header of other codecs: the longest, of AAC with a channel layout of its own and of
Opus with 64 channels, are shorter."""
_MAX_DESCRIPTION_BYTES = 1024
"""Bytes of the description of subtitles in MP4, with names of fonts."""
_MAX_SETUP_BYTES = 32 << 10
"""Bytes of the codebooks of Vorbis; encoders write 3 to 10 thousand."""
_IDENTIFICATION_BYTES, _LACED = 30, 2
_IDENTIFICATION, _COMMENT, _SETUP = b"\x01vorbis", b"\x03vorbis", b"\x05vorbis"
_EMPTY_COMMENT = _COMMENT + bytes(8) + b"\x01"
"""No vendor, no comments, and the framing bit (Vorbis I, 5.2.1)."""
_FLAC_BYTES = 34
"""STREAMINFO, which is all that decoders need (RFC 9639, 8.2)."""


def cleaned_header(codec: str, data: bytes) -> bytes | None:
    """Return the header of an audio or subtitle stream to copy; None if it cannot be copied."""
    if not data:
        return data
    return _CLEAN.get(codec, _checked)(data)


def _checked(data: bytes) -> bytes | None:
    return data if len(data) <= _MAX_HEADER_BYTES and not holds_picture(data) else None


def _flac(data: bytes) -> bytes | None:
    return data[:_FLAC_BYTES] if len(data) >= _FLAC_BYTES else None


def _vorbis(data: bytes) -> bytes | None:
    """Return the three headers with an empty comment, laced as in Matroska."""
    headers = _split_vorbis(data)
    if headers is None:
        return None
    identification, _, setup = headers
    if len(identification) != _IDENTIFICATION_BYTES or len(setup) > _MAX_SETUP_BYTES:
        return None
    if not identification.startswith(_IDENTIFICATION) or not setup.startswith(_SETUP):
        return None
    if holds_picture(setup):
        return None
    lacing = bytes([_LACED, len(identification), len(_EMPTY_COMMENT)])
    return lacing + identification + _EMPTY_COMMENT + setup


def _split_vorbis(data: bytes) -> tuple[bytes, bytes, bytes] | None:
    """Split headers that are laced, or that each have a length of two bytes before them."""
    if data[0] == _LACED:
        first, position = _read_lacing(data, 1)
        second, position = _read_lacing(data, position)
        middle = position + first
        return data[position:middle], data[middle : middle + second], data[middle + second :]
    parts, position = [], 0
    for _ in range(3):
        length = int.from_bytes(data[position : position + 2])
        parts.append(data[position + 2 : position + 2 + length])
        position += 2 + length
    return (parts[0], parts[1], parts[2]) if position <= len(data) else None


def _read_lacing(data: bytes, position: int) -> tuple[int, int]:
    """Read a length in bytes of 255 and a last, smaller one; return it and its end."""
    total = 0
    while position < len(data) and data[position] == 255:
        total, position = total + 255, position + 1
    return total + (data[position] if position < len(data) else 0), position + 1


def _mov_text(data: bytes) -> bytes | None:
    """Keep a sample description with its style and its names of fonts (3GPP TS 26.245, 5.16)."""
    if len(data) > _MAX_DESCRIPTION_BYTES or holds_picture(data) or holds_encoded_text(data):
        return None
    return data


def _nothing(_data: bytes) -> bytes:
    """Return no header: these subtitles need none, and the header may be any text."""
    return b""


_CLEAN: dict[str, Callable[[bytes], bytes | None]] = {
    "vorbis": _vorbis,
    "flac": _flac,
    "subrip": _nothing,
    "webvtt": _nothing,
    "text": _nothing,
    "mov_text": _mov_text,
    "ass": cleaned_ass_header,
}
