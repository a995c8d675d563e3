"""Parameter sets of H.264: what slices refer to, and the box ``avcC`` that holds them."""

from dataclasses import dataclass, replace
from typing import Self

from app.video.bitstream.nal import (
    LENGTH_SIZE,
    Bits,
    Uncopyable,
    payload,
)

PROFILES = {66: "baseline", 77: "main", 100: "high"}
"""Profiles (``profile_idc``) of pictures that can stand beside ours, as x264 calls them."""
_HIGH = 100
_CONSTRAINED = 0x40
"""``constraint_set1_flag``: a baseline stream that every decoder of main decodes."""
_MAX_SEQUENCES, _MAX_PICTURES, _MAX_IDS = 31, 255, 32


@dataclass(frozen=True, slots=True)
class SequenceFacts:
    """What a sequence parameter set says (7.3.2.1.1), as far as copying depends on it."""

    id: int
    profile: int
    constraints: int
    level: int
    progressive: bool

    @classmethod
    def of(cls, unit: bytes) -> Self:
        """Read one, as far as up to the size of the picture.

        Raises:
            Uncopyable: it is of another kind than pictures of 8 bits and 4:2:0.
        """
        bits = Bits(payload(unit))
        profile, constraints, level = bits.bits(8), bits.bits(8), bits.bits(8)
        number = bits.number()
        if profile not in PROFILES or (profile == 66 and not constraints & _CONSTRAINED):
            raise Uncopyable(f"its profile is {profile}")
        if profile == _HIGH:
            _check_samples(bits)
        bits.number()
        _skip_order(bits)
        bits.number()
        bits.flag()
        bits.number()
        bits.number()
        return cls(number, profile, constraints, level, progressive=bits.flag())


def _check_samples(bits: Bits) -> None:
    if [bits.number() for _ in range(3)] != [1, 0, 0] or bits.flag():
        raise Uncopyable("its pictures are not of 8 bits and 4:2:0")
    if bits.flag():
        raise Uncopyable("it has scaling matrices of its own")


def _skip_order(bits: Bits) -> None:
    """How the order of pictures is told."""
    kind = bits.number()
    if kind == 0:
        bits.number()
    elif kind != 2:
        raise Uncopyable("the order of its pictures is told in a way that is rare")


@dataclass(frozen=True, slots=True)
class PictureFacts:
    """What a picture parameter set says first (7.3.2.2)."""

    id: int
    sequence: int

    @classmethod
    def of(cls, unit: bytes) -> Self:
        """Read one.

        Raises:
            Uncopyable: it has slice groups, which few decoders know.
        """
        bits = Bits(payload(unit))
        number, sequence = bits.number(), bits.number()
        bits.bits(2)
        if bits.number():
            raise Uncopyable("its pictures are coded in slice groups")
        return cls(number, sequence)


@dataclass(frozen=True, slots=True)
class ParameterSets:
    """The content of ``avcC`` (ISO/IEC 14496-15, 5.3.3.1)."""

    profile: int
    constraints: int
    level: int
    sequences: tuple[bytes, ...]
    pictures: tuple[bytes, ...]

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read the box.

        Raises:
            Uncopyable: it is another box, damaged, or has shorter lengths than ours.
        """
        if len(data) < 7 or data[0] != 1:
            raise Uncopyable("its parameter sets do not stand in front")
        if data[4] & 3 != LENGTH_SIZE - 1:
            raise Uncopyable("the lengths of its units are short")
        sequences, position = _listed(data, 6, data[5] & 31)
        pictures, _ = _listed(data, position + 1, data[position] if position < len(data) else 0)
        return cls(data[1], data[2], data[3], sequences, pictures)

    def __bytes__(self) -> bytes:
        head = bytes([1, self.profile, self.constraints, self.level, 0xFC | LENGTH_SIZE - 1])
        sequences = bytes([0xE0 | len(self.sequences)]) + _written(self.sequences)
        pictures = bytes([len(self.pictures)]) + _written(self.pictures)
        # 4:2:0, twice 8 bits, no extensions: nothing else is copied.
        return head + sequences + pictures + (b"\xfd\xf8\xf8\0" if self.profile == _HIGH else b"")

    def facts(self) -> SequenceFacts:
        """The one sequence parameter set that all picture parameter sets are for.

        Raises:
            Uncopyable: there are several, or none.
        """
        if len(self.sequences) != 1 or not self.pictures:
            raise Uncopyable("it has several sets of parameters")
        facts = SequenceFacts.of(self.sequences[0])
        if any(PictureFacts.of(unit).sequence != facts.id for unit in self.pictures):
            raise Uncopyable("its parameter sets do not belong together")
        return facts

    def picture_ids(self) -> frozenset[int]:
        """What slices may refer to."""
        return frozenset(PictureFacts.of(unit).id for unit in self.pictures)

    def free_id(self) -> int:
        """The least id, from 1 on, that neither kind of set has.

        Raises:
            Uncopyable: all are taken.
        """
        taken = self.picture_ids() | {SequenceFacts.of(unit).id for unit in self.sequences}
        free = next((number for number in range(1, _MAX_IDS) if number not in taken), None)
        if free is None:
            raise Uncopyable("all ids of its parameter sets are taken")
        return free

    def joined(self, other: "ParameterSets") -> "ParameterSets":
        """Both, for a film in which slices refer to either.

        Raises:
            Uncopyable: they have an id in common, are of different profiles, or too many.
        """
        if self.profile != other.profile:
            raise Uncopyable("the encoder made another profile")
        if self.facts().id == other.facts().id or self.picture_ids() & other.picture_ids():
            raise Uncopyable("the encoder's parameter sets have the same ids")
        both = replace(
            self,
            constraints=self.constraints & other.constraints,
            level=max(self.level, other.level),
            sequences=self.sequences + other.sequences,
            pictures=self.pictures + other.pictures,
        )
        if len(both.sequences) > _MAX_SEQUENCES or len(both.pictures) > _MAX_PICTURES:
            raise Uncopyable("it has too many parameter sets")
        return both


def _listed(data: bytes, position: int, count: int) -> tuple[tuple[bytes, ...], int]:
    """``count`` units with two bytes of length each, and where they end."""
    found = []
    for _ in range(count):
        start = position + 2
        position = start + int.from_bytes(data[position:start])
        if position > len(data) or start >= position:
            raise Uncopyable("its parameter sets are cut off")
        found.append(data[start:position])
    return tuple(found), position


def _written(units: tuple[bytes, ...]) -> bytes:
    return b"".join(len(unit).to_bytes(2) + unit for unit in units)
