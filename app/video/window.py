"""A stretch of a video: only its frames, and what is heard with them, are read."""

from collections.abc import Callable, Iterator
from fractions import Fraction

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from app.errors import MediaError, UsageError
from app.video.container import translated
from app.video.decoding import decoded, prepared
from app.video.header import first_pts, header_of
from app.video.media import Media
from app.video.salvage import read_packets
from app.video.slots import has_slots

_INTERLEAVING = Fraction(5)
"""Seconds by which packets of one time may lie apart in a file; muxers interleave within one or
two."""

Observer = Callable[["Packet[VideoStream]"], None]


def bounds_of(media: Media) -> tuple[int, int | None]:
    """Return the pts of the first frame of the window, and the pts after its last one.

    Raises:
        MediaError: the file is damaged.
        UsageError: there is no frame in the window.
    """
    return media.fact(_find_bounds)


def _find_bounds(media: Media) -> tuple[int, int | None]:
    assert media.window is not None
    bounds = media.window.ticks(first_pts(media), header_of(media).info.time_base)
    with media.open_facts() as container:
        stream = prepared(container, media, threads=1)
        first = next(windowed_frames(container, stream, media, bounds, lambda _: None))
    assert first.pts is not None
    return first.pts, bounds[1]


def seconds_of(media: Media) -> tuple[Fraction, Fraction | None] | None:
    """Return the bounds of the window in seconds of the file's clock, None if all is read.

    Raises:
        MediaError, UsageError: as ``bounds_of``.
    """
    if media.window is None:
        return None
    base = header_of(media).info.time_base
    begin, end = bounds_of(media)
    return begin * base, None if end is None else end * base


def windowed_frames(
    container: InputContainer,
    stream: VideoStream,
    media: Media,
    bounds: tuple[int, int | None],
    observe: Observer,
) -> Iterator[av.VideoFrame]:
    """Decode the frames whose pts is in ``bounds``.

    Decoding begins at a key frame before them, or at the beginning if the file leads to none.

    Raises:
        MediaError: a frame is damaged or has no time.
        UsageError: there is no frame in this stretch.
    """
    begin, end = bounds
    if has_slots(container, stream):  # their times follow from all frames before
        frames = decoded(container, stream, media, None, observe)
    else:
        frames = _from(container, stream, media, begin, observe)
    is_empty = True
    for frame in frames:
        assert frame.pts is not None
        if end is not None and frame.pts >= end:
            break
        if frame.pts >= begin:
            yield frame
            is_empty = False
    if is_empty:
        raise UsageError(f"{media}: has no frame in this stretch")


def _from(
    container: InputContainer,
    stream: VideoStream,
    media: Media,
    begin: int,
    observe: Observer,
) -> Iterator[av.VideoFrame]:
    """Yield the frames from pts ``begin`` on, from a key frame before it if that is possible."""
    first = None
    for target in (begin, min(0, stream.start_time or 0)):
        with translated(media):
            container.seek(target, stream=stream)
        frames = _following(_decoded(container, stream, media, observe), begin, media)
        try:
            first = next(frames, None)
        except MediaError:
            if target != begin:
                raise
        if first is not None:
            yield first
            yield from frames
            return


def _decoded(
    container: InputContainer, stream: VideoStream, media: Media, observe: Observer
) -> Iterator[av.VideoFrame]:
    with translated(media):
        for packet in read_packets(container, media, stream):
            if packet.size:
                observe(packet)
            yield from packet.decode()


def _following(
    frames: Iterator[av.VideoFrame], begin: int, media: Media
) -> Iterator[av.VideoFrame]:
    """Yield the frames from pts ``begin`` on, all of which need a key frame before them."""
    has_key, last = False, begin - 1
    for frame in frames:
        if frame.pts is None:
            raise MediaError(f"{media}: a frame has no time; convert it first")
        has_key |= bool(frame.key_frame) and frame.pts <= begin
        if frame.pts < begin:
            continue
        if not has_key or frame.is_corrupt or frame.pts <= last:
            raise MediaError(f"{media}: the frame at {frame.pts} cannot be decoded")
        last = frame.pts
        yield frame


def windowed_packets(
    packets: "Iterator[Packet[Stream]]", begin: Fraction, end: Fraction | None
) -> "Iterator[Packet[Stream]]":
    """Yield the packets from ``begin`` until before ``end``, in seconds of the file's clock."""
    for packet in packets:
        ticks = packet.dts if packet.dts is not None else packet.pts
        if ticks is None:
            continue
        time = ticks * packet.time_base
        if end is not None and time > end + _INTERLEAVING:
            return
        if time >= begin and (end is None or time < end):
            yield packet
