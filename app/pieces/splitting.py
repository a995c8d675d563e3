"""Split a video: write its pieces, packet by packet, and their manifest."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
from av.container import OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from app.errors import MediaError, OutputError, reason_of
from app.files import PendingFile, remove_leftovers, sha256_of
from app.pieces.manifest import (
    MANIFEST,
    Manifest,
    Piece,
    SourceFile,
    make_manifest,
    split_id,
    write_manifest,
)
from app.pieces.packets import Packets, Ticks, decoding_times, read_packets
from app.pieces.proposal import Proposal
from app.video.container import main_video, translated, video_packets
from app.video.kinds import BY_SUFFIX
from app.video.media import Media
from app.video.metadata import PieceTag

_EDIT_LIST_MUXERS = frozenset({"mp4", "mov"})
"""Containers with edit lists, which can hide frames that are only there as references."""
_FORMAT_FIELDS = ("codec", "size", "pixel_format", "aspect", "colour", "matrix", "parameters")
"""Fields of ``StreamFormat`` that a piece shares with the source."""


@dataclass(frozen=True, slots=True, eq=False)
class PacketRange:
    """Packets ``[begin, end)`` of a video, in decoding order, that become one piece.

    Attributes:
        packets: all packets of the video.
        begin: the number of the first packet.
        end: the number after the last packet.
        output: the file of the piece.
        tag: the tag of the piece.
    """

    packets: Packets
    begin: int
    end: int
    output: Path
    tag: PieceTag

    @property
    def muxer(self) -> str:
        """The muxer of the piece."""
        return BY_SUFFIX[self.output.suffix].muxer

    @property
    def frame_pts(self) -> Ticks:
        """The presentation times of the frames that are shown, in order."""
        part = slice(self.begin, self.end)
        return np.sort(self.packets.pts[part][self.packets.shown[part]])

    @property
    def written(self) -> Ticks:
        """The numbers of the packets that are written."""
        part = slice(self.begin, self.end)
        return np.arange(self.begin, self.end)[~self.packets.unneeded[part]]


def split(proposal: Proposal, folder: Path) -> Manifest:
    """Write the pieces and the manifest into ``folder``, which is created if it is missing.

    Either all files are written or none: if one fails, the others are removed.

    Raises:
        OutputError: a file already exists, or cannot be written.
        MediaError: the video cannot be cut so that every frame keeps its time, or has changed.
        DiskFull: there is no space.
    """
    source = _describe_source(proposal)
    ranges = _packet_ranges(proposal, folder, split_id(source.sha256, proposal.firsts))
    with _all_or_nothing(folder, [part.output for part in ranges]):
        remove_leftovers(folder)
        _write_pieces(proposal.media, ranges)
        proposal.media.check_unchanged()
        manifest = make_manifest(source, _describe_pieces(proposal, ranges))
        write_manifest(manifest, folder / MANIFEST)
    return manifest


def _describe_source(proposal: Proposal) -> SourceFile:
    base = proposal.packets.format.time_base
    return SourceFile(
        name=proposal.media.name,
        sha256=proposal.media.sha256,
        size=proposal.media.size,
        frames=len(proposal.times),
        time_base=base,
        rate=proposal.rate,
        duration=_to_seconds(int(proposal.times[-1] - proposal.times[0]) * base),
    )


def _packet_ranges(proposal: Proposal, folder: Path, split: str) -> list[PacketRange]:
    """Return the packets of each piece, which begins with its key frame."""
    packets = proposal.packets
    number_of = {int(packets.pts[n]): int(n) for n in np.flatnonzero(packets.can_cut)}
    begins = [0, *(number_of[int(proposal.times[b.frame])] for b in proposal.borders)]
    rate, count = proposal.rate, len(begins)
    return [
        PacketRange(
            packets,
            begin,
            end,
            folder / proposal.name(number),
            PieceTag(number + 1, count, split, rate, processed=False),
        )
        for number, (begin, end) in enumerate(pairwise([*begins, len(packets.pts)]))
    ]


def _describe_pieces(proposal: Proposal, ranges: Sequence[PacketRange]) -> list[Piece]:
    counts, times = proposal.counts, proposal.times
    return [
        Piece(
            file=part.output.name,
            sha256=sha256_of(part.output),
            first=first,
            frames=counts[number],
            first_pts=int(times[first]),
            last_pts=int(times[first + counts[number] - 1]),
            duration=_to_seconds(proposal.duration(number)),
        )
        for number, (first, part) in enumerate(zip(proposal.firsts, ranges, strict=True))
    ]


def _to_seconds(exact: Fraction) -> float:
    return round(float(exact), 3)


@contextmanager
def _all_or_nothing(folder: Path, files: Sequence[Path]) -> Iterator[None]:
    """Create the folder, and remove all files again if the block fails."""
    for path in (folder / MANIFEST, *files):
        if path.exists() or path.is_symlink():
            raise OutputError(f"{path}: already exists; choose another folder")
    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be created ({reason_of(error)})") from error
    try:
        yield
    except BaseException:
        for path in files:
            path.unlink(missing_ok=True)
        if is_new:
            folder.rmdir()
        raise


def _write_pieces(media: Media, ranges: Sequence[PacketRange]) -> None:
    """Write the main video of each range to a file of its own; each file begins at the time 0."""
    with media.open_container() as container:
        source, video = video_packets(container, media), main_video(container, media)
        for part in ranges:
            _check_hidden(media, part)
            pending = PendingFile(part.output, overwrite=False)
            try:
                pending.claim()
                with _open_piece(pending, video, part) as (output, stream):
                    _copy_packets(source, output, stream, part)
                _check_piece(pending.path, part)
                pending.commit()
            finally:
                pending.discard()


def _check_hidden(media: Media, part: PacketRange) -> None:
    """Check that the piece can hide the frames that the edit list of the source hides."""
    written, packets = part.written, part.packets
    hidden = written[~packets.shown[written]]
    is_late = (packets.pts[hidden] > part.frame_pts[0]).any()
    if is_late or (len(hidden) and part.muxer not in _EDIT_LIST_MUXERS):
        raise MediaError(
            f"{media}: its edit list hides frames inside a piece; remove the edit list"
        )


@contextmanager
def _open_piece(
    pending: PendingFile, video: VideoStream, part: PacketRange
) -> Iterator[tuple[OutputContainer, VideoStream]]:
    format_ = part.packets.format
    scale = str(format_.time_base.denominator)
    options = {"movflags": "+faststart", "strict": "experimental"}
    options |= {"video_track_timescale": scale, "movie_timescale": scale}
    with ExitStack() as stack:
        stack.enter_context(translated(part.output, writing=True))
        output = stack.enter_context(
            av.open(
                str(pending.path),
                "w",
                format=part.muxer,
                container_options=options if part.muxer in _EDIT_LIST_MUXERS else {},
            )
        )
        output.metadata["comment"] = str(part.tag)
        try:
            stream = output.add_stream_from_template(video, opaque=True)
        except ValueError as error:
            raise OutputError(f"{part.output}: cannot hold the video; convert it first") from error
        stream.time_base = format_.time_base
        stream.codec_context.sample_aspect_ratio = format_.aspect
        stream.codec_context.framerate = part.packets.rate
        stream.set_display_matrix(format_.matrix)
        yield output, stream


def _copy_packets(
    source: "Iterator[Packet[VideoStream]]",
    output: OutputContainer,
    stream: VideoStream,
    part: PacketRange,
) -> None:
    written, start = part.written, int(part.frame_pts[0])
    pts = part.packets.pts[written] - start
    times = dict(zip(written.tolist(), zip(pts, decoding_times(pts), strict=True), strict=True))
    for number in range(part.begin, part.end):
        packet = next(source, None)
        if packet is None or packet.pts != part.packets.pts[number]:
            raise MediaError(f"{part.output}: not written, the video has changed; split it again")
        if number in times:
            shown, decoded = times[number]
            packet.pts, packet.dts = int(shown), int(decoded)
            packet.stream = stream
            output.mux_one(packet)


def _check_piece(path: Path, part: PacketRange) -> None:
    """Check that a finished piece has the format and the frames of its range, at their times."""
    written = read_packets(Media(path))
    expected, format_ = part.frame_pts, part.packets.format
    starts_right = (written.times[0], written.format.time_base) == (0, format_.time_base)
    if not starts_right or not np.array_equal(written.times, expected - expected[0]):
        raise MediaError(f"{part.output}: not written, its frames lost their times")
    for name in _FORMAT_FIELDS:
        if getattr(written.format, name) != getattr(format_, name):
            raise MediaError(f"{part.output}: not written, its {name} would change")
