"""Open containers safely: with the demuxer of the recognised kind only, and no other file."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import TypeVar, cast

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard, Disposition, Stream
from av.video.stream import VideoStream

from app.errors import DiskFull, MediaError, OutputError, UnsupportedMedia, reason_of
from app.files import DISK_FULL
from app.types import MediaFile

StreamT = TypeVar("StreamT", bound=Stream)
_OPTIONS = {"protocol_whitelist": "file", "enable_drefs": "0"}
"""No other protocol than files, and no data references of QuickTime movies."""
_IMAGE_CODECS = frozenset({"mjpeg", "png", "bmp", "gif", "webp"})
_NOT_VIDEO = Disposition.attached_pic | Disposition.timed_thumbnails
_DEMUXERS = {"mp4": "mov", "webm": "matroska"}
"""Demuxers that have another name than the muxer."""
_DAMAGED = "damaged or incomplete ({}); repair it or export it again"
_NO_SPACE = "no space left on the device; free some space and try again"
_UNWRITTEN = "not written ({}); try another container such as .mkv, or another folder"


def open_container(file: MediaFile, demuxer: str) -> InputContainer:
    """Open ``file`` for reading with the demuxer of this name.

    Raises:
        MediaError: the container is damaged.
    """
    # An absolute name, so that no part of it is taken for a protocol.
    source = str(file.absolute()) if isinstance(file, Path) else file.open("rb")
    return _open(source, demuxer, file)


def open_stream(stream: BufferedReader | BytesIO, demuxer: str, label: object) -> InputContainer:
    """Open a container in an open file, which stays open afterwards; ``label`` names it.

    Raises:
        MediaError: the container is damaged.
    """
    return _open(stream, demuxer, label)


def _open(source: str | BufferedReader | BytesIO, demuxer: str, label: object) -> InputContainer:
    options = dict(_OPTIONS)
    if demuxer != "mov":
        del options["enable_drefs"]
    with translated(label):
        return av.open(
            source,
            "r",
            format=demuxer,
            container_options=options,
            metadata_errors="surrogateescape",
        )


@contextmanager
def translated(label: object, *, writing: bool = False) -> Iterator[None]:
    """Translate errors of the media library to ours, in one line that begins with ``label``.

    Raises:
        DiskFull: there is no space left.
        OutputError: ``writing``, and any other error.
        MediaError: not ``writing``, and the library reports an error.
    """
    try:
        yield
    except av.error.FFmpegError as error:
        if error.errno in DISK_FULL:
            raise DiskFull(f"{label}: {_NO_SPACE}") from error
        reason = media_reason(error)
        text = f"{label}: {(_UNWRITTEN if writing else _DAMAGED).format(reason)}"
        raise (OutputError(text) if writing else MediaError(text)) from error
    except OSError as error:
        if error.errno in DISK_FULL:
            raise DiskFull(f"{label}: {_NO_SPACE}") from error
        if writing:
            raise OutputError(f"{label}: {_UNWRITTEN.format(reason_of(error))}") from error
        raise


def media_reason(error: Exception) -> str:
    """Describe an error of the media library in our words."""
    if isinstance(error, av.error.InvalidDataError):
        return "its data is not valid"
    if isinstance(error, av.error.EOFError):
        return "it ends too early"
    if isinstance(error, OSError):
        return reason_of(error)
    return "the media library refuses it"


def is_video(stream: VideoStream) -> bool:
    """Whether a stream is video, not cover art or a track of thumbnails."""
    return not stream.disposition & _NOT_VIDEO


def main_video(container: InputContainer, label: object) -> VideoStream:
    """Return the video stream that players show: the default one, else the largest.

    Streams of image codecs come last.

    Raises:
        UnsupportedMedia: there is no video stream, or no decoder for it.
    """
    videos = [stream for stream in container.streams.video if is_video(stream)]
    if not videos:
        raise UnsupportedMedia(f"{label}: holds no video; give a file with a video stream")
    best = max(videos, key=_prominence)
    if best.codec_context is None:
        raise UnsupportedMedia(f"{label}: no decoder for its video; convert it to H.264 first")
    return best


def _prominence(stream: VideoStream) -> tuple[bool, bool, int, int]:
    """Rank a stream; some muxers store cover art as a video of one large frame."""
    context = stream.codec_context
    is_motion = context is not None and context.name not in _IMAGE_CODECS
    area = context.width * context.height if context is not None else 0
    return is_motion, bool(stream.disposition & Disposition.default), area, -stream.index


def video_packets(container: InputContainer, label: object) -> "Iterator[Packet[VideoStream]]":
    """Demux the packets of the main video only, without empty ones.

    Raises:
        MediaError: the container is damaged.
    """
    stream = main_video(container, label)
    discard_others(container, stream)
    with translated(label):
        yield from (packet for packet in demux(container, stream) if packet.size)


def demux(container: InputContainer, *streams: StreamT) -> "Iterator[Packet[StreamT]]":
    """Demux some streams, as ``container.demux`` does.

    If further streams appear while a file is read, as in FLV and MPEG-TS, their packets are left
    out. The binding ends with an error then, after the last packet of each known stream.
    """
    with suppress(IndexError):
        yield from cast("Iterator[Packet[StreamT]]", container.demux(*streams))


def demuxer_of(muxer: str) -> str:
    """Return the name of the demuxer that reads the files of a muxer."""
    return _DEMUXERS.get(muxer, muxer)


def with_data(packet: "Packet[StreamT]", data: bytes) -> "Packet[StreamT]":
    """Return a copy of a packet with other content; it belongs to no stream."""
    copy: Packet[StreamT] = Packet(data)  # type: ignore[assignment]
    copy.time_base = packet.time_base
    copy.pts, copy.dts, copy.duration = packet.pts, packet.dts, packet.duration
    copy.is_keyframe = packet.is_keyframe
    return copy


def last_packet(stream: StreamT) -> "Packet[StreamT]":
    """Return a packet without content, which flushes the decoder of a stream."""
    end: Packet[StreamT] = Packet()  # type: ignore[assignment]
    end.stream = stream
    end.time_base = Fraction(stream.time_base or 1)
    return end


def discard_others(container: InputContainer, stream: VideoStream) -> None:
    """Tell the demuxer to skip all streams but one."""
    for other in container.streams:
        if other.index != stream.index:
            other.discard = Discard.all


def frame_rate(stream: VideoStream) -> Fraction:
    """Frames per second: the average, else the guessed one, else 25."""
    for rate in (stream.average_rate, stream.guessed_rate, stream.base_rate):
        if rate:
            return Fraction(rate)
    return Fraction(25)
