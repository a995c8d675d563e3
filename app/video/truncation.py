"""Detect truncated files: compare the size that the container declares with the real size."""

import os
import struct
from collections.abc import Callable
from typing import BinaryIO

from app.errors import MediaError
from app.video.kinds import TS_PACKETS
from app.video.media import Media

_UNKNOWN = (1 << 56) - 1
"""The size of an EBML element that does not declare one."""
_ATOMS = frozenset(
    {b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"mfra", b"free", b"skip", b"wide", b"pnot"}
    | {b"uuid", b"udta", b"meta", b"meco", b"sidx", b"ssix", b"prft", b"emsg", b"pdin", b"imda"}
)
"""Top-level atoms. Anything else that reaches beyond the file is a trailer, which some cameras and
programs append after the last atom."""


def check_complete(media: Media) -> None:
    """Compare the sizes that the container declares with the size of the file.

    MP4, MOV, Matroska and AVI declare sizes; FLV and MPEG-TS consist of tags and packets, and the
    last one must be complete. Other containers declare nothing, so nothing is checked.

    Raises:
        MediaError: the file ends before its content does.
    """
    declared_end = _DECLARED_END.get(media.format)
    if declared_end is None:
        return
    file = media.stream()
    declared = declared_end(file)
    actual = file.seek(0, os.SEEK_END)
    if declared > actual:
        raise MediaError(
            f"{media}: cut off (it has {actual} of {declared} bytes); copy it again completely"
        )


def _mov_end(file: BinaryIO) -> int:
    """Return the end of the last top-level atom (ISO/IEC 14496-12, 4.2)."""
    position, actual = 0, file.seek(0, os.SEEK_END)
    # Stop beyond the file: declared sizes can be too large for ``seek``.
    while position <= actual:
        file.seek(position)
        head = file.read(16)
        if len(head) < 8:
            return position
        size = int(struct.unpack(">I", head[:4])[0])
        if size == 1 and len(head) == 16:
            size = int(struct.unpack(">Q", head[8:])[0])
        # 0: up to the end of the file. Less than a header: padding after the last atom.
        if size < 8 or (position + size > actual and head[4:8] not in _ATOMS):
            return position
        position += size
    return position


def _avi_end(file: BinaryIO) -> int:
    """Return the end of the last RIFF list."""
    position = 0
    while True:
        file.seek(position)
        head = file.read(8)
        if len(head) < 8 or head[:4] != b"RIFF":
            return position
        position += 8 + int(struct.unpack("<I", head[4:])[0])


def _matroska_end(file: BinaryIO) -> int:
    """Return the end of the first segment, 0 if it declares no size (RFC 8794, 4 and 6)."""
    actual = file.seek(0, os.SEEK_END)
    file.seek(4)
    header = _ebml_size(file)
    start = file.tell() + header
    # Declared sizes can be too large for ``seek``.
    if start > actual:
        return start
    file.seek(start)
    if file.read(4) != b"\x18\x53\x80\x67":
        return 0
    size = _ebml_size(file)
    return 0 if size == _UNKNOWN else file.tell() + size


def _ebml_size(file: BinaryIO) -> int:
    """Read a variable-size integer; ``_UNKNOWN`` if all its bits are set."""
    first = file.read(1)
    if not first or not first[0]:
        return 0
    length = 9 - first[0].bit_length()
    rest = file.read(length - 1)
    value = int.from_bytes(bytes([first[0] & ((1 << (8 - length)) - 1)]) + rest, "big")
    return _UNKNOWN if value == (1 << (7 * length)) - 1 else value


def _flv_end(file: BinaryIO) -> int:
    """Return the end of the last tag: a header of 11 bytes, the data, and 4 bytes of its length."""
    actual = file.seek(0, os.SEEK_END)
    file.seek(5)
    position = int.from_bytes(file.read(4), "big") + 4
    while position < actual:
        file.seek(position)
        position += 15 + int.from_bytes(file.read(4)[1:], "big")
    return position


def _ts_end(file: BinaryIO) -> int:
    """Return the end of the last packet: of 188 bytes, or of 192 or 204 with additions."""
    head, actual = file.read(1024), file.seek(0, os.SEEK_END)
    for first, length in TS_PACKETS:
        if set(head[first::length]) == {0x47}:
            return -(-actual // length) * length
    return actual


_DECLARED_END: dict[str, Callable[[BinaryIO], int]] = {
    "mov": _mov_end,
    "avi": _avi_end,
    "flv": _flv_end,
    "mpegts": _ts_end,
    "matroska": _matroska_end,
}
