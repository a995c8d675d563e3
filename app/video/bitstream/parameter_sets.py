"""Parameter sets of H.264 and H.265, and the boxes ``avcC`` and ``hvcC`` that hold them."""

import zlib
from dataclasses import dataclass, replace
from typing import Self

from app.video.bitstream.nal import (
    LENGTH_SIZE,
    PPS,
    SPS,
    BitReader,
    Uncopyable,
    h264_type,
    h265_type,
    payload,
    split_units,
)

PROFILES = {66: "baseline", 77: "main", 100: "high"}
"""Profiles (``profile_idc``) of frames that can be mixed with ours, with their names in x264."""
_BASELINE, _HIGH = 66, 100
_CONSTRAINED = 0x40
"""``constraint_set1_flag``: a baseline stream that every decoder of main can decode."""
_MAX_SPS, _MAX_PPS, _MAX_IDS = 31, 255, 32
_MAX_SET_BYTES = 256
"""Bytes of a parameter set that is copied: the largest in use, with all of its optional parts, has
fewer. Bytes after its end are ignored by decoders, and could hold a picture."""
_MACROBLOCK, _CHROMA_STEP = 16, 2
"""Sides in pixels: of the blocks that a frame is coded in, and of a chroma sample in 4:2:0."""
_LENGTH_SIZE_AT = {"h264": 4, "hevc": 21}
"""The byte of ``avcC`` and ``hvcC`` whose last two bits hold the length size minus 1."""
_H265_SETS = frozenset({32, 33, 34})
"""VPS, SPS and PPS (ITU-T H.265, table 7-1)."""


@dataclass(frozen=True, slots=True)
class SpsFacts:
    """The facts of a sequence parameter set (7.3.2.1.1) that decide about copying.

    ``size`` is the width and height in pixels of a progressive frame, as it is shown.
    """

    id: int
    profile: int
    constraints: int
    level: int
    size: tuple[int, int]
    progressive: bool

    @classmethod
    def parse(cls, unit: bytes) -> Self:
        """Read a sequence parameter set up to the cropping of the picture.

        Raises:
            Uncopyable: its frames are not of 8 bits and 4:2:0, it uses a rare feature, or it hides
                a part of the coded picture.
        """
        if len(unit) > _MAX_SET_BYTES:
            raise Uncopyable("its parameter sets are too long")
        bits = BitReader(payload(unit))
        profile, constraints, level = (bits.unsigned(8) for _ in range(3))
        sps_id = bits.exp_golomb()
        if profile not in PROFILES or (profile == _BASELINE and not constraints & _CONSTRAINED):
            raise Uncopyable(f"its profile is {profile}")
        if profile == _HIGH:
            _check_sample_format(bits)
        _log2_max_frame_num = bits.exp_golomb()
        _skip_picture_order(bits)
        _max_ref_frames = bits.exp_golomb()
        _gaps_in_frame_num_allowed = bits.flag()
        width, height = (_MACROBLOCK * (bits.exp_golomb() + 1) for _ in range(2))
        frame_mbs_only = bits.flag()
        right, bottom = _read_cropping(bits) if frame_mbs_only else (0, 0)
        size = (width - right, height - bottom)
        return cls(sps_id, profile, constraints, level, size, progressive=frame_mbs_only)


def _check_sample_format(bits: BitReader) -> None:
    chroma_format, luma_depth, chroma_depth = (bits.exp_golomb() for _ in range(3))
    lossless = bits.flag()
    if (chroma_format, luma_depth, chroma_depth) != (1, 0, 0) or lossless:
        raise Uncopyable("its frames are not of 8 bits and 4:2:0")
    has_scaling_matrices = bits.flag()
    if has_scaling_matrices:
        raise Uncopyable("it has scaling matrices of its own")


def _skip_picture_order(bits: BitReader) -> None:
    order_type = bits.exp_golomb()
    if order_type == 0:
        _log2_max_order_count = bits.exp_golomb()
    elif order_type != 2:
        raise Uncopyable("it uses a rare type of picture order count")


def _read_cropping(bits: BitReader) -> tuple[int, int]:
    """Return the pixels that are cropped at the right and at the bottom.

    They are no more than the padding of the last macroblocks. Decoders do not show what is cropped,
    so no face is looked for there; but it can be read.
    """
    _direct_8x8_inference, is_cropped = bits.flag(), bits.flag()
    if not is_cropped:
        return 0, 0
    left, right, top, bottom = (_CHROMA_STEP * bits.exp_golomb() for _ in range(4))
    if left or top or max(right, bottom) >= _MACROBLOCK:
        raise Uncopyable("a part of its coded pictures is cropped")
    return right, bottom


@dataclass(frozen=True, slots=True)
class PpsFacts:
    """The first facts of a picture parameter set (7.3.2.2): its id, and that of its SPS."""

    id: int
    sps_id: int

    @classmethod
    def parse(cls, unit: bytes) -> Self:
        """Read the beginning of a picture parameter set.

        Raises:
            Uncopyable: it has slice groups, which few decoders support, or is too long.
        """
        if len(unit) > _MAX_SET_BYTES:
            raise Uncopyable("its parameter sets are too long")
        bits = BitReader(payload(unit))
        pps_id, sps_id = bits.exp_golomb(), bits.exp_golomb()
        _entropy_coding_mode, _bottom_field_order_present = bits.flag(), bits.flag()
        slice_groups_minus_1 = bits.exp_golomb()
        if slice_groups_minus_1:
            raise Uncopyable("its frames are coded in slice groups")
        return cls(pps_id, sps_id)


@dataclass(frozen=True, slots=True)
class ParameterSets:
    """The content of ``avcC`` (ISO/IEC 14496-15, 5.3.3.1).

    ``sps`` and ``pps`` are the units of the parameter sets; ``length_size`` is the number
    of bytes of the length before each unit of a packet.
    """

    profile: int
    constraints: int
    level: int
    length_size: int
    sps: tuple[bytes, ...]
    pps: tuple[bytes, ...]

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Read the box.

        Raises:
            Uncopyable: it is damaged, or another box.
        """
        if len(data) < 7 or data[0] != 1:
            raise Uncopyable("its parameter sets are not in the header of the container")
        sps, position = _read_units(data, 6, data[5] & 31)
        count = data[position] if position < len(data) else 0
        pps, _ = _read_units(data, position + 1, count)
        return cls(data[1], data[2], data[3], (data[4] & 3) + 1, sps, pps)

    def __bytes__(self) -> bytes:
        lengths = 0xFC | self.length_size - 1
        head = bytes([1, self.profile, self.constraints, self.level, lengths])
        sps = bytes([0xE0 | len(self.sps)]) + _write_units(self.sps)
        pps = bytes([len(self.pps)]) + _write_units(self.pps)
        # 4:2:0, twice 8 bits, no extensions: nothing else is copied.
        return head + sps + pps + (b"\xfd\xf8\xf8\0" if self.profile == _HIGH else b"")

    def sps_facts(self) -> SpsFacts:
        """Return the facts of the only SPS, to which all PPS must refer.

        Raises:
            Uncopyable: there are several SPS or none, packets have short lengths, or the profile
                is not that of the box.
        """
        if len(self.sps) > 1:
            raise Uncopyable("it has several sets of parameters")
        return self.facts()[0]

    def facts(self) -> tuple[SpsFacts, ...]:
        """Return the facts of each SPS; all must describe frames of one size.

        Raises:
            Uncopyable: there is none, they differ in their profiles or sizes, a PPS refers to none
                of them, packets have short lengths, or the profile is not that of the box.
        """
        if self.length_size != LENGTH_SIZE:
            raise Uncopyable("the lengths of its units are short")
        if not self.sps or not self.pps:
            raise Uncopyable("it has no sets of parameters")
        facts = tuple(SpsFacts.parse(unit) for unit in self.sps)
        profiles, level = {one.profile for one in facts}, max(one.level for one in facts)
        if ({self.profile}, self.level) != (profiles, level):
            raise Uncopyable("the header of the container names another profile")
        ids = {one.id for one in facts}
        strays = {PpsFacts.parse(unit).sps_id for unit in self.pps} - ids
        if strays or len(ids) != len(facts) or len({one.size for one in facts}) != 1:
            raise Uncopyable("its parameter sets do not belong together")
        return facts

    def pps_ids(self) -> frozenset[int]:
        """Return the ids of the PPS, to which slices refer."""
        return frozenset(PpsFacts.parse(unit).id for unit in self.pps)

    def shared_ids(self) -> tuple[int, ...]:
        """Return the ids that an SPS and a PPS have, in decreasing order: the newest one first."""
        return tuple(sorted(self.pps_ids() & self._sps_ids(), reverse=True))

    def _sps_ids(self) -> frozenset[int]:
        return frozenset(SpsFacts.parse(unit).id for unit in self.sps)

    def includes(self, other: "ParameterSets") -> bool:
        """Whether all units of ``other`` are here, byte by byte."""
        return set(other.sps) <= set(self.sps) and set(other.pps) <= set(self.pps)

    def free_id(self) -> int:
        """Return the smallest id from 1 on that no SPS and no PPS has.

        Raises:
            Uncopyable: all ids are taken.
        """
        taken = self.pps_ids() | self._sps_ids()
        free = next((number for number in range(1, _MAX_IDS) if number not in taken), None)
        if free is None:
            raise Uncopyable("all ids of its parameter sets are taken")
        return free

    def joined(self, other: "ParameterSets") -> "ParameterSets":
        """Return both, for a video in which slices refer to either.

        Raises:
            Uncopyable: they share an id, differ in their profiles, or are too many.
        """
        if self.profile != other.profile:
            raise Uncopyable("the encoder made another profile")
        if self._sps_ids() & other._sps_ids() or self.pps_ids() & other.pps_ids():
            raise Uncopyable("the encoder's parameter sets have the same ids")
        both = replace(
            self,
            constraints=self.constraints & other.constraints,
            level=max(self.level, other.level),
            sps=self.sps + other.sps,
            pps=self.pps + other.pps,
        )
        if len(both.sps) > _MAX_SPS or len(both.pps) > _MAX_PPS:
            raise Uncopyable("it has too many parameter sets")
        return both


def unit_length_size(codec: str, extradata: bytes) -> int:
    """Return the length size of the packets of a stream, 0 if start codes separate the units.

    ``codec`` is ``h264`` or ``hevc``. Both boxes begin with their version, 1; start codes begin
    with 0.
    """
    at = _LENGTH_SIZE_AT[codec]
    return (extradata[at] & 3) + 1 if extradata[:1] == b"\1" and len(extradata) > at else 0


def comparable_parameters(codec: str, extradata: bytes) -> tuple[bytes, ...]:
    """Return the parameters that must be equal in two streams for one decoder to decode both.

    These are the parameter sets of H.264 and H.265, without remarks of the encoder such as its
    number of threads; for other codecs, and for damaged boxes, a checksum of ``extradata``.
    """
    try:
        if codec == "h264":
            return tuple(unit for unit in _h264_units(extradata) if h264_type(unit) in {SPS, PPS})
        if codec == "hevc":
            return tuple(unit for unit in _h265_units(extradata) if h265_type(unit) in _H265_SETS)
    except Uncopyable:
        pass
    return (zlib.crc32(extradata).to_bytes(4),) if extradata else ()


def _h264_units(extradata: bytes) -> tuple[bytes, ...]:
    if extradata[:1] != b"\1":
        return tuple(filter(None, split_units(extradata, 0)))
    sets = ParameterSets.parse(extradata)
    return sets.sps + sets.pps


def _h265_units(extradata: bytes) -> tuple[bytes, ...]:
    """Return the units of ``hvcC`` (ISO/IEC 14496-15, 8.3.3.1), or those after start codes."""
    if extradata[:1] != b"\1":
        return tuple(filter(None, split_units(extradata, 0)))
    units: tuple[bytes, ...] = ()
    arrays, position = extradata[22] if len(extradata) > 22 else 0, 23
    for _ in range(arrays):
        count = int.from_bytes(extradata[position + 1 : position + 3])
        found, position = _read_units(extradata, position + 3, count)
        units += found
    return units


def _read_units(data: bytes, position: int, count: int) -> tuple[tuple[bytes, ...], int]:
    """Read ``count`` units after lengths of two bytes; return them and the end of the last one."""
    units = []
    for _ in range(count):
        start = position + 2
        position = start + int.from_bytes(data[position:start])
        if position > len(data) or start >= position:
            raise Uncopyable("its parameter sets are cut off")
        units.append(data[start:position])
    return tuple(units), position


def _write_units(units: tuple[bytes, ...]) -> bytes:
    return b"".join(len(unit).to_bytes(2) + unit for unit in units)
