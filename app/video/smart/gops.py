"""Groups of pictures: what can be copied without the rest, and whether it is safe at all.

A group begins with a picture that all decoders start afresh at (IDR), and ends before the next one.
Such groups follow each other in the same order in the file and on the screen, so that picture
number n of the film is one of the group that holds packet number n.
"""

import bisect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream
from numpy.typing import NDArray

from app.video.bitstream.nal import (
    DELIMITER,
    FILLER,
    IDR_SLICE,
    MESSAGES,
    PICTURE,
    SEQUENCE,
    SLICE,
    Uncopyable,
    join_units,
    kind_of,
    slice_head,
    split_units,
)
from app.video.bitstream.parameter_sets import ParameterSets
from app.video.bitstream.sei import may_stay
from app.video.container import main_video, video_packets
from app.video.media import Media

Numbers: TypeAlias = NDArray[np.int64]
_KNOWN = frozenset({SLICE, IDR_SLICE, MESSAGES, SEQUENCE, PICTURE, DELIMITER, FILLER})


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """The packets of a film in the order of the file; times in units of its time base.

    ``starts`` are the packets that begin a group. ``shown`` are the ``pts`` in rising order: the
    time of each frame by its number. No picture waits for more than ``reorder`` later ones.
    """

    sets: ParameterSets
    pts: Numbers
    dts: Numbers
    durations: Numbers
    starts: Numbers
    shown: Numbers
    reorder: int

    @property
    def begins(self) -> NDArray[np.bool_]:
        """Which packets begin a group."""
        begins = np.zeros(len(self.pts), bool)
        begins[self.starts] = True
        return begins

    def touched(self, hidden: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which packets have to be made anew, where ``hidden`` tells the frames that changed.

        Raises:
            Uncopyable: all of them have to, or ``hidden`` is of another film.
        """
        if len(hidden) != len(self.pts):
            raise Uncopyable("it has other frames than the plan")
        ends = [*self.starts[1:], len(self.pts)]
        any_hidden = [hidden[a:b].any() for a, b in zip(self.starts, ends, strict=True)]
        sizes = np.diff([*self.starts, len(self.pts)])
        touched = _spread(np.array(any_hidden, bool), sizes == 1)
        if touched.all():
            raise Uncopyable("something is hidden in each of its groups of pictures")
        return np.repeat(touched, sizes)

    def spare(self) -> int:
        """How many later pictures one may wait for in a group that is made anew.

        Its packets take over the times of decoding of those that they replace: no picture may be
        shown before it is decoded.

        Raises:
            Uncopyable: some are now.
        """
        first = np.repeat(self.starts, np.diff([*self.starts, len(self.pts)]))
        for depth in range(min(self.reorder, 2), -1, -1):
            earliest = np.maximum(np.arange(len(self.pts)) - depth, first)
            if (self.dts <= self.shown[earliest]).all():
                return depth
        raise Uncopyable("some of its pictures are shown before they are decoded")


def _spread(touched: NDArray[np.bool_], single: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Groups of one picture take after their neighbours.

    Pictures that follow each other and both begin a group must have different numbers, and ours
    know nothing of those of the source (7.4.3, ``idr_pic_id``).
    """
    spread = touched.copy()
    for order in (range(1, len(spread)), range(len(spread) - 2, -1, -1)):
        step = order.step
        for index in order:
            before = index - step
            if spread[before] and (single[index] or single[before]):
                spread[index] = True
    return spread


@dataclass(slots=True)
class _Scan:
    """What has been seen of the packets so far."""

    sets: ParameterSets
    ids: frozenset[int]
    pts: list[int] = field(default_factory=list)
    dts: list[int] = field(default_factory=list)
    durations: list[int] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)

    def add(self, packet: "Packet[VideoStream]") -> None:
        """Look at the next packet."""
        begins = _check_units(bytes(packet), self.sets, self.ids)
        if packet.is_discard or packet.is_corrupt or any(packet.iter_sidedata()):
            raise Uncopyable("some of its pictures are hidden, or differ from the others")
        if begins != packet.is_keyframe:
            raise Uncopyable("its groups of pictures are open")
        if packet.pts is None or packet.dts is None:
            raise Uncopyable("some of its pictures have no times")
        if begins:
            self.starts.append(len(self.pts))
        self.pts.append(packet.pts)
        self.dts.append(packet.dts)
        self.durations.append(packet.duration or 0)

    def groups(self, frames: int) -> Groups:
        """Check all packets together; ``frames`` is their number by the index of the file."""
        if len(self.pts) != frames:
            raise Uncopyable("its index has other pictures than those that are shown")
        pts, dts = np.array(self.pts, np.int64), np.array(self.dts, np.int64)
        starts = np.array(self.starts, np.int64)
        if not len(pts) or not len(starts) or starts[0] != 0:
            raise Uncopyable("it does not begin with a picture of its own")
        shown = np.sort(pts)
        if (np.diff(shown) <= 0).any() or (np.diff(dts) <= 0).any():
            raise Uncopyable("the times of its pictures do not increase")
        reorder = 0
        for first, end in zip(starts, [*starts[1:], len(pts)], strict=True):
            if pts[first] != shown[first] or pts[first:end].max() != shown[end - 1]:
                raise Uncopyable("its groups of pictures are open")
            reorder = max(reorder, _reorder(self.pts[first:end]))
        durations = np.array(self.durations, np.int64)
        return Groups(self.sets, pts, dts, durations, starts, shown, reorder)


def _reorder(pts: list[int]) -> int:
    """For how many later ones of the file the pictures of a group wait, at most.

    >>> _reorder([0, 1, 2]), _reorder([0, 3, 1, 2]), _reorder([0, 4, 2, 1, 3])
    (0, 1, 2)
    """
    before: list[int] = []
    most = 0
    for time in pts:
        most = max(most, len(before) - bisect.bisect(before, time))
        bisect.insort(before, time)
    return most


def _check_units(data: bytes, sets: ParameterSets, ids: frozenset[int]) -> bool:
    """Whether a packet begins a group.

    Raises:
        Uncopyable: it is not one whole picture that refers to these parameter sets.
    """
    slices: set[int] = set()
    for unit in split_units(data):
        kind = kind_of(unit)
        if kind not in _KNOWN:
            raise Uncopyable(f"it has units of the rare type {kind}")
        if kind in {SEQUENCE, PICTURE} and unit not in sets.sequences + sets.pictures:
            raise Uncopyable("its parameters change")
        if kind == MESSAGES:
            may_stay(unit)
        if kind in {SLICE, IDR_SLICE}:
            first, used = slice_head(unit)
            if bool(slices) != bool(first) or used not in ids:
                raise Uncopyable("its slices are not those of one picture")
            slices.add(kind)
    if len(slices) != 1:
        raise Uncopyable("one of its packets is not one picture")
    return slices == {IDR_SLICE}


def check_picture(data: bytes, sets: ParameterSets) -> bool:
    """Whether a packet begins a group; see ``_check_units``."""
    return _check_units(data, sets, sets.picture_ids())


def cleaned(data: bytes) -> bytes:
    """A packet without what nobody knows; the very bytes where there is nothing of that."""
    units = list(split_units(data))
    kept = [unit for unit in units if kind_of(unit) != MESSAGES or may_stay(unit)]
    return data if len(kept) == len(units) else join_units(iter(kept))


class GopScan:
    """Collects the packets of a video while another pass over them decodes its frames."""

    def __init__(self, media: Media, container: InputContainer) -> None:
        self._media = media
        self._scan: _Scan | None = None
        self._reason: Uncopyable | None = None
        self._frames = 0
        with self._collecting_reason():
            stream = main_video(container, media)
            self._frames = stream.frames
            self._scan = _begin(media, stream)

    def add(self, packet: "Packet[VideoStream]") -> None:
        """Take the next packet of the video that has content."""
        if self._scan is not None and self._reason is None:
            with self._collecting_reason():
                self._scan.add(packet)

    def finish(self) -> None:
        """Keep what was found as a fact of the media."""
        groups: Groups | None = None
        if self._scan is not None and self._reason is None:
            with self._collecting_reason():
                groups = self._scan.groups(self._frames)
        self._media.keep_fact(_scanned, (groups, self._reason))

    @contextmanager
    def _collecting_reason(self) -> Iterator[None]:
        try:
            yield
        except Uncopyable as error:
            self._reason = error


def find_groups(media: Media) -> Groups:
    """Find the groups of pictures of a video, without decoding it.

    The packets are read to their end, unless a ``GopScan`` has seen them already.

    Raises:
        Uncopyable: its packets cannot be copied safely.
        MediaError: it cannot be read.
    """
    groups, reason = media.fact(_scanned)
    if groups is None:
        raise Uncopyable(str(reason))
    return groups


def _scanned(media: Media) -> tuple[Groups | None, Uncopyable | None]:
    with media.open_facts() as container:
        try:
            stream = main_video(container, media)
            scan = _begin(media, stream)
            for packet in video_packets(container, media):
                scan.add(packet)
            return scan.groups(stream.frames), None
        except Uncopyable as error:
            return None, error


def _begin(media: Media, stream: VideoStream) -> _Scan:
    if stream.codec_context.name != "h264" or media.format != "mov":
        raise Uncopyable("it is not H.264 in MP4")
    sets = ParameterSets.parse(stream.codec_context.extradata or b"")
    if not sets.facts().progressive:
        raise Uncopyable("it is interlaced")
    return _Scan(sets, sets.picture_ids())
