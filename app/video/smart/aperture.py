"""Find out whether an MP4 file crops its frames in the container (box ``clap``)."""

import struct
from typing import BinaryIO

from app.video.media import Media

_HEADER_BYTES, _LONG_HEADER_BYTES = 8, 16
_MAX_INDEX_BYTES = 64 << 20
"""Bytes of ``moov`` that are searched; the index of a day of video is smaller."""


def crops_frames(media: Media) -> bool:
    """Whether the index of an MP4 or MOV file holds a clean aperture (ISO/IEC 14496-12, 12.1.4).

    It is searched for as four letters, so a title may be taken for one: then nothing is lost but
    time. An index that is too long to be searched counts as one that has it.
    """
    with media.open("rb") as file:
        length = _find_index(file)
        return length > _MAX_INDEX_BYTES or b"clap" in file.read(length)


def _find_index(file: BinaryIO) -> int:
    """Move to the content of ``moov``; return its length in bytes, or 0 without ``moov``."""
    position = 0
    while True:
        file.seek(position)
        head = file.read(_LONG_HEADER_BYTES)
        if len(head) < _HEADER_BYTES:
            return 0
        size, start = int(struct.unpack(">I", head[:4])[0]), _HEADER_BYTES
        if size == 1 and len(head) == _LONG_HEADER_BYTES:
            size, start = int(struct.unpack(">Q", head[8:])[0]), _LONG_HEADER_BYTES
        if head[4:8] == b"moov":
            file.seek(position + start)
            return size - start if size else _MAX_INDEX_BYTES
        if size < start:
            return 0
        position += size
