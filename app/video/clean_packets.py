"""The packets of copied streams beside the video, without anything but sound and text."""

from collections.abc import Callable, Iterator

from av import Packet
from av.packet import PacketSideData
from av.stream import Stream

from app.video.ass import is_copyable_event
from app.video.codec_headers import cleaned_header
from app.video.hidden_data import holds_data, holds_picture

_SIDE_DATA = frozenset({"skip_samples", "mpegts_stream_id", "webvtt_settings", "jp_dual_mono"})
"""Kinds that are copied: gaps at both ends, numbers of streams, and places on the screen."""
_MAX_SIDE_DATA_BYTES = 128
_STYLE_BOX = b"styl"
"""The only box after the text of a subtitle in MP4 that is copied (3GPP TS 26.245, 5.17)."""
_BOX_HEADER_BYTES = 8
_HERTZ = (44100, 48000, 32000)
_KBITS: dict[tuple[bool, int], tuple[int, ...]] = {
    (False, 1): tuple(range(0, 449, 32)),
    (False, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (False, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (True, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (True, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
"""Bit rates, by whether the sampling rate is one of the low ones, and by layer."""


class PacketCleaner:
    """Removes what is not needed from the packets of one stream.

    Args:
        codec: the name of the codec.
        is_audio: whether the stream is audio; otherwise it is subtitles.
    """

    def __init__(self, codec: str, *, is_audio: bool) -> None:
        self._codec = codec
        known = _SOUND if is_audio else _SUBTITLES
        self._clean = known.get(codec, _sound if is_audio else _binary)

    def clean(self, packet: "Packet[Stream]") -> "Packet[Stream] | None":
        """Return the packet itself, a copy with less in it, or None if nothing should be left."""
        data = bytes(packet)
        cleaned = self._clean(data)
        if cleaned is None:
            return None
        kept = [side for side in packet.iter_sidedata() if self._is_kept(side)]
        if cleaned == data and len(kept) == sum(1 for _ in packet.iter_sidedata()):
            return packet
        return _copy(packet, cleaned, kept)

    def _is_kept(self, side: PacketSideData) -> bool:
        if side.data_type == "new_extradata":
            return cleaned_header(self._codec, bytes(side)) == bytes(side)
        return side.data_type in _SIDE_DATA and side.data_size <= _MAX_SIDE_DATA_BYTES


def _copy(packet: "Packet[Stream]", data: bytes, sides: list[PacketSideData]) -> "Packet[Stream]":
    copy: Packet[Stream] = Packet(data)
    copy.time_base = packet.time_base
    copy.pts, copy.dts, copy.duration = packet.pts, packet.dts, packet.duration
    copy.is_keyframe = packet.is_keyframe
    for side in sides:
        copy.set_sidedata(side)
    return copy


def _sound(data: bytes) -> bytes | None:
    """Drop tags of ID3, which some programs write into a stream, and packets with pictures."""
    return None if data.startswith(b"ID3") or holds_picture(data) else data


def _mpeg_sound(data: bytes) -> bytes | None:
    """Keep whole frames only: demuxers divide tags and pictures into pieces of a frame's size."""
    position = 0
    while position < len(data):
        length = mpeg_frame_bytes(data[position : position + 4])
        if length is None:
            return None
        position = position + length if length else len(data)
    return _sound(data) if position == len(data) else None


def mpeg_frame_bytes(head: bytes) -> int | None:
    r"""Return the length of a frame of MP1, MP2 or MP3 (ISO/IEC 11172-3 and 13818-3, 2.4.2.3).

    Returns:
        None if no frame begins with ``head``; 0 for a frame of free format.

    >>> mpeg_frame_bytes(b"\xff\xfb\x90\x00"), mpeg_frame_bytes(b"ID3\x03")
    (417, None)
    """
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
    rate, frequency, padding = head[2] >> 4, head[2] >> 2 & 3, head[2] >> 1 & 1
    if version == 1 or layer == 4 or rate == 15 or frequency == 3:
        return None
    is_low = version != 3
    bits = 1000 * _KBITS[is_low, layer if not is_low or layer == 1 else 2][rate]
    hertz = _HERTZ[frequency] >> {3: 0, 2: 1, 0: 2}[version]
    if layer == 1:
        return (12 * bits // hertz + padding) * 4 if bits else 0
    samples = 72 if is_low and layer == 3 else 144
    return samples * bits // hertz + padding if bits else 0


def _binary(data: bytes) -> bytes | None:
    return None if holds_picture(data) else data


def _text(data: bytes) -> bytes | None:
    return None if holds_picture(data) or holds_data(_decoded(data)) else data


def _ass(data: bytes) -> bytes | None:
    return data if not holds_picture(data) and is_copyable_event(data) else None


def _mov_text(data: bytes) -> bytes | None:
    """Keep the text and its styles."""
    length = 2 + int.from_bytes(data[:2])
    text = _text(data[2:length])
    if text is None:
        return None
    boxes = b"".join(box for box in _boxes(data, length) if box[4:8] == _STYLE_BOX)
    return None if holds_picture(boxes) else data[:length] + boxes


def _boxes(data: bytes, position: int) -> Iterator[bytes]:
    """Yield the whole boxes from ``position`` on."""
    while position + _BOX_HEADER_BYTES <= len(data):
        size = int.from_bytes(data[position : position + 4])
        if size < _BOX_HEADER_BYTES or position + size > len(data):
            return
        yield data[position : position + size]
        position += size


def _decoded(data: bytes) -> str:
    """Return the text of a subtitle; two marks tell UTF-16 from UTF-8."""
    is_wide = data[:2] in {b"\xfe\xff", b"\xff\xfe"}
    return data.decode("utf-16" if is_wide else "utf-8", "replace")


_SOUND: dict[str, Callable[[bytes], bytes | None]] = {
    "mp1": _mpeg_sound,
    "mp2": _mpeg_sound,
    "mp3": _mpeg_sound,
}
_SUBTITLES: dict[str, Callable[[bytes], bytes | None]] = {
    "ass": _ass,
    "mov_text": _mov_text,
    "subrip": _text,
    "webvtt": _text,
    "text": _text,
}
