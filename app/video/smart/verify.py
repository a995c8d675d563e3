"""Check a finished file of copied and encoded packets before it gets its name."""

from pathlib import Path

import av
import numpy as np
from av.codec.context import CodecContext
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream

from app.video.bitstream.access_unit import check_access_unit
from app.video.bitstream.nal import Uncopyable
from app.video.bitstream.parameter_sets import ParameterSets
from app.video.container import main_video, open_container, video_packets
from app.video.file_check import PacketTally
from app.video.frame import plane_pixels
from app.video.pixel_formats import layout
from app.video.smart.muxer import MixRecord, signature

_MAX_DIFFERENCE = 12.0
"""Mean difference of signatures, of 255: the coarsest coding changes them less, another frame more.
"""


def check_mixed(path: Path, record: MixRecord) -> None:
    """Compare every packet with the record, and decode the frame after each border.

    A border is where copied packets follow encoded ones, or the reverse. A copied frame must be
    decoded exactly as by a decoder of the source; an encoded one must look like the frame that the
    encoder was given.

    Raises:
        Uncopyable: the file differs from the record.
    """
    tally = PacketTally()
    with open_container(path, "mov") as container:
        sets = main_video(container, path).codec_context.extradata
        if sets != bytes(record.sets):
            raise Uncopyable("its parameter sets were not written")
        decoders, packets = _BorderDecoders(record), _PacketCheck(record)
        for number, packet in enumerate(video_packets(container, path)):
            data = bytes(packet)
            tally.add(data)
            packets.check(number, packet, data)
            if number == 0 or record.encoded[number] != record.encoded[number - 1]:
                decoders.decode(packet, copied=not record.encoded[number])
        decoders.finish()
    if tally != record.tally:
        raise Uncopyable("its packets are not those that were written")


class _PacketCheck:
    """Compares times and key frames of packets with those of the source."""

    def __init__(self, record: MixRecord) -> None:
        self._record, self._begins_gop = record, record.gops.begins_gop
        self._pps_ids = record.sets.pps_ids()

    def check(self, number: int, packet: "Packet[VideoStream]", data: bytes) -> None:
        gops = self._record.gops
        if number >= len(gops.pts) or packet.dts != gops.dts[number]:
            raise Uncopyable("its packets are at other times")
        if not self._record.encoded[number] and packet.pts != gops.pts[number]:
            raise Uncopyable("its frames are at other times")
        begins = check_access_unit(data, self._record.sets, self._pps_ids)
        if begins != packet.is_keyframe or begins != self._begins_gop[number]:
            raise Uncopyable("its groups of pictures begin elsewhere")


class _BorderDecoders:
    """Decodes the first frame after each border.

    One decoder has the parameter sets of the file and decodes all these frames; the other has those
    of the source and decodes the copied ones.
    """

    def __init__(self, record: MixRecord) -> None:
        self._signatures = record.signatures
        self._file, self._source = _open_decoder(record.sets), _open_decoder(record.gops.sets)
        self._pending: list[tuple[int, bool]] = []
        self._from_file: list[av.VideoFrame] = []
        self._from_source: list[av.VideoFrame] = []

    def decode(self, packet: "Packet[VideoStream]", *, copied: bool) -> None:
        """Decode the first packet after a border, and compare the frames that came out so far."""
        assert packet.pts is not None
        self._pending.append((packet.pts, copied))
        if copied:
            self._from_source += self._source.decode(packet)
        self._from_file += self._file.decode(packet)
        self._compare()

    def finish(self) -> None:
        """Empty both decoders and compare the last frames."""
        self._from_source += self._source.decode(None)
        self._from_file += self._file.decode(None)
        self._compare()
        if self._pending or self._from_file or self._from_source:
            raise Uncopyable("a frame after a border cannot be decoded")

    def _compare(self) -> None:
        while self._from_file and self._pending:
            pts, copied = self._pending[0]
            if copied and not self._from_source:
                return
            decoded = self._from_file.pop(0)
            del self._pending[0]
            same = _equal(decoded, self._from_source.pop(0)) if copied else self._is_alike(decoded)
            if decoded.pts != pts or decoded.is_corrupt or not same:
                raise Uncopyable(f"the frame at {pts} is decoded as another one")

    def _is_alike(self, picture: av.VideoFrame) -> bool:
        expected = self._signatures.get(picture.pts) if picture.pts is not None else None
        if expected is None:
            return False
        return bool(np.abs(signature(picture) - expected).mean() < _MAX_DIFFERENCE)


def _open_decoder(sets: ParameterSets) -> VideoCodecContext:
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
