"""Find the groups of pictures (GOPs) of a video, and check that they can be copied.

A GOP begins with an IDR picture, at which every decoder starts afresh, and ends before the next
one. GOPs follow each other in the same order in the file and on the screen, so frame number n
belongs to the GOP that holds packet number n.
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

from app.video.bitstream.access_unit import check_access_unit
from app.video.bitstream.nal import Uncopyable
from app.video.bitstream.parameter_sets import ParameterSets
from app.video.container import main_video, video_packets
from app.video.media import Media
from app.video.smart.aperture import crops_frames

Numbers: TypeAlias = NDArray[np.int64]
Mask: TypeAlias = NDArray[np.bool_]
_MAX_REORDER = 2
"""Reordering depth of x264 with its default options; see ``encoder_options``."""


@dataclass(frozen=True, slots=True, eq=False)
class Gops:
    """The packets of a video in the order of the file, as parallel arrays (n,).

    Attributes:
        sets: the parameter sets.
        pts: presentation times, in units of the time base of the video.
        dts: decoding times.
        durations: durations of the frames.
        starts: the numbers of the packets that begin a GOP.
        frame_pts: ``pts`` in increasing order: the time of each frame by its number.
        reorder: the largest number of later packets that a frame waits for.
    """

    sets: ParameterSets
    pts: Numbers
    dts: Numbers
    durations: Numbers
    starts: Numbers
    frame_pts: Numbers
    reorder: int

    @property
    def sizes(self) -> Numbers:
        """The number of frames of each GOP."""
        return np.diff([*self.starts, len(self.pts)])

    @property
    def begins_gop(self) -> Mask:
        """Whether each packet begins a GOP."""
        begins = np.zeros(len(self.pts), bool)
        begins[self.starts] = True
        return begins

    def to_encode(self, touched: Mask) -> Mask:
        """Return which packets must be encoded, given the frames that cannot be copied.

        Raises:
            Uncopyable: all packets must be encoded, or ``touched`` belongs to another video.
        """
        self.check_frames(touched)
        encoded = _extend_to_single_frames(self._holding(touched), self.sizes == 1)
        if encoded.all():
            raise Uncopyable("none of its groups of pictures is untouched")
        return np.repeat(encoded, self.sizes)

    def check_frames(self, frames: Mask) -> None:
        """Check that a mask has an entry for each frame.

        Raises:
            Uncopyable: it is that of another video.
        """
        if len(frames) != len(self.pts):
            raise Uncopyable("it has other frames than the plan")

    def whole(self, frames: Mask) -> Mask:
        """Return the mask of some frames, extended to whole GOPs."""
        return np.repeat(self._holding(frames), self.sizes)

    def _holding(self, frames: Mask) -> Mask:
        """Return which GOPs hold any of some frames, (GOPs,)."""
        return np.logical_or.reduceat(frames, self.starts)

    def allowed_reorder(self) -> int:
        """Return how many later packets a frame of an encoded GOP may wait for.

        Encoded packets take over the decoding times of the packets that they replace, and no
        frame may be shown before it is decoded.

        Raises:
            Uncopyable: some frames of the source are shown before they are decoded.
        """
        first = np.repeat(self.starts, self.sizes)
        for depth in range(min(self.reorder, _MAX_REORDER), -1, -1):
            earliest = np.maximum(np.arange(len(self.pts)) - depth, first)
            if (self.dts <= self.frame_pts[earliest]).all():
                return depth
        raise Uncopyable("some of its frames are shown before they are decoded")


def _extend_to_single_frames(encoded: Mask, is_single: Mask) -> Mask:
    """Encode GOPs of one frame together with their neighbours, in both directions.

    IDR pictures that follow each other must differ in their ``idr_pic_id`` (ITU-T H.264, 7.4.3),
    and our encoder does not know those of the source.
    """
    extended = encoded.copy()
    for order in (range(1, len(extended)), range(len(extended) - 2, -1, -1)):
        for index in order:
            neighbour = index - order.step
            if extended[neighbour] and (is_single[index] or is_single[neighbour]):
                extended[index] = True
    return extended


@dataclass(slots=True)
class _PacketList:
    """The packets that were read so far."""

    sets: ParameterSets
    pps_ids: frozenset[int]
    pts: list[int] = field(default_factory=list)
    dts: list[int] = field(default_factory=list)
    durations: list[int] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)

    def add(self, packet: "Packet[VideoStream]") -> None:
        """Check the next packet and record it.

        Raises:
            Uncopyable: it cannot be copied.
        """
        begins = check_access_unit(bytes(packet), self.sets, self.pps_ids)
        if packet.is_discard or packet.is_corrupt or any(packet.iter_sidedata()):
            raise Uncopyable("some of its frames are hidden, or differ from the others")
        if begins != packet.is_keyframe:
            raise Uncopyable("its groups of pictures are open")
        if packet.pts is None or packet.dts is None:
            raise Uncopyable("some of its frames have no times")
        if begins:
            self.starts.append(len(self.pts))
        self.pts.append(packet.pts)
        self.dts.append(packet.dts)
        self.durations.append(packet.duration or 0)

    def to_gops(self, frames: int) -> Gops:
        """Check all packets together; ``frames`` is their number according to the container.

        Raises:
            Uncopyable: the GOPs cannot be copied.
        """
        if len(self.pts) != frames:
            raise Uncopyable("its index lists other frames than are shown")
        pts, dts = np.array(self.pts, np.int64), np.array(self.dts, np.int64)
        starts = np.array(self.starts, np.int64)
        if not len(pts) or not len(starts) or starts[0] != 0:
            raise Uncopyable("it does not begin with an IDR picture")
        frame_pts = np.sort(pts)
        if (np.diff(frame_pts) <= 0).any() or (np.diff(dts) <= 0).any():
            raise Uncopyable("the times of its frames do not increase")
        reorder = 0
        for first, end in zip(starts, [*starts[1:], len(pts)], strict=True):
            if pts[first] != frame_pts[first] or pts[first:end].max() != frame_pts[end - 1]:
                raise Uncopyable("its groups of pictures are open")
            reorder = max(reorder, _reorder_depth(self.pts[first:end]))
        durations = np.array(self.durations, np.int64)
        return Gops(self.sets, pts, dts, durations, starts, frame_pts, reorder)


def _reorder_depth(pts: list[int]) -> int:
    """Return the largest number of later packets that a frame of a GOP waits for.

    >>> _reorder_depth([0, 1, 2]), _reorder_depth([0, 3, 1, 2]), _reorder_depth([0, 4, 2, 1, 3])
    (0, 1, 2)
    """
    before: list[int] = []
    deepest = 0
    for time in pts:
        deepest = max(deepest, len(before) - bisect.bisect(before, time))
        bisect.insort(before, time)
    return deepest


class GopScan:
    """Collects the packets of a video while another pass over them decodes its frames."""

    def __init__(self, media: Media, container: InputContainer) -> None:
        self._media = media
        self._packets: _PacketList | None = None
        self._reason = ""
        self._frames = 0
        with self._collecting_reason():
            stream = main_video(container, media)
            self._frames = stream.frames
            self._packets = _begin(media, stream, several=False)

    def add(self, packet: "Packet[VideoStream]") -> None:
        """Take the next packet of the video that has content."""
        if self._packets is not None and not self._reason:
            with self._collecting_reason():
                self._packets.add(packet)

    def finish(self) -> None:
        """Keep the result as a fact of the media."""
        gops: Gops | None = None
        if self._packets is not None and not self._reason:
            with self._collecting_reason():
                gops = self._packets.to_gops(self._frames)
        self._media.keep_fact(_scan, (gops, self._reason))

    @contextmanager
    def _collecting_reason(self) -> Iterator[None]:
        try:
            yield
        except Uncopyable as error:
            # Only its text: the error refers to the frames, and keeps the decoder open.
            self._reason = str(error)


def find_gops(media: Media) -> Gops:
    """Find the groups of pictures of a video, without decoding it.

    All packets are read, unless a ``GopScan`` has seen them already.

    Raises:
        Uncopyable: its packets cannot be copied safely.
        MediaError: it cannot be read.
    """
    return _found(media.fact(_scan))


def find_gops_of_result(media: Media) -> Gops:
    """Find the groups of pictures of a result of ours, which may have several parameter sets.

    Raises:
        Uncopyable, MediaError: as ``find_gops``.
    """
    return _found(media.fact(_scan_result))


_Findings: TypeAlias = tuple[Gops | None, str]
"""The groups of pictures, or the reason why there are none."""


def _found(findings: _Findings) -> Gops:
    gops, reason = findings
    if gops is None:
        raise Uncopyable(reason)
    return gops


def _scan(media: Media) -> _Findings:
    return _read(media, several=False)


def _scan_result(media: Media) -> _Findings:
    return _read(media, several=True)


def _read(media: Media, *, several: bool) -> _Findings:
    with media.open_facts() as container:
        try:
            stream = main_video(container, media)
            packets = _begin(media, stream, several=several)
            for packet in video_packets(container, media):
                packets.add(packet)
            return packets.to_gops(stream.frames), ""
        except Uncopyable as error:
            return None, str(error)


def _begin(media: Media, stream: VideoStream, *, several: bool) -> _PacketList:
    """Check the header; ``several``: there may be more than one sequence parameter set."""
    if stream.codec_context.name != "h264" or media.format != "mov":
        raise Uncopyable("it is not H.264 in MP4")
    if media.accept_truncated or media.window is not None:
        raise Uncopyable("not all of it is read")
    sets = ParameterSets.parse(stream.codec_context.extradata or b"")
    facts = sets.facts() if several else (sets.sps_facts(),)
    if not all(one.progressive for one in facts):
        raise Uncopyable("it is interlaced")
    if crops_frames(media):
        raise Uncopyable("its container crops the frames")
    return _PacketList(sets, sets.pps_ids())
