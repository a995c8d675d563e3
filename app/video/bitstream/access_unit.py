"""Access units of H.264, one frame each: check that they can be copied, and remove private data.

Supplemental enhancement information (SEI; ITU-T H.264, 7.3.2.3 and annex D) can hold anything:
locations and devices, as drones and phones write them, or a whole image. Only messages of known,
harmless types are copied: captions, timing and facts for displays.
"""

import re
from collections.abc import Iterator

from app.video.bitstream.nal import (
    DELIMITER,
    FILLER,
    IDR_SLICE,
    PPS,
    SEI,
    SLICE,
    SPS,
    BitReader,
    Uncopyable,
    h264_type,
    join_units,
    payload,
    split_units,
)
from app.video.bitstream.parameter_sets import ParameterSets

_COPYABLE_UNITS = frozenset({SLICE, IDR_SLICE, SEI, SPS, PPS, DELIMITER, FILLER})
_DELIMITER_BYTES = 2
"""Its header, and the types of slices that follow (ITU-T H.264, 7.3.2.4)."""
_SLICE_HEADER_BYTES = 32
"""Bytes that hold the first three numbers of a slice header, whatever their values."""

_BUFFERING_PERIOD, _PICTURE_TIMING, _REGISTERED, _UNREGISTERED, _RECOVERY_POINT = 0, 1, 4, 5, 6
_FRAME_PACKING, _DISPLAY_ORIENTATION, _MASTERING_DISPLAY, _CONTENT_LIGHT = 45, 47, 137, 144
_HARMLESS_MESSAGES = frozenset(
    {_BUFFERING_PERIOD, _PICTURE_TIMING, _RECOVERY_POINT}
    | {_FRAME_PACKING, _MASTERING_DISPLAY, _CONTENT_LIGHT}
)
_MAX_TIMING_BYTES = 128
"""Bytes of a harmless message; buffering periods are the longest, with two numbers for each of up
to 32 schedules at most."""
_CAPTIONS = b"\xb5\x00\x31GA94\x03"
"""Country, provider, user identifier and type of captions (ATSC A/53, part 4). The number of codes
follows in 5 bits, then a reserved byte, codes of three bytes, and a marker."""
_X264_TEXT = re.compile(rb"x264 - core (\d{1,4})[ -~]{0,2000}\0?")
"""The message of x264: its build, and its settings as text."""
_X264_UUID = bytes.fromhex("dc45e9bde6d948b7962cd820d923eeef")
_OLDEST_X264 = 151
"""Decoders work around bugs of earlier builds. They take the build from the last message that they
saw, and would take that of our encoder."""


def check_access_unit(data: bytes, sets: ParameterSets, pps_ids: frozenset[int]) -> bool:
    """Check that a packet can be copied.

    Args:
        data: the packet, one access unit.
        sets: the parameter sets of the stream.
        pps_ids: the ids of the picture parameter sets in ``sets``.

    Returns:
        Whether the packet is an IDR picture, which begins a group of pictures.

    Raises:
        Uncopyable: it is not one whole frame that refers to these parameter sets.
    """
    slice_types: set[int] = set()
    for unit in split_units(data):
        kind = h264_type(unit)
        if kind not in _COPYABLE_UNITS:
            raise Uncopyable(f"it has units of the rare type {kind}")
        if kind in {SPS, PPS} and unit not in sets.sps + sets.pps:
            raise Uncopyable("its parameters change")
        if kind == SEI:
            is_harmless(unit)
        if kind in {SLICE, IDR_SLICE}:
            first_macroblock, pps_id = _read_slice_header(unit)
            if bool(slice_types) != bool(first_macroblock) or pps_id not in pps_ids:
                raise Uncopyable("its slices do not belong to one frame")
            slice_types.add(kind)
    if len(slice_types) != 1:
        raise Uncopyable("one of its packets is not one frame")
    return slice_types == {IDR_SLICE}


def _read_slice_header(unit: bytes) -> tuple[int, int]:
    """Return the first macroblock of a slice and the id of its PPS (ITU-T H.264, 7.3.3)."""
    bits = BitReader(payload(unit[:_SLICE_HEADER_BYTES]))
    first_macroblock, _slice_type, pps_id = (bits.exp_golomb() for _ in range(3))
    return first_macroblock, pps_id


def without_private_data(data: bytes) -> bytes:
    """Return the packet without unrecognised SEI and fillers; the same object if it has none."""
    units = list(split_units(data))
    kept = [unit for unit in units if _is_kept(unit)]
    return data if len(kept) == len(units) else join_units(kept)


def _is_kept(unit: bytes) -> bool:
    kind = h264_type(unit)
    if kind == DELIMITER:
        return len(unit) == _DELIMITER_BYTES
    # The bytes of a filler should be 255, but decoders do not read them.
    return kind != FILLER and (kind != SEI or is_harmless(unit))


def is_harmless(unit: bytes) -> bool:
    """Whether all messages of an SEI unit are of known, harmless types.

    Raises:
        Uncopyable: a message changes how frames are decoded or shown, or is damaged.
    """
    # Every message is checked before the result is formed, because each one can raise.
    harmless = [_is_harmless_message(*message) for message in _split_messages(payload(unit))]
    return all(harmless)


def _is_harmless_message(kind: int, content: bytes) -> bool:
    if kind == _DISPLAY_ORIENTATION:
        raise Uncopyable("its frames have rotations of their own")
    if kind == _UNREGISTERED and content.startswith(_X264_UUID):
        text = _X264_TEXT.fullmatch(content, len(_X264_UUID))
        if text is None or int(text[1]) < _OLDEST_X264:
            raise Uncopyable("its encoder is too old, or unknown")
        return True
    if kind == _REGISTERED:
        return _is_captions(content)
    return kind in _HARMLESS_MESSAGES and len(content) <= _MAX_TIMING_BYTES


def _is_captions(content: bytes) -> bool:
    """Whether a message holds captions and nothing else."""
    head = len(_CAPTIONS) + 2
    if not content.startswith(_CAPTIONS) or len(content) < head:
        return False
    codes = 3 * (content[len(_CAPTIONS)] & 31)
    return len(content) - head - codes in {0, 1}


def _split_messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield type and content of each message; the trailing bits are left out."""
    position, end = 0, len(data.rstrip(b"\0")) - 1
    while position < end:
        kind, position = _read_sum(data, position)
        size, position = _read_sum(data, position)
        if position + size > end:
            raise Uncopyable("its supplemental information is cut off")
        yield kind, data[position : position + size]
        position += size


def _read_sum(data: bytes, position: int) -> tuple[int, int]:
    """Read a number coded as bytes of 255 and a last, smaller one; return it and its end."""
    total = 0
    while position < len(data) and data[position] == 255:
        total, position = total + 255, position + 1
    return total + (data[position] if position < len(data) else 0), position + 1
