"""Count the packets of a video without decoding it, where its header does not know its length."""

from dataclasses import dataclass
from fractions import Fraction

from app.video.container import discard_others, frame_rate, main_video
from app.video.media import Media
from app.video.salvage import read_packets


@dataclass(frozen=True, slots=True)
class Extent:
    """The number of packets of a video, which is at least that of its frames, and its length."""

    packets: int
    seconds: Fraction


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
        discard_others(container, stream)
        base = Fraction(stream.time_base or 1)
        usual = 1 / frame_rate(stream) / base  # MPEG-TS declares no durations
        for packet in read_packets(container, media, stream):
            packets += bool(packet.size)
            if packet.size and packet.pts is not None:
                first = packet.pts if first is None else min(first, packet.pts)
                end = max(end, Fraction(packet.pts + (packet.duration or usual)))
    return Extent(packets, max(Fraction(0), end - (first or 0)) * base)
