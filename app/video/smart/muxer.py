"""Make one video stream from copied packets and packets of an encoder."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction

import av
import numpy as np
from av.codec.context import Flags
from av.packet import Packet
from av.video.frame import PictureType
from av.video.stream import VideoStream
from numpy.typing import NDArray

from app.types import Stretch
from app.video.bitstream.access_unit import check_access_unit, without_private_data
from app.video.bitstream.nal import Uncopyable
from app.video.bitstream.parameter_sets import PROFILES, ParameterSets
from app.video.container import with_data
from app.video.file_check import FrameTimes, PacketTally
from app.video.frame import plane_pixels
from app.video.pixel_formats import layout
from app.video.smart.gops import Gops, Mask
from app.video.streams import StreamMap

_SIGNATURE_CELLS = 8
_X264_PARAMS = "x264-params"
Signature = NDArray[np.float64]
"""(8, 8) means of the luma of a frame: enough to notice that another frame is decoded."""


def check_containers(demuxer: str, streams: StreamMap) -> None:
    """Check that packets can be copied from this container to this output.

    Raises:
        Uncopyable: the containers or the codecs do not allow it.
    """
    if demuxer != "mov" or streams.muxer not in {"mp4", "mov"}:
        raise Uncopyable("the container is not MP4 on both sides")
    if streams.encoding.encoder != "libx264":
        raise Uncopyable("it is encoded with another codec")


def open_encoder(stream: VideoStream, gops: Gops, set_id: int) -> ParameterSets:
    """Open the encoder of ``stream`` for packets between those of ``gops``.

    ``set_id`` is the id of its parameter sets.

    Returns:
        Its parameter sets.

    Raises:
        Uncopyable: it cannot make packets that fit.
    """
    context, options = stream.codec_context, encoder_options(gops, set_id)
    params = context.options.get(_X264_PARAMS)
    if params is not None:
        options[_X264_PARAMS] = f"{params}:{options[_X264_PARAMS]}"
    context.options = context.options | options
    context.gop_size = len(gops.pts)
    context.flags |= Flags.global_header
    try:
        context.open()
    except av.error.FFmpegError as error:
        raise Uncopyable("the encoder cannot make such frames") from error
    return ParameterSets.parse(context.extradata or b"")


def encoder_options(gops: Gops, set_id: int) -> dict[str, str]:
    """Return the options with which x264 makes packets that fit between those of the source.

    The encoder begins a GOP exactly where the source does.
    """
    b_frames = {0: {"bf": "0"}, 1: {"b-pyramid": "none"}}.get(gops.allowed_reorder(), {})
    return {
        **b_frames,
        "profile": PROFILES[gops.sets.profile],
        "forced-idr": "1",
        "sc_threshold": "0",
        _X264_PARAMS: f"annexb=0:sps-id={set_id}",
    }


def stretches_of(gops: Gops, chosen: Mask) -> tuple[Stretch, ...]:
    """Return the stretches of some frames; ``chosen`` (frames,) consists of whole GOPs."""
    borders = np.flatnonzero(np.diff(chosen, prepend=False, append=False))
    return tuple(
        Stretch(int(first), int(end), int(gops.frame_pts[first]), int(gops.frame_pts[end - 1]))
        for first, end in zip(borders[::2], borders[1::2], strict=True)
    )


def signature(picture: av.VideoFrame) -> Signature:
    """Return the means of the luma of a frame in a grid of 8 x 8 cells."""
    luma = plane_pixels(picture, layout(picture.format.name).planes[0])
    rows, columns = (
        np.linspace(0, side, _SIGNATURE_CELLS + 1).astype(int)[:-1] for side in luma.shape
    )
    sums = np.add.reduceat(np.add.reduceat(luma, rows, 0, np.float64), columns, 1)
    sizes = np.outer(
        *(np.diff([*edges, side]) for edges, side in zip((rows, columns), luma.shape, strict=True))
    )
    return sums / sizes


@dataclass(slots=True)
class MixRecord:
    """A record of what was written, to be compared with the finished file.

    Attributes:
        gops: the packets of the file that is copied from, divided as those of the result.
        encoded: (packets,) whether each packet was encoded.
        sets: the parameter sets of that file and of the encoder together.
        tally: count and checksum of the packets.
        signatures: those of the first frames of encoded stretches, by ``pts``.
    """

    gops: Gops
    encoded: Mask
    sets: ParameterSets
    tally: PacketTally
    signatures: dict[int, Signature]

    def times(self, base: Fraction) -> FrameTimes:
        """Return the times of all frames; ``base`` is the time base in seconds."""
        times = FrameTimes()
        for pts in self.gops.frame_pts:
            times.add(int(pts) * base)
        return times


def _together(gops: Gops, encoded: Mask, sets: ParameterSets) -> ParameterSets:
    """Return the parameter sets of the result; those of the encoder may be among the copied ones.

    Raises:
        Uncopyable: they cannot be together in one file, or describe frames of other sizes.
    """
    if not encoded.any() or gops.sets.includes(sets):
        return gops.sets
    both = gops.sets.joined(sets)
    both.facts()
    return both


class PacketMixer:
    """Puts the packets that are copied and those that are encoded in order.

    Args:
        gops: the packets of the file that is copied from, divided as those of the result.
        encoded: (packets,) whether each packet is encoded; the others are copied.
        sets: the parameter sets of the encoder.

    Raises:
        Uncopyable: the encoder made something that does not fit, or that file has changed.
    """

    def __init__(self, gops: Gops, encoded: Mask, sets: ParameterSets) -> None:
        self.stretches = stretches_of(gops, encoded)
        self.record = MixRecord(gops, encoded, _together(gops, encoded, sets), PacketTally(), {})
        self._gops, self._encoded, self._encoder_sets = gops, encoded, sets
        self._source_ids, self._encoder_ids = gops.sets.pps_ids(), sets.pps_ids()
        self._source: Iterator[tuple[int, Packet[VideoStream]]] = iter(())
        self._target: VideoStream | None = None
        self._begins_gop = gops.begins_gop
        self._frames = iter(np.flatnonzero(encoded))
        self._next = 0

    def connect(self, source: "Iterator[Packet[VideoStream]]", target: VideoStream) -> None:
        """Set the packets to copy from, which are read once more, and the output stream."""
        self._source, self._target = enumerate(source), target

    def prepare(self, number: int, picture: av.VideoFrame) -> None:
        """Prepare frame ``number`` for the encoder; ``picture`` must have its ``pts`` already."""
        if number != next(self._frames, None) or picture.pts != self._gops.frame_pts[number]:
            raise Uncopyable(f"frame {number} is not the next one to encode")
        if self._begins_gop[number]:
            picture.pict_type = PictureType.I
            if not (number and self._encoded[number - 1]):
                self.record.signatures[int(self._gops.frame_pts[number])] = signature(picture)

    def ordered(
        self, encoded: "Iterable[Packet[VideoStream]]", *, last: bool = False
    ) -> "Iterator[Packet[VideoStream]]":
        """Yield the packets of the encoder, and before each the packets that are copied.

        ``last``: there are no further packets of the encoder, so copy all that remain.
        """
        for packet in encoded:
            yield from self._copied()
            yield self._fit_encoded(packet)
        if last:
            yield from self._copied()
            if self._next != len(self._encoded):
                raise Uncopyable(f"{self._next} of {len(self._encoded)} frames were written")

    def _copied(self) -> "Iterator[Packet[VideoStream]]":
        """Yield the packets to copy up to the next one that is encoded."""
        while self._next < len(self._encoded) and not self._encoded[self._next]:
            number, packet = next(self._source, (None, None))
            if packet is None or number is None:
                raise Uncopyable("it has fewer packets than before")
            if number == self._next:
                yield self._copy(packet)

    def _copy(self, packet: "Packet[VideoStream]") -> "Packet[VideoStream]":
        gops, number = self._gops, self._next
        data = bytes(packet)
        begins = check_access_unit(data, gops.sets, self._source_ids)
        expected = (gops.pts[number], gops.dts[number], self._begins_gop[number])
        if (packet.pts, packet.dts, begins) != expected:
            raise Uncopyable(f"packet {number} has changed")
        cleaned = without_private_data(data)
        return self._release(packet if cleaned is data else with_data(packet, cleaned), cleaned)

    def _fit_encoded(self, packet: "Packet[VideoStream]") -> "Packet[VideoStream]":
        """Give a packet of the encoder the decoding time of the packet that it replaces."""
        gops, number, data = self._gops, self._next, bytes(packet)
        if number >= len(self._encoded):
            raise Uncopyable("the encoder made too many frames")
        begins = check_access_unit(data, self._encoder_sets, self._encoder_ids)
        if begins != self._begins_gop[number]:
            raise Uncopyable("the encoder began a group of pictures elsewhere")
        gop = int(np.searchsorted(gops.starts, number, "right"))
        end = gops.starts[gop] if gop < len(gops.starts) else len(gops.pts)
        times = gops.frame_pts[gops.starts[gop - 1] : end]
        if packet.pts not in times or packet.pts < gops.dts[number]:
            raise Uncopyable("the encoder put its frames in an order that does not fit")
        packet.dts = int(gops.dts[number])
        return self._release(packet, data)

    def _release(self, packet: "Packet[VideoStream]", data: bytes) -> "Packet[VideoStream]":
        self._next += 1
        self.record.tally.add(data)
        assert self._target is not None
        packet.stream = self._target
        return packet
