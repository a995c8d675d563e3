"""Looking at a finished file before it gets its name."""

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from app.errors import MediaError
from app.video.container import main_video, open_container
from app.video.remux import EMPTY_TEXT, Tally

_NO_NEGATIVE = frozenset({"mpegts", "flv", "matroska", "webm"})
"""Containers without negative times: their muxers move all streams alike instead, so that what
starts before zero (the priming of AAC in MP4) is kept and nothing moves against the rest."""
_MAX_SHIFT = Fraction(1)
_DEMUXERS = {"mp4": "mov", "webm": "matroska"}


@dataclass(slots=True)
class Times:
    """Count, extent and sum of times: equal for equal sets of times, whatever their order."""

    count: int = 0
    first: Fraction | None = None
    last: Fraction | None = None
    total: Fraction = field(default_factory=Fraction)

    def add(self, time: Fraction) -> None:
        """Count one more."""
        self.count += 1
        self.first = time if self.first is None else min(self.first, time)
        self.last = time if self.last is None else max(self.last, time)
        self.total += time


def check_file(
    path: Path, muxer: str, expected: Times, tallies: dict[int, Tally], shown: Path
) -> None:
    """Demux ``path`` and compare it with what was written into it.

    Times may differ by half a tick of the container's time base, not more.

    Raises:
        MediaError: a frame or packet is missing, or a time is another.
    """
    found, sounds = Times(), {index: Tally() for index in tallies}
    with open_container(path, _DEMUXERS.get(muxer, muxer)) as container:
        video = main_video(container, path)
        base = Fraction(video.time_base or 1)
        for packet in container.demux():
            if packet.stream.index == video.index and packet.size:
                found.add((packet.pts if packet.pts is not None else 0) * base)
            elif packet.stream.index in sounds and packet.size:
                data = bytes(packet)
                if data != EMPTY_TEXT:
                    sounds[packet.stream.index].add(data)
    _compare_times(found, expected, base, muxer, shown)
    for index, tally in tallies.items():
        _compare_packets(sounds[index], tally, index, shown)


def _shift(found: Times, expected: Times, muxer: str) -> Fraction:
    """By how much all streams were moved together, seconds."""
    if muxer not in _NO_NEGATIVE or found.first is None or expected.first is None:
        return Fraction(0)
    return min(max(found.first - expected.first, Fraction(0)), _MAX_SHIFT)


def _compare_times(found: Times, expected: Times, tick: Fraction, muxer: str, shown: Path) -> None:
    if found.count != expected.count:
        raise _broken(shown, f"{found.count} of {expected.count} frames are in it")
    late = _shift(found, expected, muxer)
    for name in ("first", "last"):
        there, wanted = getattr(found, name), getattr(expected, name) + late
        if abs(there - wanted) > tick:
            raise _broken(shown, f"its {name} frame is at {float(there)} s, not {float(wanted)} s")
    if abs(found.total - expected.total - late * found.count) > tick * found.count:
        raise _broken(shown, "times of its frames are others")


def _compare_packets(found: Tally, expected: Tally, index: int, shown: Path) -> None:
    """PCM may be cut into other packets: then its bytes must agree."""
    if found.packets == expected.packets or found.checksum == expected.checksum:
        return
    raise _broken(
        shown, f"{found.packets} of {expected.packets} packets of stream {index} are in it"
    )


def _broken(shown: Path, reason: str) -> MediaError:
    return MediaError(f"{shown}: not written, {reason}; try another container such as .mkv")
