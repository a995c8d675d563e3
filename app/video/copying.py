"""Copy the packets of one stream, and mend times that a muxer would refuse."""

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import cast

from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.stream import Stream

from app.video.clean_packets import PacketCleaner
from app.video.file_check import EMPTY_SUBTITLE, PacketTally
from app.video.streams import CarriedStream

LAYOUTS = {
    "1 channels": "mono",
    "2 channels": "stereo",
    "3 channels": "2.1",
    "4 channels": "4.0",
    "5 channels": "5.0",
    "6 channels": "5.1",
    "7 channels": "6.1",
    "8 channels": "7.1",
}
"""The usual positions of channels whose number only is known."""
_FRAMED = frozenset({"ac3"})
"""Codecs whose blocks of bytes, as another AVI file declares them, are not their packets. Their
times are right only if an encoder describes them to the muxer; it encodes nothing."""
_EQUAL_TIMES = frozenset({"matroska", "webm", "flv"})
"""Containers in which packets of one stream may have equal times: their clock ticks in
milliseconds, and packets can be shorter."""


class CopyStream:
    """Copies every packet, without anything but sound and text.

    Packets that an edit list hides between shown ones are left out, so sound follows the pictures
    over the cuts of an edit list. Those before the first shown packet are kept, because decoders
    need them. Times must increase: a packet at the time of the one before it is moved to the end of
    that one, an earlier packet by as little as possible. A missing duration is that of the packet
    before.

    ``tally`` counts the packets.
    """

    def __init__(self, stream: Stream, carried: CarriedStream, output: OutputContainer) -> None:
        self.target: Stream = _add_copy(stream, carried, output)
        self._cleaner = PacketCleaner(carried.codec, is_audio=isinstance(stream, AudioStream))
        self.tally = PacketTally()
        self._output = output
        self._times = _Times(0 if output.format.name in _EQUAL_TIMES else 1)
        self._is_audio = isinstance(stream, AudioStream)
        self._has_begun = False
        if isinstance(stream, AudioStream) and stream.codec_context.layout.name in LAYOUTS:
            # PCM in MP4 needs the positions of its channels.
            layout = LAYOUTS[stream.codec_context.layout.name]
            cast("AudioStream", self.target).codec_context.layout = layout

    def process(self, packet: "Packet[Stream]") -> "Iterator[Packet[Stream]]":
        """Yield the packet for the output; nothing for an empty or hidden one."""
        cleaned = self._cleaner.clean(packet) if packet.size else None
        # The muxer fills the time between subtitles with empty ones by itself.
        if cleaned is None or (data := bytes(cleaned)) == EMPTY_SUBTITLE:
            return
        if packet.is_discard and self._has_begun:
            return
        self._has_begun |= not packet.is_discard
        self.tally.add(data)
        cleaned.stream = self.target
        if self._is_audio:
            # The header decides about the time base of the output.
            self._output.start_encoding()
            self._times.mend(cleaned, Fraction(self.target.time_base or 1))
        yield cleaned


def _add_copy(stream: Stream, carried: CarriedStream, output: OutputContainer) -> Stream:
    """Add a stream for copied packets."""
    if isinstance(stream, AudioStream) and output.format.name == "avi":
        source = stream.codec_context
        if source.codec.canonical_name in _FRAMED:
            framed = output.add_stream(source.codec.canonical_name, rate=source.sample_rate)
            context = cast("AudioStream", framed).codec_context
            context.layout, context.bit_rate = source.layout.name, source.bit_rate or 0
            return framed
    target = output.add_stream_from_template(stream)
    target.codec_context.extradata = carried.header or None
    return target


class _Times:
    """Makes the times of packets increase by at least ``least`` ticks of the output."""

    def __init__(self, least: int) -> None:
        self._least = least
        self._source: int | None = None
        self._last: int | None = None
        self._duration = 0

    def mend(self, packet: "Packet[Stream]", base: Fraction) -> None:
        """Give a packet its times in units of ``base``, and mend them."""
        ratio = Fraction(packet.time_base) / base
        shown, decoded = (None if t is None else _nearest(t * ratio) for t in _times_of(packet))
        duration = _nearest((packet.duration or 0) * ratio)
        if decoded is not None:
            decoded = self._later(decoded)
            shown = decoded if shown is None else max(shown, decoded)
        packet.time_base, packet.pts, packet.dts = base, shown, decoded
        packet.duration = self._duration = duration or self._duration

    def _later(self, decoded: int) -> int:
        """Return the time of the next packet, after that of the last one."""
        is_repeated, self._source = decoded == self._source, decoded
        if self._last is not None:
            self._duration = self._duration or max(0, decoded - self._last)
            step = max(self._least, self._duration if is_repeated else 0)
            decoded = max(decoded, self._last + (step if self._least else 0))
        self._last = decoded
        return decoded


def _times_of(packet: "Packet[Stream]") -> tuple[int | None, int | None]:
    return packet.pts, packet.dts if packet.dts is not None else packet.pts


def _nearest(ticks: Fraction) -> int:
    """Round as the muxers do: halves away from zero.

    >>> _nearest(Fraction(5, 2)), _nearest(Fraction(-5, 2)), _nearest(Fraction(7, 3))
    (3, -3, 2)
    """
    return math.floor(abs(ticks) + Fraction(1, 2)) * (-1 if ticks < 0 else 1)
