"""Read the packets of a video without decoding its frames: their times, and where it can be cut."""

from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

from app.errors import MediaError
from app.types import Size
from app.video.bitstream.keyframes import is_clean_entry
from app.video.bitstream.parameter_sets import comparable_parameters
from app.video.container import demux, discard_others, frame_rate, main_video, translated
from app.video.media import Media
from app.video.metadata import PieceTag, piece_tag_of
from app.video.orientation import Matrix
from app.video.sidedata import display_matrix
from app.video.streams import codec_name
from app.video.truncation import check_complete

Ticks: TypeAlias = NDArray[np.int64]
"""(n,) times in units of a time base."""
Mask: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class StreamFormat:
    """The facts that a decoder needs first; one decoder can decode all streams of equal formats.

    Attributes:
        codec: the name of the codec.
        size: width and height of the coded frames.
        pixel_format: the pixel format of the decoder.
        time_base: the unit of times, in seconds.
        aspect: width by height of a pixel, 0 if unknown.
        colour: primaries, transfer, matrix and range.
        matrix: the display matrix, or None.
        parameters: see ``comparable_parameters``.
    """

    codec: str
    size: Size
    pixel_format: str
    time_base: Fraction
    aspect: Fraction
    colour: tuple[int, int, int, int]
    matrix: Matrix | None
    parameters: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Packets:
    """The packets of the main video of a file in decoding order, as parallel arrays (n,).

    Attributes:
        format: the format of the stream.
        rate: frames per second, on average.
        tag: the piece tag of the file, or None.
        pts: presentation times, in units of ``format.time_base``.
        shown: packets of frames that are shown: not hidden by an edit list, and not before the
            first frame that can be decoded.
        unneeded: packets that are not shown, and to which no shown frame refers.
        can_cut: packets before which the file can be cut.
    """

    format: StreamFormat
    rate: Fraction
    tag: PieceTag | None
    pts: Ticks
    shown: Mask
    unneeded: Mask
    can_cut: Mask

    @property
    def times(self) -> Ticks:
        """The presentation times of the frames that are shown, in order."""
        return np.sort(self.pts[self.shown])


def read_packets(media: Media) -> Packets:
    """Demux the main video of a file, and decode its first frame.

    Raises:
        MediaError: the file is damaged, its frames have no times, or its coding changes within it.
        UnsupportedMedia: it holds no video.
    """
    check_complete(media)
    with open_main_video(media) as (container, stream):
        first = _decode_first(container, stream, media)
        matrix = display_matrix(first)
    with open_main_video(media) as (container, stream):
        pts, hidden, entries = _read_packets(container, stream, media)
        assert first.pts is not None
        early = pts < first.pts
        shown = ~hidden & ~early
        return Packets(
            format=_stream_format(stream, matrix),
            rate=frame_rate(stream),
            tag=piece_tag_of(container.metadata),
            pts=pts,
            shown=shown,
            unneeded=_find_unneeded(shown, hidden, early, entries),
            can_cut=entries & shown & _find_borders(pts),
        )


@contextmanager
def open_main_video(media: Media) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a container and its main video; other streams are discarded."""
    with media.open_container() as container:
        stream = main_video(container, media)
        discard_others(container, stream)
        yield container, stream


def decoding_times(pts: Ticks) -> Ticks:
    """Return decoding times for packets in decoding order: increasing, and never after ``pts``.

    They are the sorted presentation times, delayed by as much as the order of frames requires.

    >>> decoding_times(np.array([0, 30, 10, 20, 40])).tolist()
    [-10, 0, 10, 20, 30]
    """
    increasing = np.sort(pts)
    ranks = np.argsort(np.argsort(pts, kind="stable"), kind="stable")
    delay = int(np.max(np.arange(len(pts)) - ranks, initial=0))
    step = int(increasing[1] - increasing[0]) if len(pts) > 1 else 1
    before = increasing[0] - step * np.arange(delay, 0, -1, dtype=np.int64)
    return np.concatenate([before, increasing[: len(pts) - delay]])


def _decode_first(container: InputContainer, stream: VideoStream, media: Media) -> av.VideoFrame:
    with translated(media):
        for picture in container.decode(stream):
            if picture.pts is not None:
                return picture
            break
    raise MediaError(f"{media}: its first frame cannot be shown, or has no time; convert it first")


def _read_packets(
    container: InputContainer, stream: VideoStream, media: Media
) -> tuple[Ticks, Mask, Mask]:
    """Return times, which packets an edit list hides, and at which ones decoding can begin."""
    codec, extradata = codec_name(stream), bytes(stream.codec_context.extradata or b"")
    pts, hidden, entries = array("q"), bytearray(), bytearray()
    with translated(media):
        for packet in demux(container, stream):
            if not packet.size:
                continue
            if packet.pts is None or packet.is_corrupt:
                raise MediaError(f"{media}: a packet has no time, or is damaged; convert it first")
            if len(pts) and packet.has_sidedata("new_extradata"):
                raise MediaError(f"{media}: its coding changes at {packet.pts}; convert it first")
            pts.append(packet.pts)
            hidden.append(packet.is_discard)
            entries.append(packet.is_keyframe and is_clean_entry(codec, bytes(packet), extradata))
    return (
        np.frombuffer(pts, np.int64).copy(),
        np.frombuffer(hidden, np.bool_).copy(),
        np.frombuffer(entries, np.bool_).copy(),
    )


def _find_borders(pts: Ticks) -> Mask:
    """Find packets that are shown after all earlier packets, and before all later ones."""
    before = np.concatenate([[np.iinfo(np.int64).min], np.maximum.accumulate(pts)[:-1]])
    after = np.minimum.accumulate(pts[::-1])[::-1]
    borders: Mask = (before < pts) & (after == pts)
    return borders


def _find_unneeded(shown: Mask, hidden: Mask, early: Mask, entries: Mask) -> Mask:
    """Find packets at the start that cannot be decoded, and those after the last shown one."""
    last = int(np.flatnonzero(shown)[-1]) if shown.any() else -1
    return (early & ~hidden & ~entries) | (np.arange(len(shown)) > last)


def _stream_format(stream: VideoStream, matrix: Matrix | None) -> StreamFormat:
    context, codec = stream.codec_context, codec_name(stream)
    primaries, transfer = context.color_primaries, context.color_trc
    return StreamFormat(
        codec=codec,
        size=(context.width, context.height),
        pixel_format=context.pix_fmt or "",
        time_base=Fraction(stream.time_base or 1),
        aspect=Fraction(stream.sample_aspect_ratio or 0),
        colour=(primaries, transfer, context.colorspace, context.color_range),
        matrix=matrix,
        parameters=comparable_parameters(codec, bytes(context.extradata or b"")),
    )
