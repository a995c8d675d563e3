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
_ASF_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_ASF_HEAD = 1 << 16
"""Bytes among which the file properties of ASF are: they are near the start of its header."""
_ATOMS = frozenset(
    {b"ftyp", b"styp", b"moov", b"moof", b"mdat", b"mfra", b"free", b"skip", b"wide", b"pnot"}
    | {b"uuid", b"udta", b"meta", b"meco", b"sidx", b"ssix", b"prft", b"emsg", b"pdin", b"imda"}
)
"""Top-level atoms. Anything else that reaches beyond the file is a trailer, which some cameras and
programs append after the last atom."""


def check_complete(media: Media) -> None:
    """Compare the sizes that the container declares with the size of the file.

    MP4, MOV, Matroska, AVI and ASF declare sizes; FLV, GIF and MPEG-TS consist of tags, blocks and
    packets, and the last one must be complete. Other containers declare nothing, so nothing is
    checked. Nothing is checked either if ``media.accept_truncated``.

    Raises:
        MediaError: the file ends before its content does.
    """
    if media.accept_truncated:
        return
    demuxer = media.format  # first, because it checks that the file can be read
    declared, actual = _sizes(media.stream(), demuxer)
    if declared > actual:
        raise MediaError(
            f"{media}: cut off (it has {actual} of {declared} bytes); copy it again completely, or "
            "use what is there (--accept-truncated)"
        )


def may_be_cut(media: Media) -> bool:
    """Whether a file ends before its content does, as far as this can be seen.

    In MPEG-TS nothing says whether the last frame is complete.
    """
    return media.format == "mpegts" or media.fact(_is_cut)


def _is_cut(media: Media) -> bool:
    # A container may be open on the other handle, and would lose its place.
    with media.open("rb") as file:
        declared, actual = _sizes(file, media.format)
    return declared > actual


def _sizes(file: BinaryIO, demuxer: str) -> tuple[int, int]:
    """Return the size that the container declares (0: none), and the real one, in bytes."""
    declared_end = _DECLARED_END.get(demuxer)
    declared = declared_end(file) if declared_end is not None else 0
    return declared, file.seek(0, os.SEEK_END)


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


def _asf_end(file: BinaryIO) -> int:
    """Return the size in the file properties (ASF, 3.2), 0 if they do not hold it."""
    head = file.read(_ASF_HEAD)
    at = head.find(_ASF_PROPERTIES)
    if at < 0 or len(head) < at + 92:
        return 0
    (size,), (flags,) = (
        struct.unpack_from("<Q", head, at + 40),
        struct.unpack_from("<I", head, at + 88),
    )
    return 0 if flags & 1 else int(size)


def _gif_end(file: BinaryIO) -> int:
    """Return the end of the last block; one byte more than the file has if its trailer is missing.

    Blocks are those of GIF89a: extensions (21), images (2C) and the trailer (3B).
    """
    actual = file.seek(0, os.SEEK_END)
    file.seek(10)
    _skip_palette(file)
    file.seek(2, os.SEEK_CUR)
    while (kind := file.read(1)) in {b"\x21", b"\x2c"}:
        if kind == b"\x2c":
            file.seek(8, os.SEEK_CUR)
            _skip_palette(file)
        file.seek(1, os.SEEK_CUR)
        while length := file.read(1):
            if not length[0]:
                break
            file.seek(length[0], os.SEEK_CUR)
    return actual if kind else actual + 1


def _skip_palette(file: BinaryIO) -> None:
    """Read the flags of a screen or an image, and skip its colours. Offset: that of the flags."""
    flags = (file.read(1) or b"\0")[0]
    if flags & 0x80:
        file.seek(3 << (flags & 7) + 1, os.SEEK_CUR)


_DECLARED_END: dict[str, Callable[[BinaryIO], int]] = {
    "mov": _mov_end,
    "avi": _avi_end,
    "asf": _asf_end,
    "gif": _gif_end,
    "flv": _flv_end,
    "mpegts": _ts_end,
    "matroska": _matroska_end,
}
