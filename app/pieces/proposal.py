"""Propose where a video is split: at cuts whose key frames need no earlier packets."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
from av.codec.context import ThreadType
from av.video.reformatter import VideoReformatter

from app.errors import UnsupportedMedia, UsageError
from app.pieces.packets import Packets, Ticks, open_main_video, read_packets
from app.shots import SHOT_DETECTORS
from app.video.bitstream.keyframes import known_codecs
from app.video.container import demux, translated
from app.video.frame import Converters, DecodedFrame
from app.video.media import Media
from app.video.orientation import Orientation
from app.video.pixel_formats import planar_format

_REACH = Fraction(1, 2)
"""Largest distance of a border from its ideal place, as a fraction of a piece."""
_MIN_FRAMES = 2
"""Consecutive pieces of one frame could be taken for one frame, because each would be an IDR."""
_MAX_PIECES = 9999
_FRAMES_AROUND = 3
"""Frames before and after a key frame that the shot detector needs."""
_STEM_CHARACTERS = 100
"""Characters of the name of the source in the names of pieces."""
_MAX_RATE_DENOMINATOR = 1001
"""That of 30000/1001."""
_SUFFIXES = {"mpegts": ".mp4", "flv": ".mp4"}
"""Containers whose pieces have another container, one that keeps the times."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A key frame at which the video can be cut: number and time (seconds) of the frame."""

    frame: int
    time: Fraction


@dataclass(frozen=True, slots=True)
class Border:
    """The first frame of a piece; ``is_cut``: a shot begins with it."""

    frame: int
    is_cut: bool


@dataclass(frozen=True, slots=True, eq=False)
class Proposal:
    """A proposal of where to split a video.

    Attributes:
        media: the video.
        packets: its packets.
        times: the times of its frames, in units of its time base.
        suffix: the suffix of the pieces.
        borders: the first frames of all pieces but the first.
    """

    media: Media
    packets: Packets
    times: Ticks
    suffix: str
    borders: tuple[Border, ...]

    @property
    def firsts(self) -> list[int]:
        """The number of the first frame of each piece."""
        return [0, *(border.frame for border in self.borders)]

    @property
    def rate(self) -> Fraction:
        """Frames per second, the same for all pieces; an average if the rate varies."""
        rate = self.packets.rate.limit_denominator(_MAX_RATE_DENOMINATOR)
        return max(rate, Fraction(1, _MAX_RATE_DENOMINATOR))

    @property
    def counts(self) -> list[int]:
        """The number of frames of each piece."""
        return [end - first for first, end in pairwise([*self.firsts, len(self.times)])]

    def name(self, number: int) -> str:
        """Return the file name of a piece; pieces are numbered from 0."""
        stem, count = Path(self.media.name).stem[:_STEM_CHARACTERS], len(self.firsts)
        return f"{stem}-{number + 1:04}of{count:04}{self.suffix}"

    def duration(self, number: int) -> Fraction:
        """Return the seconds from the first frame of a piece to that of the next piece.

        The last piece ends at its last frame.
        """
        ends = [*self.firsts[1:], len(self.times) - 1]
        ticks = int(self.times[ends[number]] - self.times[self.firsts[number]])
        return ticks * self.packets.format.time_base


def propose(
    path: Path,
    *,
    seconds: Fraction | None = None,
    pieces: int | None = None,
    inside_shots: bool = False,
) -> Proposal:
    """Propose where to split a video, by the length or the number of pieces.

    Frames are decoded only around key frames at which a border may be.

    Args:
        path: the video.
        seconds: the approximate length of a piece.
        pieces: the largest number of pieces.
        inside_shots: allow borders inside shots where there is no cut.

    Raises:
        UsageError: not exactly one of ``seconds`` and ``pieces`` is given, or it is out of range.
        UnsupportedMedia: the video cannot be split without encoding.
        MediaError: it is damaged.
    """
    if (seconds is None) == (pieces is None):
        raise UsageError("give the length of pieces in seconds, or their number")
    media = Media(path)
    packets = read_packets(media)
    suffix = _piece_suffix(media, packets)
    times, base = packets.times, packets.format.time_base
    span = (int(times[0]) * base, int(times[-1]) * base)
    count = pieces if pieces is not None else _count_pieces(span[1] - span[0], seconds)
    if not 1 <= count <= _MAX_PIECES:
        raise UsageError(f"{path}: {count} pieces; there can be 1 to {_MAX_PIECES}")
    frames = np.searchsorted(times, packets.pts[packets.can_cut])
    candidates = [Candidate(int(frame), int(times[frame]) * base) for frame in frames if frame]
    is_cut = _CutFinder(media, packets, times).is_cut
    borders = choose_borders(candidates, len(times), span, count, is_cut, inside_shots=inside_shots)
    return Proposal(media, packets, times, suffix, tuple(borders))


def _piece_suffix(media: Media, packets: Packets) -> str:
    if media.format not in {"mov", "matroska", *_SUFFIXES}:
        raise UnsupportedMedia(f"{media}: cannot be split; put it into MP4 or Matroska first")
    if packets.format.codec not in known_codecs():
        raise UnsupportedMedia(
            f"{media}: {packets.format.codec} cannot be split; convert it to H.264 in MP4 first"
        )
    return _SUFFIXES.get(media.format) or media.kind.suffix


def _count_pieces(length: Fraction, seconds: Fraction | None) -> int:
    if seconds is None or seconds <= 0:
        raise UsageError(f"pieces of {seconds} seconds; give a number above 0")
    return max(1, -(-length // seconds))


def choose_borders(
    candidates: Sequence[Candidate],
    frames: int,
    span: tuple[Fraction, Fraction],
    pieces: int,
    is_cut: Callable[[int], bool],
    *,
    inside_shots: bool = False,
) -> list[Border]:
    """Choose the borders between pieces.

    Each border is the cut that is nearest to its ideal place, within half a piece. If there is no
    such cut, there is no border. With ``inside_shots``, the nearest key frame is taken instead,
    although a face that is recognised in one part of a shot is then not recognised in the other.

    Args:
        candidates: the key frames at which the video can be cut.
        frames: the number of frames of the video.
        span: the times of its first and last frame, in seconds.
        pieces: the largest number of pieces.
        is_cut: whether a shot begins with a frame; it may be slow, and is called at most once for
            each frame.
        inside_shots: allow borders that are not cuts.

    >>> keys = [Candidate(frame, Fraction(frame, 10)) for frame in (40, 52, 70)]
    >>> span = (Fraction(0), Fraction(10))
    >>> choose_borders(keys, 100, span, 2, lambda frame: frame == 40)
    [Border(frame=40, is_cut=True)]
    >>> choose_borders(keys, 100, span, 2, lambda frame: False)
    []
    >>> choose_borders(keys, 100, span, 2, lambda frame: False, inside_shots=True)
    [Border(frame=52, is_cut=False)]
    """
    chosen: list[Border] = []
    length = (span[1] - span[0]) / pieces
    for number in range(1, pieces):
        ideal = span[0] + number * length
        first = (chosen[-1].frame if chosen else 0) + _MIN_FRAMES
        allowed = [c for c in candidates if first <= c.frame <= frames - _MIN_FRAMES]
        near = [c for c in allowed if abs(c.time - ideal) <= _REACH * length]
        near.sort(key=lambda c: abs(c.time - ideal))
        cut = next((c for c in near if is_cut(c.frame)), None)
        if cut is not None:
            chosen.append(Border(cut.frame, is_cut=True))
        elif near and inside_shots:
            chosen.append(Border(near[0].frame, is_cut=False))
    return chosen


class _CutFinder:
    """Decides whether shots begin at key frames, by decoding the frames around them."""

    def __init__(self, media: Media, packets: Packets, times: Ticks) -> None:
        self._media, self._times = media, times
        self._entries = np.concatenate([packets.pts[:1], packets.pts[packets.can_cut]])

    def is_cut(self, frame: int) -> bool:
        """Whether a shot begins with the frame."""
        first = max(0, frame - _FRAMES_AROUND)
        last = min(len(self._times) - 1, frame + _FRAMES_AROUND)
        start = int(self._entries[self._entries <= self._times[first]].max())
        detector = SHOT_DETECTORS["content"]()
        cuts: list[int] = []
        excerpt = decode_excerpt(
            self._media, start, int(self._times[first]), int(self._times[last])
        )
        for decoded in excerpt:
            cuts += detector.push(decoded)
        return frame - first in [*cuts, *detector.flush()]


def decode_excerpt(media: Media, start: int, first: int, last: int) -> Iterator[DecodedFrame]:
    """Decode the frames from ``first`` to ``last`` (pts, both inclusive).

    The frames are numbered from 0 and not turned upright. The result is empty if decoding cannot
    begin at ``start``, or if the pixel format is unknown.

    Args:
        media: the video.
        start: the pts of a key frame at which decoding can begin.
        first: the pts of the first frame.
        last: the pts of the last frame.

    Raises:
        MediaError: the file is damaged there.
    """
    converter, converters = VideoReformatter(), Converters()
    with open_main_video(media) as (container, stream), translated(media):
        stream.codec_context.thread_type = ThreadType.AUTO
        stream.codec_context.thread_count = len(os.sched_getaffinity(0))
        container.seek(start, stream=stream, backward=True)
        index = 0
        pictures = (one for packet in demux(container, stream) for one in packet.decode())
        for picture in pictures:
            if picture.pts is None or picture.pts > last:
                return
            if not index and picture.pts > first:
                return
            if picture.pts < first:
                continue
            planar = _to_planar(picture, converter)
            if planar is None:
                return
            yield DecodedFrame(index, picture.pts, planar, Orientation(), converters)
            index += 1


def _to_planar(picture: av.VideoFrame, converter: VideoReformatter) -> av.VideoFrame | None:
    """Return the frame in a planar pixel format, None if there is no such format."""
    name = planar_format(picture.format.name)
    if name is None or name == picture.format.name:
        return picture if name else None
    return converter.reformat(picture, format=name, threads=1)
