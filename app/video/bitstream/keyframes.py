"""Find key frames at which decoding can begin without any earlier packet.

Containers flag more packets as key frames: H.264 recovery points, after which frames are correct
only later, and VP9 and AV1 frames that are stored and not shown. So the packets are read.
"""

from collections.abc import Callable

from app.video.bitstream.nal import IDR_SLICE, SLICE, h264_type, h265_type, split_units
from app.video.bitstream.parameter_sets import unit_length_size

_H264_SLICES = range(SLICE, IDR_SLICE + 1)
_H265_SLICES = range(32)
_H265_IRAP = range(16, 22)
"""BLA, IDR and CRA. After a CRA, frames that are shown later never refer to packets before it
(ITU-T H.265, 7.4.2.2); frames that are shown earlier may, so a cut there must check the times."""
_OBU_FRAME_HEADERS = frozenset({3, 6})
"""OBU_FRAME_HEADER and OBU_FRAME (AV1, 6.2.2)."""


def is_clean_entry(codec: str, data: bytes, extradata: bytes) -> bool:
    """Whether decoding can begin at a packet that is flagged as a key frame.

    Args:
        codec: the name of the codec; the result is False for one that is not in ``known_codecs``.
        data: the packet.
        extradata: that of the stream; it defines the layout of the packets.
    """
    check = _CHECKS.get(codec)
    return check is not None and check(data, extradata)


def known_codecs() -> frozenset[str]:
    """The codecs whose key frames can be checked."""
    return frozenset(_CHECKS)


def _check_h264(data: bytes, extradata: bytes) -> bool:
    units = split_units(data, unit_length_size("h264", extradata), strict=False)
    slices = [h264_type(unit) for unit in units if unit and h264_type(unit) in _H264_SLICES]
    return bool(slices) and all(kind == IDR_SLICE for kind in slices)


def _check_h265(data: bytes, extradata: bytes) -> bool:
    units = split_units(data, unit_length_size("hevc", extradata), strict=False)
    slices = [h265_type(unit) for unit in units if unit and h265_type(unit) in _H265_SLICES]
    return bool(slices) and all(kind in _H265_IRAP for kind in slices)


def _check_vp9(data: bytes, _extradata: bytes) -> bool:
    """Whether it is a key frame that is shown (VP9, 6.2); of a superframe, the first frame."""
    if not data or data[0] >> 6 != 2:
        return False
    # frame_marker (2 bits), profile (2), a reserved bit in profile 3, then the three flags
    profile_3 = data[0] >> 4 & 3 == 3
    show_existing, not_key, shown = (data[0] >> bit - profile_3 & 1 for bit in (3, 2, 1))
    return not show_existing and not not_key and bool(shown)


def _check_av1(data: bytes, _extradata: bytes) -> bool:
    """Whether it is a new key frame that is shown at once (AV1, 5.9.2)."""
    position = 0
    while position < len(data):
        header = data[position]
        position += 2 if header & 4 else 1
        length = len(data) - position
        if header & 2:
            length, position = _read_leb128(data, position)
        if header >> 3 & 15 in _OBU_FRAME_HEADERS:
            # show_existing_frame 0, frame_type 0 (key; two bits), show_frame 1
            return position < len(data) and data[position] >> 4 == 1
        position += length
    return False


def _read_leb128(data: bytes, position: int) -> tuple[int, int]:
    """Read a number in LEB128 (AV1, 4.10.5); return it and the position after it."""
    value = 0
    for index in range(8):
        if position >= len(data):
            break
        value |= (data[position] & 127) << 7 * index
        position += 1
        if not data[position - 1] & 128:
            break
    return value, position


def _check_intra_codec(_data: bytes, _extradata: bytes) -> bool:
    """Every packet of these codecs can be decoded alone."""
    return True


_CHECKS: dict[str, Callable[[bytes, bytes], bool]] = {
    "h264": _check_h264,
    "hevc": _check_h265,
    "vp9": _check_vp9,
    "av1": _check_av1,
    "prores": _check_intra_codec,
    "dnxhd": _check_intra_codec,
}
