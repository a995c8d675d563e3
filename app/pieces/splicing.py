"""A film out of stretches that were rendered one by one, with all else of the source beside it."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.stream import VideoStream

from app.errors import OutputError
from app.files import PendingFile, check_destination
from app.pieces.packets import Header, Packets, decode_order_times, opened
from app.video.container import frame_rate, main_video, translated, video_packets
from app.video.media import Media
from app.video.metadata import kept, spelt
from app.video.remux import Carrier
from app.video.sink import muxer_options
from app.video.streams import StreamMap, check_rotation, map_streams
from app.video.verify import Times, check_file


@dataclass(frozen=True, slots=True, eq=False)
class Rendered:
    """A rendered stretch: its file, its packets, and when it begins in the source (ticks)."""

    path: Path
    packets: Packets
    start: int


def check_splice(source: Path, output: Path, header: Header, *, overwrite: bool) -> list[str]:
    """Whether stretches with this header can be put together into ``output``; returns warnings.

    Raises:
        OutputError: the file cannot be written there, or cannot hold the streams.
        MediaError: the source cannot be read.
    """
    check_destination(output, overwrite=overwrite, inputs=(source,))
    with Media(source).open_container() as container:
        outline = map_streams(container, source, output)
    if outline.encoding.codec != header.codec:
        raise OutputError(
            f"{output}: the pieces are {header.codec}, which {output.suffix} would not be; "
            "name it like the source, or .mkv"
        )
    check_rotation(header.matrix, outline.muxer, output)
    return list(outline.warnings)


def splice(
    source: Path,
    output: Path,
    parts: Sequence[Rendered],
    *,
    keep_location: bool = False,
    overwrite: bool = False,
) -> None:
    """Write the pictures of ``parts`` and all but the pictures of ``source`` to ``output``.

    The parts follow each other, have equal headers, the time base of the source, and each begins
    with a key frame: who calls this has checked it. The file is looked through before it gets its
    name.

    Raises:
        OutputError, DiskFull: it cannot be written.
        MediaError: the finished file is not what was written.
    """
    check_destination(output, overwrite=overwrite, inputs=(source,))
    pending = PendingFile(output, overwrite=overwrite)
    try:
        _write(source, output, pending, parts, keep_location=keep_location)
        with translated(output, writing=True):
            pending.commit()
    finally:
        pending.discard()


def _write(
    source: Path,
    output: Path,
    pending: PendingFile,
    parts: Sequence[Rendered],
    *,
    keep_location: bool,
) -> None:
    with ExitStack() as stack:
        original = stack.enter_context(Media(source).open_container())
        outline = map_streams(original, source, output)
        stack.enter_context(translated(output, writing=True))
        made = _open_output(pending, original, source, outline, keep_location=keep_location)
        # An error of a file that is thrown away is no news; closing twice does nothing.
        stack.callback(_close, made)
        video = _add_video(made, original, source, parts[0], outline, keep_location=keep_location)
        carrier = Carrier(original, source, made, outline, keep_location=keep_location)
        times = Times()
        for packet in _renumbered(parts, video):
            times.add(Fraction(packet.pts or 0) * packet.time_base)
            carrier.pump(Fraction(packet.dts or 0) * packet.time_base)
            made.mux_one(packet)
        carrier.pump(None)
        made.close()
        check_file(pending.path, outline.muxer, times, carrier.tallies, output)


def _close(output: OutputContainer) -> None:
    with suppress(av.error.FFmpegError):
        output.close()


def _open_output(
    pending: PendingFile,
    original: InputContainer,
    source: Path,
    outline: StreamMap,
    *,
    keep_location: bool,
) -> OutputContainer:
    """The file with the facts of the source, as a sink would write them."""
    output = av.open(
        str(pending.path),
        "w",
        format=outline.muxer,
        container_options=muxer_options(outline.muxer, original, main_video(original, source)),
        metadata_errors="surrogateescape",
    )
    output.metadata.update(kept(original.metadata, keep_location=keep_location))
    output.set_chapters(original.chapters())
    return output


def _add_video(
    output: OutputContainer,
    original: InputContainer,
    source: Path,
    first: Rendered,
    outline: StreamMap,
    *,
    keep_location: bool,
) -> VideoStream:
    video, header = main_video(original, source), first.packets.header
    with opened(Media(first.path)) as (_, template):
        stream = output.add_stream_from_template(template, opaque=True)
    stream.time_base = header.time_base
    stream.codec_context.sample_aspect_ratio = header.aspect
    stream.codec_context.framerate = frame_rate(video)
    stream.set_display_matrix(header.matrix)
    facts = kept(video.metadata, keep_location=keep_location)
    stream.metadata.update(spelt(facts, outline.muxer))
    stream.disposition = video.disposition & ~Disposition.attached_pic
    return stream


def _renumbered(parts: Sequence[Rendered], stream: VideoStream) -> "Iterator[Packet[VideoStream]]":
    """The packets of all parts with the times of the source."""
    shown = np.concatenate([part.packets.pts + part.start for part in parts])
    base = parts[0].packets.header.time_base
    times = zip(shown.tolist(), decode_order_times(shown).tolist(), strict=True)
    for part in parts:
        media = Media(part.path)
        with media.open_container() as container:
            for packet in video_packets(container, media):
                packet.pts, packet.dts = next(times)
                packet.time_base = base
                packet.stream = stream
                yield packet
