"""NAL units of H.264 and H.265: split packets into units, join them again, and read their bits."""

from collections.abc import Iterable, Iterator

from app.errors import MediaError

SLICE, IDR_SLICE, SEI, SPS, PPS, DELIMITER, FILLER = 1, 5, 6, 7, 8, 9, 12
"""Unit types of H.264 (ITU-T H.264, table 7-1)."""
LENGTH_SIZE = 4
"""Bytes of the length before each unit of a packet; 1 and 2 are allowed too, but rare."""


class Uncopyable(MediaError):
    """Packets of a video, or of a result, cannot be copied safely; the message gives the reason."""


def split_units(
    data: bytes, length_size: int = LENGTH_SIZE, *, strict: bool = True
) -> Iterator[bytes]:
    r"""Split a packet into its units.

    Args:
        data: the packet.
        length_size: bytes of the length before each unit; 0 if start codes separate the units.
        strict: refuse wrong lengths; otherwise units may be empty or cut off.

    Raises:
        Uncopyable: ``strict``, and the lengths do not add up to that of the packet.

    >>> list(split_units(bytes([0, 0, 0, 2, 9, 16, 0, 0, 0, 1, 12])))
    [b'\t\x10', b'\x0c']
    >>> list(split_units(b"\0\0\0\x01\x67\x42\0\0\x01\x65\x88", 0))
    [b'gB', b'e\x88']
    """
    if not length_size:
        yield from _split_at_start_codes(data)
        return
    position = 0
    while position < len(data):
        start = position + length_size
        position = start + int.from_bytes(data[position:start])
        if strict and not start < position <= len(data):
            raise Uncopyable("the lengths of its units are wrong")
        yield data[start:position]


def _split_at_start_codes(data: bytes) -> Iterator[bytes]:
    start = data.find(b"\0\0\1")
    while start >= 0:
        end = data.find(b"\0\0\1", start + 3)
        unit = data[start + 3 : end if end >= 0 else len(data)]
        yield unit.rstrip(b"\0") if end >= 0 else unit
        start = end


def join_units(units: Iterable[bytes]) -> bytes:
    """Join units into a packet, each after a length of ``LENGTH_SIZE`` bytes."""
    return b"".join(len(unit).to_bytes(LENGTH_SIZE) + unit for unit in units)


def h264_type(unit: bytes) -> int:
    """Return the type of an H.264 unit (ITU-T H.264, 7.3.1)."""
    return unit[0] & 31


def h265_type(unit: bytes) -> int:
    """Return the type of an H.265 unit (ITU-T H.265, 7.3.1.2)."""
    return unit[0] >> 1 & 63


def payload(unit: bytes) -> bytes:
    """Return the payload of an H.264 unit, without header and emulation prevention bytes."""
    return unit[1:].replace(b"\0\0\3", b"\0\0")


class BitReader:
    """Reads numbers bit by bit.

    Raises:
        Uncopyable: the data ends before the number does.
    """

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data)
        self._left = 8 * len(data)

    def unsigned(self, count: int) -> int:
        """Read an unsigned number of ``count`` bits."""
        self._left -= count
        if self._left < 0:
            raise Uncopyable("one of its headers is cut off")
        return self._value >> self._left & (1 << count) - 1

    def flag(self) -> bool:
        """Read one bit."""
        return bool(self.unsigned(1))

    def exp_golomb(self) -> int:
        """Read an unsigned Exp-Golomb number, ``ue(v)`` (ITU-T H.264, 9.1).

        >>> codes = (0b10000000, 0b01000000, 0b00101000)
        >>> [BitReader(bytes([code])).exp_golomb() for code in codes]
        [0, 1, 4]
        """
        zeros = 0
        while not self.flag():
            zeros += 1
        return (1 << zeros) - 1 + self.unsigned(zeros)
