"""Decode the frames of a video and account for every packet: damage is never skipped."""

import bisect
from collections.abc import Callable, Iterator, Sequence

import av
from av.codec.context import ThreadType
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from app.errors import MediaError
from app.types import Stretch
from app.video.container import discard_others, main_video, translated
from app.video.decode_check import ONE_TO_ONE, Ledger
from app.video.media import Media

Observer = Callable[["Packet[VideoStream]"], None]
"""Called with every packet that has content, before it is decoded."""


def _ignore(_packet: "Packet[VideoStream]") -> None:
    """Observe nothing."""


def prepared(container: InputContainer, media: Media, *, threads: int) -> VideoStream:
    """The main video of a container, ready to be decoded; other streams are discarded.

    Raises:
        UnsupportedMedia: there is no video, or no decoder for it.
    """
    stream = main_video(container, media)
    discard_others(container, stream)
    context = stream.codec_context
    # With frame threads, errors come late, and are lost if a packet makes no frame.
    frame_threads = context.name in ONE_TO_ONE and threads > 1
    context.thread_type = ThreadType.AUTO if frame_threads else ThreadType.SLICE
    context.thread_count = threads
    # Exports the quantisers of H.264, MPEG-2 and VP9: they show how strongly a face is compressed.
    context.options = {"export_side_data": "venc_params"}
    return stream


def decoded(
    container: InputContainer,
    stream: VideoStream,
    media: Media,
    stretches: Sequence[Stretch] | None = None,
    observe: Observer = _ignore,
) -> Iterator[av.VideoFrame]:
    """Decode all frames in presentation order, or those of some stretches.

    Raises:
        MediaError: a frame is missing, incomplete, concealed or without a time.
    """
    ledger = Ledger(media, stream.codec_context.name)
    is_wanted = _chooser(stretches)
    expected, packets = _indexed(container, stream), 0
    with translated(media):
        for packet in container.demux(stream):
            if packet.size:
                packets += 1
                observe(packet)
                if not is_wanted(packet.pts):
                    continue
                ledger.sent(packet)
            for frame in packet.decode():
                yield _checked(frame, ledger, media)
    if packets < expected:
        raise MediaError(f"{media}: {packets} of {expected} frames are there; copy it again")
    ledger.finish()


def _chooser(stretches: Sequence[Stretch] | None) -> Callable[[int | None], bool]:
    """Return a test of whether the frame at a pts is wanted."""
    if stretches is None:
        return lambda _: True
    starts = [stretch.start for stretch in stretches]

    def is_wanted(pts: int | None) -> bool:
        if pts is None:
            return True
        index = bisect.bisect(starts, pts) - 1
        return index >= 0 and pts <= stretches[index].last

    return is_wanted


def _indexed(container: InputContainer, stream: VideoStream) -> int:
    """The number of packets that the index of an MP4 or MOV promises, 0 for other containers."""
    return len(stream.index_entries) if container.format.name.startswith("mov") else 0


def _checked(frame: av.VideoFrame, ledger: Ledger, media: Media) -> av.VideoFrame:
    if frame.is_corrupt:
        raise MediaError(f"{media}: the frame at {frame.pts} is damaged; repair the file")
    if frame.pts is None:
        frame.pts = frame.dts
    if frame.pts is None:
        raise MediaError(f"{media}: its frames have no times; convert it to MP4 first")
    ledger.shown(frame, frame.pts)
    return frame
