"""Writing stretches of a film into files of their own, packet by packet as they are."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from app.errors import MediaError, OutputError, UnsupportedMedia
from app.files import PendingFile
from app.pieces.packets import Packets, Ticks, decode_order_times, opened, read_packets
from app.video.bitstream.keyframes import known_codecs
from app.video.container import main_video, translated, video_packets
from app.video.media import Media
from app.video.piece_tag import Mark

_SUFFIXES = {"mpegts": ".mp4", "flv": ".mp4"}
"""Containers whose pieces are of another kind, one that keeps the times."""
_MUXERS = {".mp4": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}
_HIDING = frozenset({"mp4", "mov"})
"""Containers with edit lists, which can hide what is only there for others to refer to."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Packets ``[begin, end)`` of a film, in the order of decoding, for one file."""

    begin: int
    end: int
    output: Path
    mark: Mark


def piece_suffix(media: Media, packets: Packets) -> str:
    """The suffix of pieces of a film.

    Raises:
        UnsupportedMedia: its container or coding cannot be cut without being encoded again.
    """
    format_ = media.format
    suffix = _SUFFIXES.get(format_) or media.kind.suffix
    if format_ not in {"mov", "matroska", *_SUFFIXES}:
        raise UnsupportedMedia(f"{media}: cannot be split; put it into MP4 or Matroska first")
    if packets.header.codec not in known_codecs():
        raise UnsupportedMedia(
            f"{media}: {packets.header.codec} cannot be split; convert it to H.264 in MP4 first"
        )
    return suffix


def write_stretches(media: Media, packets: Packets, stretches: Sequence[Stretch]) -> None:
    """Write the stretches of ``media`` to files of their own; each begins at the time 0.

    Each has only the main video. The files get their names one after the other; the caller removes
    them when a later one fails.

    Raises:
        MediaError: the film cannot be read, or cannot be cut there so that every frame keeps its
            time.
        OutputError: a file exists already, or cannot be written.
        DiskFull: there is no room.
    """
    with opened(media) as (container, _):
        source, video = video_packets(container, media), main_video(container, media)
        for stretch in stretches:
            _check_hidden(media, packets, stretch)
            pending = PendingFile(stretch.output, overwrite=False)
            try:
                with _writing(pending, video, packets, stretch) as (
                    output,
                    made,
                ):
                    _copy(source, output, made, packets, stretch)
                _check(pending.path, packets, stretch)
                pending.commit()
            finally:
                pending.discard()


def shown_in(packets: Packets, stretch: Stretch) -> Ticks:
    """When the frames of a stretch are shown, in order."""
    part = slice(stretch.begin, stretch.end)
    return np.sort(packets.pts[part][packets.shown[part]])


def _kept(packets: Packets, stretch: Stretch) -> Ticks:
    """Numbers of the packets that are written."""
    return np.arange(stretch.begin, stretch.end)[~packets.dead[stretch.begin : stretch.end]]


def _check_hidden(media: Media, packets: Packets, stretch: Stretch) -> None:
    kept = _kept(packets, stretch)
    hidden = kept[~packets.shown[kept]]
    late = (packets.pts[hidden] > shown_in(packets, stretch)[0]).any()
    if late or (len(hidden) and _MUXERS[stretch.output.suffix] not in _HIDING):
        raise MediaError(f"{media}: its edit list hides frames in between; export it again without")


@contextmanager
def _writing(
    pending: PendingFile, video: VideoStream, packets: Packets, stretch: Stretch
) -> Iterator[tuple[OutputContainer, VideoStream]]:
    muxer, scale = _MUXERS[stretch.output.suffix], str(packets.header.time_base.denominator)
    options = {"movflags": "+faststart", "strict": "experimental"}
    options |= {"video_track_timescale": scale, "movie_timescale": scale}
    with ExitStack() as stack:
        stack.enter_context(translated(stretch.output, writing=True))
        output = stack.enter_context(
            av.open(
                str(pending.path),
                "w",
                format=muxer,
                container_options=options if muxer in _HIDING else {},
            )
        )
        output.metadata["comment"] = str(stretch.mark)
        try:
            made = output.add_stream_from_template(video, opaque=True)
        except ValueError as error:
            raise OutputError(
                f"{stretch.output}: cannot hold the video; convert it first"
            ) from error
        made.time_base = packets.header.time_base
        made.codec_context.sample_aspect_ratio = packets.header.aspect
        made.codec_context.framerate = packets.rate
        made.set_display_matrix(packets.header.matrix)
        yield output, made


def _copy(
    source: "Iterator[Packet[VideoStream]]",
    output: OutputContainer,
    made: VideoStream,
    packets: Packets,
    stretch: Stretch,
) -> None:
    kept, start = _kept(packets, stretch), int(shown_in(packets, stretch)[0])
    pts = packets.pts[kept] - start
    times = dict(zip(kept.tolist(), zip(pts, decode_order_times(pts), strict=True), strict=True))
    for number in range(stretch.begin, stretch.end):
        packet = next(source, None)
        if packet is None or packet.pts != packets.pts[number]:
            raise MediaError(f"{stretch.output}: not written, the film was changed meanwhile")
        if number in times:
            shown, decoded = times[number]
            packet.pts, packet.dts = int(shown), int(decoded)
            packet.stream = made
            output.mux_one(packet)


def _check(written: Path, packets: Packets, stretch: Stretch) -> None:
    """Whether the file has the frames of the stretch at their times, and says the same of them."""
    found = read_packets(Media(written))
    wanted, header = shown_in(packets, stretch), packets.header
    base = header.time_base
    exact = (found.times[0], found.header.time_base) == (0, base)
    if not exact or not np.array_equal(found.times, wanted - wanted[0]):
        raise MediaError(f"{stretch.output}: not written, its frames lost their times")
    for name in ("codec", "size", "pixel_format", "aspect", "colour", "matrix", "parameters"):
        if getattr(found.header, name) != getattr(header, name):
            raise MediaError(f"{stretch.output}: not written, its {name} would be another")
