"""Damaged variants of a file, each made by a named mutation out of a number.

>>> from testmedia.faces import seed
>>> first = mutate(seed("face.png"), "cut", 7)
>>> first.data == mutate(seed("face.png"), "cut", 7).data, len(first.data) < len(first.seed.data)
(True, True)

Half of the mutations change bytes wherever they lie. The others know the structure of the file, and
damage one part of it while sizes and checksums around it stay right, so that the damage comes as
deep into a reader as possible.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from random import Random

from testmedia.faces import NAMES, Seed, seed
from testmedia.structures import Layout, Part, every_part, join, layout_of, split

_BLOCKS = (1, 16, 188, 1024, 4096)
"""Sizes of blocks in bytes: up to that of a block of a disk."""
_MOST_FLIPS = 16
_MOST_TRIES = 20
"""A change may change nothing, such as zeros of zeros."""
_TIMES = {
    *(b"mvhd", b"tkhd", b"mdhd", b"elst", b"stts", b"ctts", b"tfdt", b"tfhd", b"trun", b"mvex"),
    *(bytes.fromhex(name) for name in ("e7", "a3", "a1", "9b", "2ad7b1", "4489", "23e383")),
    *(b"strh", b"avih"),
}
"""Parts with times: boxes of MP4, elements of Matroska, chunks of AVI."""
_INDEX = {
    *(b"stsz", b"stsc", b"stco", b"stss", b"sidx", b"tfra", b"trun"),
    *(bytes.fromhex(name) for name in ("b3", "b7", "f1", "53ac")),
    *(b"idx1", b"\x00\x00", b"\x10\x00"),
    *(b"\xff\xc4", b"\xff\xdb", b"IHDR", b"VP8X"),
}
"""Parts without which nothing is found: tables of samples, cues, the index of AVI, the tables of
programs (PAT and PMT) of MPEG-TS, the tables of JPEG, and the headers of images."""
_NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 2**31 - 1, 2**31, 2**32 - 2, 2**32 - 1)
"""Numbers at which the arithmetic of readers ends."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """A damaged file, and the seed and the mutation that it was made of."""

    seed: Seed
    mutation: str
    number: int
    data: bytes

    @property
    def name(self) -> str:
        """A file name that tells how the mutant was made."""
        return f"{self.mutation.replace(' ', '-')}-{self.number}-{self.seed.name}"


def corpus(count: int, start: int = 0) -> Iterator[Mutant]:
    """Yield ``count`` mutants: each mutation of each seed in turn, with numbers from ``start``."""
    kinds = [(name, mutation) for mutation in MUTATIONS for name in NAMES]
    for index, (name, mutation) in enumerate(islice(cycle(kinds), count)):
        yield mutate(seed(name), mutation, start + index // len(kinds))


def mutate(origin: Seed, mutation: str, number: int) -> Mutant:
    """Return a mutant; equal arguments give equal bytes."""
    random = Random(f"{origin.name} {mutation} {number}")
    data = origin.data
    for _ in range(_MOST_TRIES):
        data = MUTATIONS[mutation](origin.data, layout_of(origin.name), random)
        if data != origin.data:
            break
    return Mutant(origin, mutation, number, data)


def _flip(data: bytes, _layout: Layout, random: Random) -> bytes:
    changed = bytearray(data)
    for _ in range(random.randint(1, _MOST_FLIPS)):
        changed[random.randrange(len(data))] ^= 1 << random.randrange(8)
    return bytes(changed)


def _cut(data: bytes, _layout: Layout, random: Random) -> bytes:
    return data[: random.randrange(1, len(data))]


def _block(data: bytes, random: Random) -> slice:
    size = min(random.choice(_BLOCKS), len(data) - 1)
    start = random.randrange(len(data) - size)
    return slice(start, start + size)


def _drop_block(data: bytes, _layout: Layout, random: Random) -> bytes:
    block = _block(data, random)
    return data[: block.start] + data[block.stop :]


def _repeat_block(data: bytes, _layout: Layout, random: Random) -> bytes:
    block = _block(data, random)
    return data[: block.stop] + data[block] * random.choice((1, 2, 9)) + data[block.stop :]


def _swap_blocks(data: bytes, _layout: Layout, random: Random) -> bytes:
    first, second = _block(data, random), _block(data, random)
    changed = bytearray(data)
    size = min(first.stop - first.start, second.stop - second.start)
    one, other = data[first][:size], data[second][:size]
    changed[first.start : first.start + size] = other
    changed[second.start : second.start + size] = one
    return bytes(changed)


def _insert_zeros(data: bytes, _layout: Layout, random: Random) -> bytes:
    at = random.randrange(len(data))
    return data[:at] + bytes(random.choice(_BLOCKS)) + data[at:]


def _zero_block(data: bytes, _layout: Layout, random: Random) -> bytes:
    block = _block(data, random)
    return data[: block.start] + bytes(block.stop - block.start) + data[block.stop :]


PartChange = Callable[[list[Part], int, Random], None]


def _on_parts(
    change: PartChange, names: set[bytes] | None = None
) -> Callable[[bytes, Layout, Random], bytes]:
    """Return a mutation that changes one part, of these names if the file has such parts."""

    def mutation(data: bytes, layout: Layout, random: Random) -> bytes:
        parts = split(data, layout)
        places = list(every_part(parts))
        named = [place for place in places if place[0][place[1]].name in (names or ())]
        change(*random.choice(named or places), random)
        return join(parts, layout)

    return mutation


def _remove(siblings: list[Part], index: int, _random: Random) -> None:
    del siblings[index]


def _repeat(siblings: list[Part], index: int, random: Random) -> None:
    siblings[index:index] = [siblings[index]] * random.choice((1, 2, 50))


def _swap(siblings: list[Part], index: int, random: Random) -> None:
    other = random.randrange(len(siblings))
    siblings[index], siblings[other] = siblings[other], siblings[index]


def _resize(siblings: list[Part], index: int, random: Random) -> None:
    """Declare a wrong size."""
    near = len(siblings[index].body) + random.choice((-1, 1, 4, 7, 9, 16))
    siblings[index].declared = random.choice((*_NUMBERS, near, near, near, 2**63))


def _shorten(siblings: list[Part], index: int, random: Random) -> None:
    """Cut off the body of a part; its size is right."""
    body = siblings[index].body
    siblings[index].body = body[: random.randrange(len(body) + 1)]


def _lengthen(siblings: list[Part], index: int, random: Random) -> None:
    siblings[index].body += random.choice((bytes, random.randbytes))(random.choice(_BLOCKS))


def _rewrite(siblings: list[Part], index: int, random: Random) -> None:
    """Change a few bytes in the body of a part."""
    body = bytearray(siblings[index].body)
    for _ in range(random.randint(1, 3) if body else 0):
        body[random.randrange(len(body))] = random.choice((0, 1, 0x7F, 0x80, 0xFF))
    siblings[index].body = bytes(body)


def _renumber(siblings: list[Part], index: int, random: Random) -> None:
    """Put a number at which arithmetic ends where the part may have a number."""
    body = siblings[index].body
    width = random.choice([size for size in (1, 2, 4) if size <= max(1, len(body))])
    at = random.randrange(0, max(1, len(body) - width + 1), width)
    number = random.choice(_NUMBERS) % 256**width
    siblings[index].body = body[:at] + number.to_bytes(width) + body[at + width :]


def _retime(data: bytes, layout: Layout, random: Random) -> bytes:
    """Change a time: a number of a part that holds times, or that of a packet of MPEG-TS."""
    if layout != "ts":
        return _on_parts(_renumber, _TIMES)(data, layout, random)
    starts = (at for at in range(len(data) - 14) if data[at : at + 3] == b"\0\0\1")
    heads = [at for at in starts if data[at + 7] >> 7]  # headers of PES with a time
    at = random.choice(heads) + 9 + random.randrange(5)
    return data[:at] + bytes([data[at] ^ random.choice((2, 8, 0x40, 0xFE))]) + data[at + 1 :]


def _zero(siblings: list[Part], index: int, random: Random) -> None:
    """Fill a part with zeros, from a random place to its end."""
    body = siblings[index].body
    at = random.randrange(len(body) + 1)
    siblings[index].body = body[:at] + bytes(len(body) - at)
    siblings[index].parts = []


MUTATIONS: dict[str, Callable[[bytes, Layout, Random], bytes]] = {
    "flip bits": _flip,
    "cut": _cut,
    "drop block": _drop_block,
    "repeat block": _repeat_block,
    "swap blocks": _swap_blocks,
    "insert zeros": _insert_zeros,
    "zero block": _zero_block,
    "remove part": _on_parts(_remove),
    "repeat part": _on_parts(_repeat),
    "swap parts": _on_parts(_swap),
    "wrong size": _on_parts(_resize),
    "shorten part": _on_parts(_shorten),
    "lengthen part": _on_parts(_lengthen),
    "rewrite part": _on_parts(_rewrite),
    "wrong number": _on_parts(_renumber),
    "wrong time": _retime,
    "zero index": _on_parts(_zero, _INDEX),
    "wrong index": _on_parts(_renumber, _INDEX),
}
"""Each mutation by its name. The first seven change bytes, the others parts."""
