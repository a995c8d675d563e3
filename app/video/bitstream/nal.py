"""The units that a picture of H.264 is coded in (ITU-T H.264, 7.3.1), and the bits in them."""

from collections.abc import Iterator

from app.errors import MediaError

SLICE, IDR_SLICE, MESSAGES, SEQUENCE, PICTURE, DELIMITER, FILLER = 1, 5, 6, 7, 8, 9, 12
"""Types of units (table 7-1)."""
LENGTH_SIZE = 4
"""Bytes of the length before each unit; containers allow others, which are rare."""
_HEAD = 32
"""Bytes that hold the first three numbers of a slice, whatever they are."""


class Uncopyable(MediaError):
    """A film, or a result, in which packets cannot be copied safely; the message says why."""


def split_units(data: bytes) -> Iterator[bytes]:
    r"""The units of a packet, without the lengths of ``LENGTH_SIZE`` bytes before them.

    Raises:
        Uncopyable: the lengths do not add up to that of the packet.

    >>> list(split_units(bytes([0, 0, 0, 2, 9, 16, 0, 0, 0, 1, 12])))
    [b'\t\x10', b'\x0c']
    """
    position = 0
    while position < len(data):
        start = position + LENGTH_SIZE
        position = start + int.from_bytes(data[position:start])
        if start >= position or position > len(data):
            raise Uncopyable("the lengths of its units are wrong")
        yield data[start:position]


def join_units(units: Iterator[bytes]) -> bytes:
    """The packet of some units: the opposite of ``split_units``."""
    return b"".join(len(unit).to_bytes(LENGTH_SIZE) + unit for unit in units)


def kind_of(unit: bytes) -> int:
    """The type of a unit."""
    return unit[0] & 31


def payload(unit: bytes) -> bytes:
    """What is in a unit, without its header and the bytes that only keep start codes out."""
    return unit[1:].replace(b"\0\0\3", b"\0\0")


class Bits:
    """Reads numbers from the first bit on.

    Raises:
        Uncopyable: there are not as many bits.
    """

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data)
        self._left = 8 * len(data)

    def bits(self, count: int) -> int:
        """An unsigned number of ``count`` bits."""
        self._left -= count
        if self._left < 0:
            raise Uncopyable("one of its headers is cut off")
        return self._value >> self._left & (1 << count) - 1

    def flag(self) -> bool:
        """One bit."""
        return bool(self.bits(1))

    def number(self) -> int:
        """An unsigned Exp-Golomb number (9.1).

        >>> [Bits(bytes([code])).number() for code in (0b10000000, 0b01000000, 0b00101000)]
        [0, 1, 4]
        """
        zeros = 0
        while not self.flag():
            zeros += 1
        return (1 << zeros) - 1 + self.bits(zeros)


def slice_head(unit: bytes) -> tuple[int, int]:
    """Of a slice: the first macroblock, and the id of its picture parameter set (7.3.3)."""
    bits = Bits(payload(unit[:_HEAD]))
    first = bits.number()
    bits.number()
    return first, bits.number()
