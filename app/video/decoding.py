"""Decode the frames of a video and account for every packet: damage is never skipped."""

import bisect
import heapq
from collections.abc import Callable, Iterator, Sequence

import av
from av.codec.context import ThreadType
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from app.errors import MediaError
from app.types import Stretch
from app.video.container import discard_others, main_video, translated
from app.video.media import Media
from app.video.salvage import read_packets
from app.video.slots import Slots, has_slots

Observer = Callable[["Packet[VideoStream]"], None]
"""Called with every packet that has content, before it is decoded."""
_ONE_TO_ONE = frozenset(
    {"h264", "hevc", "vvc", "vp9", "av1", "libdav1d", "prores", "dnxhd", "ffv1"}
)
"""Decoders that make one frame of each packet; those of MPEG-4 part 2 and VP8 may make none."""


class DecodeCheck:
    """Checks that every packet that was sent to a decoder comes out as a frame, in order.

    A decoder that meets damage may drop a frame silently, and the binding hides an error that comes
    together with a frame. Then the number of every later frame would differ from the plan, so a
    missing frame is an error.

    Args:
        label: the name of the video in messages.
        decoder: the name of the decoder.

    Raises:
        MediaError: a packet is incomplete, a frame is missing, or the times do not increase.
    """

    def __init__(self, label: object, decoder: str) -> None:
        self._label = label
        self._one_to_one = decoder in _ONE_TO_ONE
        self._sent: list[tuple[int, bool]] = []
        self._first: int | None = None
        self._last: int | None = None
        self._interlaced = False

    def add_packet(self, packet: "Packet[VideoStream]", pts: int | None) -> None:
        """Record a packet that is sent to the decoder; its frame is shown at ``pts``."""
        if packet.is_corrupt:
            raise MediaError(f"{self._label}: its video has incomplete data; copy it again")
        if self._one_to_one and pts is not None and not packet.is_discard:
            heapq.heappush(self._sent, (pts, packet.is_keyframe))

    def add_frame(self, frame: av.VideoFrame, pts: int) -> None:
        """Record a frame that came out of the decoder, the next one in presentation order."""
        if self._last is not None and pts <= self._last:
            raise MediaError(
                f"{self._label}: times of its frames do not increase at {pts}; convert it first"
            )
        self._last = pts
        if self._first is None:
            self._first = pts
        self._interlaced |= frame.interlaced_frame
        self._account(pts)

    def finish(self) -> None:
        """Check the last packets, after the decoder has been emptied."""
        if self._last is not None:
            self._account(None)

    def _account(self, pts: int | None) -> None:
        """Account for the packets up to ``pts`` (None: all); each must have made a frame.

        There are two exceptions. Leading frames, before the first one, are left out by every player
        when they refer to frames that are not in the file. The second field of an interlaced frame
        may be a packet of its own.
        """
        while self._sent and (pts is None or self._sent[0][0] <= pts):
            time, is_key = heapq.heappop(self._sent)
            leading = self._first is not None and time < self._first and not is_key
            if time != pts and not leading and not self._interlaced:
                raise MediaError(
                    f"{self._label}: the frame at {time} cannot be decoded; repair the file"
                )


def _ignore(_packet: "Packet[VideoStream]") -> None:
    """Observe nothing."""


def prepared(
    container: InputContainer, media: Media, *, threads: int, quantisers: bool = False
) -> VideoStream:
    """Return the main video of a container, ready to be decoded; other streams are discarded.

    With ``quantisers``, frames of H.264, MPEG-2 and VP9 have those of their blocks, which show how
    strongly a face is compressed. They take 160 kB for a frame of 1080 lines.

    Raises:
        UnsupportedMedia: there is no video, or no decoder for it.
    """
    stream = main_video(container, media)
    discard_others(container, stream)
    context = stream.codec_context
    # With frame threads, errors come late, and are lost if a packet makes no frame.
    frame_threads = context.name in _ONE_TO_ONE and threads > 1
    context.thread_type = ThreadType.AUTO if frame_threads else ThreadType.SLICE
    context.thread_count = threads
    if quantisers:
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
    decoder = stream.codec_context.name
    check = DecodeCheck(media, decoder)
    slots = Slots(one_to_one=decoder in _ONE_TO_ONE) if has_slots(container, stream) else None
    is_wanted = _chooser(stretches)
    expected, packets = _indexed(container, stream), 0
    with translated(media):
        for packet in read_packets(container, media, stream):
            if packet.size:
                packets += 1
                observe(packet)
                if not is_wanted(packet.pts):
                    continue
                check.add_packet(packet, packet.pts if slots is None else slots.add(packet))
            frames = packet.decode()
            if slots is not None and packet.size:
                slots.close(len(frames))
            for frame in frames:
                if slots is not None:
                    frame.pts = slots.next()
                yield _checked(frame, check, media)
    if packets < expected and not media.accept_truncated:
        raise MediaError(f"{media}: has only {packets} of {expected} frames; copy it again")
    check.finish()


def _chooser(stretches: Sequence[Stretch] | None) -> Callable[[int | None], bool]:
    """Return a function that decides whether the frame at a pts is needed."""
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
    """Return the number of packets in the index of an MP4 or MOV, 0 for other containers."""
    return len(stream.index_entries) if container.format.name.startswith("mov") else 0


def _checked(frame: av.VideoFrame, check: DecodeCheck, media: Media) -> av.VideoFrame:
    if frame.is_corrupt:
        raise MediaError(f"{media}: the frame at {frame.pts} is damaged; repair the file")
    if frame.pts is None:
        frame.pts = frame.dts
    if frame.pts is None:
        raise MediaError(f"{media}: its frames have no times; convert it to MP4 first")
    check.add_frame(frame, frame.pts)
    return frame
