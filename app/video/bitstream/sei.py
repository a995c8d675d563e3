"""What may stay beside a picture that is copied: captions and timing, nothing that nobody knows.

A unit of supplemental information (ITU-T H.264, 7.3.2.3 and annex D) can hold anything: places and
devices, as drones and telephones write them, or a whole picture.
"""

import re
from collections.abc import Iterator

from app.video.bitstream.nal import Uncopyable, payload

_PERIOD, _TIMING, _REGISTERED, _UNREGISTERED, _RECOVERY = 0, 1, 4, 5, 6
_FRAME_PACKING, _ORIENTATION, _MASTERING, _LIGHT = 45, 47, 137, 144
_KEPT = frozenset({_PERIOD, _TIMING, _RECOVERY, _FRAME_PACKING, _MASTERING, _LIGHT})
_CAPTIONS = b"\xb5\x00\x31GA94\x03"
"""Of ATSC A/53, part 4: country, provider, user, and the type of captions."""
_X264 = bytes.fromhex("dc45e9bde6d948b7962cd820d923eeef")
_OLDEST_X264 = 151
"""Decoders mend what earlier builds did wrong, told by the text of the latest one they met."""


def may_stay(unit: bytes) -> bool:
    """Whether all messages of a unit are known and harmless.

    Raises:
        Uncopyable: one of them changes how pictures are decoded or shown.
    """
    # All are looked at, so that each of them can refuse.
    known = [_is_known(kind, content) for kind, content in _messages(payload(unit))]
    return all(known)


def _is_known(kind: int, content: bytes) -> bool:
    if kind == _ORIENTATION:
        raise Uncopyable("its pictures are turned one by one")
    if kind == _UNREGISTERED and content.startswith(_X264):
        build = re.search(rb"core (\d+)", content)
        if build is None or int(build[1]) < _OLDEST_X264:
            raise Uncopyable("its encoder is too old")
        return True
    return kind in _KEPT or (kind == _REGISTERED and content.startswith(_CAPTIONS))


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and content of each message, the bits at the end left out."""
    position, end = 0, len(data.rstrip(b"\0")) - 1
    while position < end:
        kind, position = _sum(data, position)
        size, position = _sum(data, position)
        if position + size > end:
            raise Uncopyable("what is told beside its pictures is cut off")
        yield kind, data[position : position + size]
        position += size


def _sum(data: bytes, position: int) -> tuple[int, int]:
    """A number told as bytes of 255 and a smaller one, and where it ends."""
    total = 0
    while position < len(data) and data[position] == 255:
        total, position = total + 255, position + 1
    return total + (data[position] if position < len(data) else 0), position + 1
