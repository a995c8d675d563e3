"""Check a finished video file before it gets its name: compare it with the written data."""

import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from av.packet import Packet
from av.stream import Stream

from app.errors import MediaError
from app.video.container import demux, demuxer_of, main_video, open_container

EMPTY_SUBTITLE = b"\0\0"
"""A subtitle of MP4 without text. Muxers fill the time between subtitles with them."""
_NO_NEGATIVE_TIMES = frozenset({"mpegts", "flv", "matroska", "webm"})
"""Containers without negative times. Their muxers move all streams together instead, so a start
before zero (the priming of AAC in MP4) is kept, and no stream moves against another."""
_MAX_SHIFT = Fraction(1)
"""Seconds by which a muxer may move all streams."""


@dataclass(slots=True)
class FrameTimes:
    """Count, extent and sum of times in seconds: equal for equal sets of times, in any order."""

    count: int = 0
    first: Fraction | None = None
    last: Fraction | None = None
    total: Fraction = field(default_factory=Fraction)

    def add(self, time: Fraction) -> None:
        """Add the time of one frame."""
        self.count += 1
        self.first = time if self.first is None else min(self.first, time)
        self.last = time if self.last is None else max(self.last, time)
        self.total += time

    def move(self, shift: Fraction) -> None:
        """Add ``shift`` to the times of all frames."""
        if self.first is not None and self.last is not None:
            self.first, self.last = self.first + shift, self.last + shift
            self.total += shift * self.count


@dataclass(slots=True)
class PacketTally:
    """Number, size (bytes) and checksum of the packets of one stream."""

    packets: int = 0
    size: int = 0
    checksum: int = 0

    def add(self, data: bytes) -> None:
        """Add the payload of one packet."""
        self.packets += 1
        self.size += len(data)
        self.checksum = zlib.crc32(data, self.checksum)


def check_file(
    path: Path, muxer: str, expected: FrameTimes, tallies: dict[int, PacketTally], label: object
) -> None:
    """Demux a file and compare it with the data that was written.

    Times may differ by one tick of the container's time base, not more.

    Args:
        path: the file, which has a temporary name.
        muxer: the muxer that wrote it.
        expected: the times of the frames that were written.
        tallies: those of the copied streams, by their index in the file.
        label: the name of the file in messages.

    Raises:
        MediaError: a frame or packet is missing, or a time differs.
    """
    found, copied = FrameTimes(), {index: PacketTally() for index in tallies}
    with open_container(path, demuxer_of(muxer)) as container:
        video = main_video(container, path)
        base = Fraction(video.time_base or 1)
        for packet in demux(container, *container.streams):
            if packet.stream.index == video.index and packet.size:
                found.add((packet.pts if packet.pts is not None else 0) * base)
            else:
                _count(packet, copied)
    _compare_times(found, expected, base, muxer, label)
    for index, tally in tallies.items():
        _compare_packets(copied[index], tally, index, label)


def check_copies(
    packets: "Iterable[Packet[Stream]]", tallies: dict[int, PacketTally], label: object
) -> None:
    """Compare the packets of a file with the tallies of its copied streams.

    Raises:
        MediaError: a packet is missing.
    """
    copied = {index: PacketTally() for index in tallies}
    for packet in packets:
        _count(packet, copied)
    for index, tally in tallies.items():
        _compare_packets(copied[index], tally, index, label)


def _count(packet: "Packet[Stream]", copied: dict[int, PacketTally]) -> None:
    """Add a packet to the tally of its stream, if it has content."""
    if packet.stream.index in copied and packet.size:
        data = bytes(packet)
        if data != EMPTY_SUBTITLE:
            copied[packet.stream.index].add(data)


def _common_shift(found: FrameTimes, expected: FrameTimes, muxer: str) -> Fraction:
    """Return the seconds by which the muxer moved all streams together."""
    if muxer not in _NO_NEGATIVE_TIMES or found.first is None or expected.first is None:
        return Fraction(0)
    return min(max(found.first - expected.first, Fraction(0)), _MAX_SHIFT)


def _compare_times(
    found: FrameTimes, expected: FrameTimes, tick: Fraction, muxer: str, label: object
) -> None:
    if found.count != expected.count:
        raise _error(label, f"it has {found.count} of {expected.count} frames")
    shift = _common_shift(found, expected, muxer)
    for name in ("first", "last"):
        time, target = getattr(found, name), getattr(expected, name) + shift
        if abs(time - target) > tick:
            raise _error(label, f"its {name} frame is at {float(time)} s, not {float(target)} s")
    if abs(found.total - expected.total - shift * found.count) > tick * found.count:
        raise _error(label, "the times of its frames have changed")


def _compare_packets(found: PacketTally, expected: PacketTally, index: int, label: object) -> None:
    """Compare the packets of a copied stream.

    PCM may be divided into other packets; then the checksum of all bytes must agree.
    """
    if found.packets == expected.packets or found.checksum == expected.checksum:
        return
    raise _error(label, f"it has {found.packets} of {expected.packets} packets of stream {index}")


def _error(label: object, reason: str) -> MediaError:
    return MediaError(f"{label}: not written, {reason}; try another container such as .mkv")
