"""Move the times of broadcasts: their clocks begin anywhere, and wrap."""

from fractions import Fraction

from av.container import InputContainer
from av.packet import Packet

from app.video.container import StreamT

_WRAPPING = frozenset({"mpegts", "mpeg"})
"""Demuxers whose clock has 33 bits: it wraps after 26.5 hours. The library gives negative times to
packets shortly before the wrap, so that times increase."""
_LATE = Fraction(10)
"""Seconds. Programs that write MPEG-TS begin within a few seconds; a later start is the clock of a
broadcast, which every other container would show as an empty screen for hours."""
_SHOWN = frozenset({"video", "audio", "subtitle"})


def clock_shift(container: InputContainer, muxer: str) -> Fraction:
    """Return the seconds that are added to all times of an input, for a result of ``muxer``.

    They move the first stream to zero if the clock of MPEG wraps soon after the start, or if it
    began hours ago and the result is not MPEG-TS. Otherwise the result is zero.
    """
    starts = [
        stream.start_time * Fraction(stream.time_base or 1)
        for stream in container.streams
        if stream.type in _SHOWN and stream.start_time is not None
    ]
    first = min(starts, default=Fraction(0))
    if container.format.name not in _WRAPPING:
        return Fraction(0)
    return -first if first < 0 or (first > _LATE and muxer != "mpegts") else Fraction(0)


def move(packet: "Packet[StreamT]", shift: Fraction) -> None:
    """Add ``shift`` seconds to the times of a packet."""
    if shift:
        ticks = round(shift / packet.time_base)
        packet.pts = None if packet.pts is None else packet.pts + ticks
        packet.dts = None if packet.dts is None else packet.dts + ticks
