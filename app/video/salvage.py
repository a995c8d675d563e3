"""Read a file that is cut off as far as it goes."""

from collections.abc import Iterator
from contextlib import suppress

import av
from av.container import InputContainer
from av.packet import Packet

from app.video.container import StreamT, demux, last_packet, translated
from app.video.media import Media
from app.video.truncation import may_be_cut


def read_packets(
    container: InputContainer, media: Media, *streams: StreamT
) -> "Iterator[Packet[StreamT]]":
    """Demux some streams; the last packet of each has no content, and flushes its decoder.

    If ``media`` accepts that it is cut off, reading ends where the demuxer fails, and the last
    packet of each stream is left out, because it may be incomplete.

    Raises:
        MediaError: the container is damaged, and that is not accepted.
    """
    with translated(media):
        if media.accept_truncated and may_be_cut(media):
            yield from _until_cut(container, *streams)
        else:
            yield from demux(container, *streams)


def _until_cut(container: InputContainer, *streams: StreamT) -> "Iterator[Packet[StreamT]]":
    held: dict[int, Packet[StreamT]] = {}
    with suppress(av.error.FFmpegError):
        for packet in demux(container, *streams):
            index = packet.stream.index
            if packet.size and index in held:
                yield held.pop(index)
            if packet.size:
                held[index] = packet
    for stream in streams:
        yield last_packet(stream)
