"""Looking at a finished file of copied and new packets before it gets its name."""

from pathlib import Path

import av
import numpy as np
from av.codec.context import CodecContext
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream
from numpy.typing import NDArray

from app.video.bitstream.nal import Uncopyable
from app.video.bitstream.parameter_sets import ParameterSets
from app.video.container import main_video, open_container, video_packets
from app.video.frame import plane_pixels
from app.video.pixel_formats import layout
from app.video.remux import Tally
from app.video.smart.gops import check_picture
from app.video.smart.muxer import Mixed, signature

_ALIKE = 12.0
"""Mean difference of signatures, of 255: what coding changes at its coarsest, and no other
picture."""


def check_mixed(path: Path, written: Mixed) -> None:
    """Compare every packet with what was written, and decode the picture after each border.

    Pictures that were copied must come out as a decoder of the source makes them; those that were
    encoded must look like what the encoder was given.

    Raises:
        Uncopyable: something is not as it should be.
    """
    tally = Tally()
    with open_container(path, "mov") as container:
        sets = main_video(container, path).codec_context.extradata
        if sets != bytes(written.sets):
            raise Uncopyable("its parameter sets were not written")
        decoders, begins = _Decoders(written), written.groups.begins
        for number, packet in enumerate(video_packets(container, path)):
            data = bytes(packet)
            tally.add(data)
            _check_place(number, packet, data, written, begins)
            if number == 0 or written.touched[number] != written.touched[number - 1]:
                decoders.take(packet, copied=not written.touched[number])
        decoders.finish()
    if tally != written.tally:
        raise Uncopyable("its packets are not those that were written")


def _check_place(
    number: int,
    packet: "Packet[VideoStream]",
    data: bytes,
    written: Mixed,
    begins: NDArray[np.bool_],
) -> None:
    groups = written.groups
    if number >= len(groups.pts) or packet.dts != groups.dts[number]:
        raise Uncopyable("its packets are at other times")
    if not written.touched[number] and packet.pts != groups.pts[number]:
        raise Uncopyable("its pictures are at other times")
    starts = check_picture(data, written.sets)
    if starts != packet.is_keyframe or starts != begins[number]:
        raise Uncopyable("its groups begin elsewhere")


class _Decoders:
    """Two decoders: one of the file, that gets every first picture, and one of the source."""

    def __init__(self, written: Mixed) -> None:
        self._written = written
        self._both, self._source = _decoder(written.sets), _decoder(written.groups.sets)
        self._expected: list[tuple[int, bool]] = []
        self._found: list[av.VideoFrame] = []
        self._wanted: list[av.VideoFrame] = []

    def take(self, packet: "Packet[VideoStream]", *, copied: bool) -> None:
        """Decode the first picture after a border, and compare what has come out so far."""
        assert packet.pts is not None
        self._expected.append((packet.pts, copied))
        if copied:
            self._wanted += self._source.decode(packet)
        self._found += self._both.decode(packet)
        self._compare()

    def finish(self) -> None:
        """No more pictures: compare the last ones."""
        self._wanted += self._source.decode(None)
        self._found += self._both.decode(None)
        self._compare()
        if self._expected or self._found or self._wanted:
            raise Uncopyable("a picture after a border cannot be decoded")

    def _compare(self) -> None:
        while self._found and self._expected:
            pts, copied = self._expected[0]
            if copied and not self._wanted:
                return
            found = self._found.pop(0)
            del self._expected[0]
            same = _equal(found, self._wanted.pop(0)) if copied else self._alike(found)
            if found.pts != pts or found.is_corrupt or not same:
                raise Uncopyable(f"the picture at {pts} is decoded as another one")

    def _alike(self, picture: av.VideoFrame) -> bool:
        wanted = self._written.signatures.get(picture.pts if picture.pts is not None else -1)
        return wanted is not None and bool(np.abs(signature(picture) - wanted).mean() < _ALIKE)


def _decoder(sets: ParameterSets) -> VideoCodecContext:
    context = CodecContext.create("h264", "r")
    assert isinstance(context, VideoCodecContext)
    context.extradata = bytes(sets)
    context.thread_count = 1
    return context


def _equal(one: av.VideoFrame, other: av.VideoFrame) -> bool:
    if (one.width, one.height, one.format.name) != (other.width, other.height, other.format.name):
        return False
    return all(
        np.array_equal(plane_pixels(one, kind), plane_pixels(other, kind))
        for kind in layout(one.format.name).planes
    )
