"""One stream out of packets that are copied and packets that an encoder made."""

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
from app.video.bitstream.nal import Uncopyable
from app.video.bitstream.parameter_sets import PROFILES, ParameterSets
from app.video.frame import plane_pixels
from app.video.pixel_formats import layout
from app.video.remux import Tally
from app.video.smart.gops import Groups, check_picture, cleaned
from app.video.streams import StreamMap
from app.video.verify import Times

_CELLS = 8
_PARAMS = "x264-params"
Signature = NDArray[np.float64]


def check_kinds(format_: str, outline: StreamMap) -> None:
    """Whether packets may stand beside each other in this output.

    Raises:
        Uncopyable: the container or the encoding is another.
    """
    if format_ != "mov" or outline.muxer not in {"mp4", "mov"}:
        raise Uncopyable("the container is not MP4 on both sides")
    if outline.encoding.encoder != "libx264":
        raise Uncopyable("it is written in another coding")


def open_encoder(stream: VideoStream, groups: Groups) -> ParameterSets:
    """Open the encoder of a stream for packets between those of ``groups``; its parameter sets.

    Raises:
        Uncopyable: it cannot make such packets.
    """
    context, wanted = stream.codec_context, encoder_options(groups)
    given = context.options.get(_PARAMS)
    if given is not None:
        wanted[_PARAMS] = f"{given}:{wanted[_PARAMS]}"
    context.options = context.options | wanted
    context.gop_size = len(groups.pts)
    context.flags |= Flags.global_header
    try:
        context.open()
    except av.error.FFmpegError as error:
        raise Uncopyable("the encoder does not make such pictures") from error
    return ParameterSets.parse(context.extradata or b"")


def encoder_options(groups: Groups) -> dict[str, str]:
    """What makes x264 write packets that fit between those of the source.

    A picture begins a group where one of the source does, and nowhere else.
    """
    depth = groups.spare()
    b_frames = {0: {"bf": "0"}, 1: {"b-pyramid": "none"}}.get(depth, {})
    params = f"annexb=0:sps-id={groups.sets.free_id()}"
    return {
        **b_frames,
        "profile": PROFILES[groups.sets.profile],
        "forced-idr": "1",
        "sc_threshold": "0",
        _PARAMS: params,
    }


def stretches(groups: Groups, touched: NDArray[np.bool_]) -> tuple[Stretch, ...]:
    """The frames that have to be made anew."""
    borders = np.flatnonzero(np.diff(touched, prepend=False, append=False))
    return tuple(
        Stretch(int(first), int(end), int(groups.shown[first]), int(groups.shown[end - 1]))
        for first, end in zip(borders[::2], borders[1::2], strict=True)
    )


def signature(picture: av.VideoFrame) -> Signature:
    """What a picture looks like from afar: means of its luma in 8 x 8 cells."""
    luma = plane_pixels(picture, layout(picture.format.name).planes[0])
    rows, columns = (np.linspace(0, side, _CELLS + 1).astype(int)[:-1] for side in luma.shape)
    sums = np.add.reduceat(np.add.reduceat(luma, rows, 0, np.float64), columns, 1)
    sizes = np.outer(
        *(np.diff([*edges, side]) for edges, side in zip((rows, columns), luma.shape, strict=True))
    )
    return sums / sizes


@dataclass(slots=True)
class Mixed:
    """What was written: to be compared with what is found in the file.

    ``signatures`` tell what the first pictures of stretches looked like, by their ``pts``.
    """

    groups: Groups
    touched: NDArray[np.bool_]
    sets: ParameterSets
    tally: Tally
    signatures: dict[int, Signature]

    def times(self, base: Fraction) -> Times:
        """The times of all frames, seconds."""
        times = Times()
        for pts in self.groups.shown:
            times.add(int(pts) * base)
        return times


class Mixer:
    """Puts packets in order: those that are copied from ``source``, the others as they are made.

    Args:
        groups: the packets of the source.
        touched: which of them are made anew.
        sets: the parameter sets of the encoder.

    Raises:
        Uncopyable: the encoder made something that does not fit, or the source has changed.
    """

    def __init__(
        self,
        groups: Groups,
        touched: NDArray[np.bool_],
        sets: ParameterSets,
    ) -> None:
        self.stretches = stretches(groups, touched)
        self.written = Mixed(groups, touched, groups.sets.joined(sets), Tally(), {})
        self._groups, self._touched, self._ours = groups, touched, sets
        self._source: Iterator[tuple[int, Packet[VideoStream]]] = iter(())
        self._target: VideoStream | None = None
        self._begins = groups.begins
        self._frames = iter(np.flatnonzero(touched))
        self._next = 0

    def connect(self, source: "Iterator[Packet[VideoStream]]", target: VideoStream) -> None:
        """Take all packets of the source once more, for the stream ``target``."""
        self._source, self._target = enumerate(source), target

    def take(self, number: int, picture: av.VideoFrame) -> None:
        """Make frame ``number`` ready for the encoder; ``picture`` has its ``pts`` already."""
        if number != next(self._frames, None) or picture.pts != self._groups.shown[number]:
            raise Uncopyable(f"frame {number} is not the one that is due")
        if self._begins[number]:
            picture.pict_type = PictureType.I
        if self._begins[number] and not (number and self._touched[number - 1]):
            self.written.signatures[int(self._groups.shown[number])] = signature(picture)

    def ordered(
        self, made: "Iterable[Packet[VideoStream]]", *, last: bool = False
    ) -> "Iterator[Packet[VideoStream]]":
        """The packets that the encoder made, and what is to be copied before (and after) them."""
        for packet in made:
            yield from self._copied()
            yield self._fitted(packet)
        if last:
            yield from self._copied()
            if self._next != len(self._touched):
                raise Uncopyable(f"{self._next} of {len(self._touched)} pictures were made")

    def _copied(self) -> "Iterator[Packet[VideoStream]]":
        """What comes before the next packet of the encoder."""
        while self._next < len(self._touched) and not self._touched[self._next]:
            number, packet = next(self._source, (None, None))
            if packet is None or number is None:
                raise Uncopyable("its packets have come to an end")
            if number == self._next:
                yield self._copy(packet)

    def _copy(self, packet: "Packet[VideoStream]") -> "Packet[VideoStream]":
        groups, number = self._groups, self._next
        data = bytes(packet)
        begins = check_picture(data, groups.sets)
        due = (groups.pts[number], groups.dts[number], self._begins[number])
        if (packet.pts, packet.dts, begins) != due:
            raise Uncopyable(f"packet {number} is not the one that was there before")
        return self._out(packet, cleaned(data), data)

    def _fitted(self, packet: "Packet[VideoStream]") -> "Packet[VideoStream]":
        """A packet of the encoder, at the place and time of decoding of the one it replaces."""
        groups, number, data = self._groups, self._next, bytes(packet)
        if number >= len(self._touched):
            raise Uncopyable("the encoder made too many pictures")
        if check_picture(data, self._ours) != self._begins[number]:
            raise Uncopyable("the encoder began a group of pictures elsewhere")
        group = int(np.searchsorted(groups.starts, number, "right"))
        end = groups.starts[group] if group < len(groups.starts) else len(groups.pts)
        times = groups.shown[groups.starts[group - 1] : end]
        if packet.pts not in times or packet.pts < groups.dts[number]:
            raise Uncopyable("the encoder put its pictures in an order that does not fit")
        packet.dts = int(groups.dts[number])
        return self._out(packet, data, data)

    def _out(
        self, packet: "Packet[VideoStream]", data: bytes, before: bytes
    ) -> "Packet[VideoStream]":
        if data is not before:
            packet = _with_data(packet, data)
        self._next += 1
        self.written.tally.add(data)
        assert self._target is not None
        packet.stream = self._target
        return packet


def _with_data(packet: "Packet[VideoStream]", data: bytes) -> "Packet[VideoStream]":
    """The same packet with other content."""
    made: Packet[VideoStream] = Packet(data)  # type: ignore[assignment]
    made.time_base = packet.time_base
    made.pts, made.dts, made.duration = packet.pts, packet.dts, packet.duration
    made.is_keyframe = packet.is_keyframe
    return made
