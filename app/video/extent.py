"""Count the packets of a video without decoding it, where its header does not know its length."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from app.video.container import discard_others, frame_rate, main_video
from app.video.header import header_of
from app.video.media import Media
from app.video.salvage import read_packets


@dataclass(frozen=True, slots=True)
class Extent:
    """The number of packets that are shown, which is at least that of frames, and the length."""

    packets: int
    seconds: Fraction


def frame_count(media: Media) -> int | None:
    """Return the number of frames that the header of a video declares, None if it does not know.

    In MP4 and MOV, frames that an edit list hides do not count.

    Raises:
        MediaError, UnsupportedMedia: as ``read_extent``.
    """
    declared = header_of(media).info.frames
    with media.open_facts() as container:
        entries = main_video(container, media).index_entries
        shown = sum(not entry.is_discard for entry in entries)
    return shown if declared and shown and media.format == "mov" else declared


def has_packet(media: Media, number: int) -> bool:
    """Return whether a video has more than ``number`` packets; the file is read no further.

    Raises:
        MediaError, UnsupportedMedia: as ``read_extent``.
    """
    with media.open_facts() as container:
        stream = main_video(container, media)
        return any(index == number for index, _ in enumerate(_packets(media, container, stream)))


def read_extent(media: Media) -> Extent:
    """Return the extent of a video; the file is read to its end by the first call only.

    Raises:
        MediaError: the file is damaged.
        UnsupportedMedia: it has no video that can be decoded.
    """
    return media.fact(_read)


def _read(media: Media) -> Extent:
    packets = 0
    first: int | None = None
    end = Fraction(0)
    with media.open_facts() as container:
        stream = main_video(container, media)
        base = Fraction(stream.time_base or 1)
        usual = 1 / frame_rate(stream) / base  # MPEG-TS declares no durations
        for packet in _packets(media, container, stream):
            packets += 1
            if packet.pts is not None:
                first = packet.pts if first is None else min(first, packet.pts)
                end = max(end, Fraction(packet.pts + (packet.duration or usual)))
    return Extent(packets, max(Fraction(0), end - (first or 0)) * base)


def _packets(
    media: Media, container: InputContainer, stream: VideoStream
) -> "Iterator[Packet[VideoStream]]":
    discard_others(container, stream)
    packets = read_packets(container, media, stream)
    return (packet for packet in packets if packet.size and not packet.is_discard)
