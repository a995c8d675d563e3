"""Whether decoding can begin at a packet with nothing of what came before it.

Containers flag more than that as key frames: H.264 recovery points, after which the picture is
right only later, and pictures that are kept for later and not shown. So the packets are looked at.
"""

from collections.abc import Callable, Iterator

_IDR = 5
_HEVC_IRAP = range(16, 22)
"""BLA, IDR and CRA. After a CRA, pictures that are shown later never refer to what was before it
(H.265, 7.4.2.2); those that are shown earlier may, and whoever cuts there looks at the times."""
_FRAME_HEADERS = frozenset({3, 6})
"""OBU_FRAME_HEADER and OBU_FRAME (AV1, 6.2.2)."""


def is_clean(codec: str, data: bytes, extradata: bytes) -> bool:
    """Whether the key frame in ``data`` needs nothing that was decoded before.

    ``extradata`` is that of the stream and tells how its packets are laid out. False for a codec
    that is not known here.
    """
    check = _CHECKS.get(codec)
    return check is not None and check(data, extradata)


def known_codecs() -> frozenset[str]:
    """The codecs whose packets can be judged."""
    return frozenset(_CHECKS)


def nal_units(data: bytes, length_size: int) -> Iterator[bytes]:
    r"""NAL units of a packet, with lengths of ``length_size`` bytes before them or start codes (0).

    >>> list(nal_units(b"\0\0\0\x02\x65\x88\0\0\0\x01\x06", 4))
    [b'e\x88', b'\x06']
    >>> list(nal_units(b"\0\0\0\x01\x67\x42\0\0\x01\x65\x88", 0))
    [b'gB', b'e\x88']
    """
    return _prefixed(data, length_size) if length_size else _started(data)


def _prefixed(data: bytes, size: int) -> Iterator[bytes]:
    at = 0
    while at + size < len(data):
        length = int.from_bytes(data[at : at + size], "big")
        yield data[at + size : at + size + length]
        at += size + length


def _started(data: bytes) -> Iterator[bytes]:
    at = data.find(b"\0\0\1")
    while at >= 0:
        end = data.find(b"\0\0\1", at + 3)
        unit = data[at + 3 : end if end >= 0 else len(data)]
        yield unit.rstrip(b"\0") if end >= 0 else unit
        at = end


def _h264(data: bytes, extradata: bytes) -> bool:
    # avcC begins with its version, 1; start codes begin with 0 (ISO/IEC 14496-15, 5.3.3.1).
    size = (extradata[4] & 3) + 1 if extradata[:1] == b"\1" and len(extradata) > 4 else 0
    slices = [unit[0] & 31 for unit in nal_units(data, size) if unit and 1 <= unit[0] & 31 <= 5]
    return bool(slices) and all(kind == _IDR for kind in slices)


def _hevc(data: bytes, extradata: bytes) -> bool:
    size = (extradata[21] & 3) + 1 if extradata[:1] == b"\1" and len(extradata) > 21 else 0
    slices = [
        unit[0] >> 1 & 63 for unit in nal_units(data, size) if unit and unit[0] >> 1 & 63 < 32
    ]
    return bool(slices) and all(kind in _HEVC_IRAP for kind in slices)


def _vp9(data: bytes, _extradata: bytes) -> bool:
    """A key frame that is shown (VP9, 6.2); of a superframe, the first frame."""
    if not data or data[0] >> 6 != 2:
        return False
    # frame_marker (2), profile (2), of profile 3 a reserved bit, then the three bits of interest
    profile_3 = data[0] >> 4 & 3 == 3
    show_existing, not_key, shown = (data[0] >> bit - profile_3 & 1 for bit in (3, 2, 1))
    return not show_existing and not not_key and bool(shown)


def _av1(data: bytes, _extradata: bytes) -> bool:
    """A key frame that is shown at once (AV1, 5.9.2), not one that was decoded before."""
    at = 0
    while at < len(data):
        header = data[at]
        at += 2 if header & 4 else 1
        length = len(data) - at
        if header & 2:
            length, at = _leb128(data, at)
        if header >> 3 & 15 in _FRAME_HEADERS:
            # Four bits: not shown from the store, of type 0 (key), and shown.
            return at < len(data) and data[at] >> 4 == 1
        at += length
    return False


def _leb128(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for place in range(8):
        if at >= len(data):
            break
        value |= (data[at] & 127) << 7 * place
        at += 1
        if not data[at - 1] & 128:
            break
    return value, at


def _always(_data: bytes, _extradata: bytes) -> bool:
    """Each picture stands alone."""
    return True


_CHECKS: dict[str, Callable[[bytes, bytes], bool]] = {
    "h264": _h264,
    "hevc": _hevc,
    "vp9": _vp9,
    "av1": _av1,
    "prores": _always,
    "dnxhd": _always,
}
