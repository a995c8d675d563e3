"""Join rendered pieces, after checking that each is the right one.

A file that fails a check is refused. Frames of the source never replace a piece.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from av.container import OutputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from app.errors import MediaError, OutputError, UsageError
from app.pieces.manifest import Manifest, Piece, read_manifest
from app.pieces.packets import (
    Packets,
    StreamFormat,
    decoding_times,
    open_main_video,
    read_packets,
)
from app.video.container import frame_rate, video_packets
from app.video.file_check import FrameTimes
from app.video.kinds import check_readable
from app.video.media import Media
from app.video.sink import VideoWriter
from app.video.streams import check_rotation
from app.video.writing import Writing

_RESULT_ENDINGS = ("", ".out")
"""The endings that jobs append to the name of a file for its result."""
_EQUAL_FIELDS = {
    "codec": "codec",
    "size": "size",
    "pixel_format": "pixel format",
    "aspect": "pixel aspect ratio",
    "colour": "colour",
    "matrix": "rotation",
    "parameters": "coding parameters",
}
"""The fields of ``StreamFormat`` that must be equal in all pieces, and their names in messages."""


@dataclass(frozen=True, slots=True, eq=False)
class RenderedPiece:
    """A rendered piece: its file, its packets, and the time (ticks) of its start in the source."""

    media: Media
    packets: Packets
    start: int


def join(
    manifest: Path, results: Path, source: Path, output: Path, writing: Writing | None = None
) -> list[str]:
    """Join the rendered pieces of a video.

    Audio, subtitles, chapters and tags come from ``source``, as in an ordinary rendering. The
    frames are those of the pieces, packet by packet, at the times of the source.

    Args:
        manifest: the manifest of the split.
        results: the folder of the rendered pieces.
        source: the video that was split.
        output: the file to write.
        writing: ``overwrite`` and ``keep_location``; nothing is encoded.

    Returns:
        Warnings, one line each, of content that was converted or dropped.

    Raises:
        UsageError: the manifest is wrong or belongs to another source, or a piece is missing or
            is not the expected one.
        MediaError: a piece was not processed, is damaged, or differs from the others.
        OutputError, DiskFull: the output cannot be written.
    """
    split, media = read_manifest(manifest), Media(source)
    check_readable(source)
    original = _check_source(split, media)
    pieces = _read_results(split, results, original)
    with PieceJoiner(media, output, writing or Writing(), pieces) as joiner:
        joiner.commit()
    return joiner.warnings


def _check_source(split: Manifest, media: Media) -> Packets:
    """Read the packets of the source, and check that it is the video that was split."""
    if media.size != split.source.size or media.sha256 != split.source.sha256:
        raise UsageError(f"{media}: is not the video that was split ({split.source.name})")
    packets = read_packets(media)
    times = packets.times
    if len(times) != split.source.frames or packets.format.time_base != split.source.time_base:
        raise UsageError(f"{media}: has other frames than the manifest says; split it again")
    for piece in split.pieces:
        ends = (int(times[piece.first]), int(times[piece.first + piece.frames - 1]))
        if ends != (piece.first_pts, piece.last_pts):
            raise UsageError(f"{piece.file}: the manifest has wrong times for it; split again")
    return packets


def _read_results(split: Manifest, results: Path, original: Packets) -> list[RenderedPiece]:
    """Read and check the results of all pieces."""
    rendered: list[RenderedPiece] = []
    for number, path in enumerate(_find_results(split, results)):
        piece, media = split.pieces[number], Media(path)
        if media.sha256 == piece.sha256:
            raise MediaError(f"{path}: is the piece itself, before rendering; render it first")
        packets = read_packets(media)
        first = rendered[0].packets if rendered else packets
        _check_tag(media, packets, split, number)
        _check_format(media, packets.format, first.format, original.format)
        _check_times(media, packets, piece, original)
        rendered.append(RenderedPiece(media, packets, piece.first_pts))
    return rendered


def _find_results(split: Manifest, results: Path) -> list[Path]:
    """Find the result of each piece: a file of the same name, or with the ending of jobs.

    Raises:
        UsageError: a result is missing or exists twice.
    """
    if not results.is_dir():
        raise UsageError(f"{results}: no such folder; name the one with the rendered pieces")
    candidates = [[results / (p.file + ending) for ending in _RESULT_ENDINGS] for p in split.pieces]
    existing = [[path for path in paths if path.exists()] for paths in candidates]
    pairs = zip(candidates, existing, strict=True)
    missing = [names[0].name for names, paths in pairs if not paths]
    if missing:
        raise UsageError(
            f"{results}: {len(missing)} of {len(existing)} pieces are missing, the first is "
            f"{missing[0]}; render them"
        )
    for paths in existing:
        if len(paths) > 1:
            raise UsageError(f"{paths[0]}: exists twice, also as {paths[1].name}; remove one")
    return [paths[0] for paths in existing]


def _check_tag(media: Media, packets: Packets, split: Manifest, number: int) -> None:
    tag = packets.tag
    if tag is None:
        raise MediaError(f"{media}: has no piece tag; render the piece with Face blur")
    if (tag.number, tag.count, tag.split) != (number + 1, len(split.pieces), split.id):
        raise UsageError(
            f"{media}: is another piece, {tag.number} of {tag.count}, or of another split; "
            "render the right one"
        )
    if not tag.processed:
        raise MediaError(f"{media}: was not processed; render it with Face blur")


def _check_format(
    media: Media, found: StreamFormat, first: StreamFormat, source: StreamFormat
) -> None:
    """Check that one decoder can decode all pieces, set up for the first one."""
    for name, words in _EQUAL_FIELDS.items():
        if getattr(found, name) != getattr(first, name):
            raise MediaError(
                f"{media}: differs from the first piece in its {words}; "
                "render all pieces with the same version and settings"
            )
    if (found.size, found.matrix) != (source.size, source.matrix):
        raise MediaError(f"{media}: its size or rotation is not that of the source")


def _check_times(media: Media, packets: Packets, piece: Piece, original: Packets) -> None:
    """Check that a result has exactly the frames of its piece, at their times."""
    times, expected = packets.times, original.times[piece.first : piece.first + piece.frames]
    if len(times) != piece.frames or len(packets.pts) != len(times):
        raise MediaError(f"{media}: has {len(times)} frames, not {piece.frames}; render it again")
    same_base = packets.format.time_base == original.format.time_base
    if not same_base or not np.array_equal(times, expected - expected[0]):
        raise MediaError(f"{media}: its frames are at other times; render it to the same container")
    if not packets.can_cut[0]:
        raise MediaError(f"{media}: does not begin with a key frame; render it again")


class PieceJoiner(VideoWriter):
    """Writes the packets of rendered pieces, and all other streams of the source.

    Args:
        media: the source.
        output: the file to write.
        writing: ``overwrite`` and ``keep_location``.
        pieces: all pieces in order. They must have equal formats and the time base of the source,
            and each must begin with a key frame.

    Raises:
        OutputError: ``output`` cannot be written, or cannot hold the streams.
        DiskFull: there is no space for it.
        MediaError: the source cannot be read, or the finished file differs from the written data.
    """

    def __init__(
        self, media: Media, output: Path, writing: Writing, pieces: Sequence[RenderedPiece]
    ) -> None:
        super().__init__(media, output, writing)
        self._pieces, self._format = pieces, pieces[0].packets.format
        try:
            self._check_container()
        except BaseException:
            self.__exit__(None, None, None)
            raise

    @property
    def warnings(self) -> list[str]:
        """Warnings, one line each, of content that is converted or dropped."""
        return list(self._streams.warnings)

    def _check_container(self) -> None:
        codec = self._format.codec
        if self._streams.encoding.codec != codec:
            raise OutputError(
                f"{self._name}: the pieces are {codec}, but {self._name.suffix} would need another "
                "codec; use the suffix of the source, or .mkv"
            )
        check_rotation(self._format.matrix, self._streams.muxer, self._name)

    def _finish(self) -> None:
        output, times = self._open_output(), FrameTimes()
        stream = self._add_stream(output)
        others = self._add_other_streams(output)
        self._mux(output, others, self._packets(stream, times))
        self._close(output, others, times)
        for piece in self._pieces:
            piece.media.check_unchanged()

    def _add_stream(self, output: OutputContainer) -> VideoStream:
        with open_main_video(self._pieces[0].media) as (_, template):
            stream = output.add_stream_from_template(template, opaque=True)
        stream.time_base = self._format.time_base
        stream.codec_context.sample_aspect_ratio = self._format.aspect
        stream.codec_context.framerate = frame_rate(self._video)
        self._describe(stream, self._format.matrix)
        return stream

    def _packets(self, stream: VideoStream, times: FrameTimes) -> "Iterator[Packet[VideoStream]]":
        """Yield the packets of all pieces with the times of the source, and record these."""
        shown = np.concatenate([piece.packets.pts + piece.start for piece in self._pieces])
        base = self._format.time_base
        renumbered = zip(shown.tolist(), decoding_times(shown).tolist(), strict=True)
        for piece in self._pieces:
            with piece.media.open_container() as container:
                for packet in video_packets(container, piece.media):
                    packet.pts, packet.dts = next(renumbered)
                    packet.time_base = base
                    packet.stream = stream
                    times.add(Fraction(packet.pts) * base)
                    yield packet
