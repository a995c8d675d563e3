"""Cutting a film into pieces, and saying beforehand where."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np

from app.errors import OutputError, UsageError
from app.files import sha256_of
from app.pieces.borders import Border, Candidate, choose_borders
from app.pieces.cutting import Stretch, piece_suffix, write_stretches
from app.pieces.excerpt import window
from app.pieces.manifest import (
    MANIFEST,
    Manifest,
    Piece,
    SourceFile,
    split_id,
    write_manifest,
)
from app.pieces.packets import Packets, Ticks, read_packets
from app.shots import SHOT_DETECTORS
from app.video.media import Media
from app.video.piece_tag import Mark

_AROUND = 3
"""Frames before and after a key frame that tell whether it is a cut."""
_STEM = 100
"""Characters of the name of the source in the names of pieces."""
_MAX_PIECES = 9999
_RATES = 1001
"""Denominator of rates, at most: that of 30000/1001."""


@dataclass(frozen=True, slots=True, eq=False)
class Proposal:
    """Where a film would be cut. ``times`` are those of its frames, in ticks of its time base."""

    path: Path
    packets: Packets
    times: Ticks
    suffix: str
    borders: tuple[Border, ...]

    @property
    def firsts(self) -> list[int]:
        """The first frame of each piece."""
        return [0, *(border.frame for border in self.borders)]

    @property
    def rate(self) -> Fraction:
        """Frames per second as all pieces are told; of films of varying rates, roughly."""
        return max(self.packets.rate.limit_denominator(_RATES), Fraction(1, _RATES))

    @property
    def counts(self) -> list[int]:
        """Frames of each piece."""
        return [end - first for first, end in pairwise([*self.firsts, len(self.times)])]

    def name(self, number: int) -> str:
        """The name of a piece, counted from 0."""
        count = len(self.firsts)
        return f"{self.path.stem[:_STEM]}-{number + 1:04}of{count:04}{self.suffix}"

    def duration(self, number: int) -> Fraction:
        """Seconds from the first frame of a piece to that of the next one, or to the last frame."""
        ends = [*self.firsts[1:], len(self.times) - 1]
        ticks = int(self.times[ends[number]] - self.times[self.firsts[number]])
        return ticks * self.packets.header.time_base


def propose(
    path: Path,
    *,
    seconds: Fraction | None = None,
    pieces: int | None = None,
    inside_shots: bool = False,
) -> Proposal:
    """Where to cut ``path``: into pieces of about so many seconds, or into so many pieces.

    Borders lie at cuts, unless ``inside_shots`` allows others where there is none. The pictures are
    only decoded around key frames at which a border may be.

    Raises:
        UsageError: not one of the two is given, or it is out of range.
        UnsupportedMedia: the film cannot be cut without being encoded again.
        MediaError: it is damaged.
    """
    if (seconds is None) == (pieces is None):
        raise UsageError("give the length of pieces in seconds, or their number")
    media = Media(path)
    packets = read_packets(media)
    suffix = piece_suffix(media, packets)
    times, base = packets.times, packets.header.time_base
    span = (int(times[0]) * base, int(times[-1]) * base)
    count = pieces if pieces is not None else _count(span[1] - span[0], seconds)
    if not 1 <= count <= _MAX_PIECES:
        raise UsageError(f"{path}: {count} pieces; there can be 1 to {_MAX_PIECES}")
    clean = np.flatnonzero(packets.clean)
    frames = np.searchsorted(times, packets.pts[clean])
    candidates = [Candidate(int(f), int(times[f]) * base) for f in frames if f]
    looks = _Looks(media, packets, times)
    borders = choose_borders(
        candidates, len(times), span, count, looks.is_cut, inside_shots=inside_shots
    )
    return Proposal(path, packets, times, suffix, tuple(borders))


def _count(length: Fraction, seconds: Fraction | None) -> int:
    if seconds is None or seconds <= 0:
        raise UsageError(f"pieces of {seconds} seconds; give a number above 0")
    return max(1, -(-length // seconds))


class _Looks:
    """Looks at key frames for cuts."""

    def __init__(self, media: Media, packets: Packets, times: Ticks) -> None:
        self._media, self._times = media, times
        self._entries = np.concatenate([packets.pts[:1], packets.pts[packets.clean]])
        self._threads = len(os.sched_getaffinity(0))

    def is_cut(self, frame: int) -> bool:
        """Whether a shot begins with the frame."""
        first = max(0, frame - _AROUND)
        last = min(len(self._times) - 1, frame + _AROUND)
        start = int(self._entries[self._entries <= self._times[first]].max())
        detector = SHOT_DETECTORS["content"]()
        cuts: list[int] = []
        for found in window(
            self._media, start,
            int(self._times[first]), int(self._times[last]), threads=self._threads,
        ):  # fmt: skip
            cuts += detector.push(found)
        return frame - first in [*cuts, *detector.flush()]


def split(proposal: Proposal, folder: Path) -> Manifest:
    """Write the pieces and the manifest into ``folder``, which is made where it is missing.

    All of them, or nothing: what was written is removed when a later piece fails.

    Raises:
        OutputError: something of these names is there already, or cannot be written.
        MediaError: the film cannot be cut so that every frame keeps its time, or has changed.
        DiskFull: there is no room.
    """
    source = _source(proposal)
    stretches = _stretches(proposal, folder, split_id(source.sha256, proposal.firsts))
    with _filling(folder, [stretch.output for stretch in stretches]):
        write_stretches(Media(proposal.path), proposal.packets, stretches)
        manifest = Manifest(source, tuple(_pieces(proposal, stretches)))
        write_manifest(manifest, folder / MANIFEST)
    return manifest


def _source(proposal: Proposal) -> SourceFile:
    base = proposal.packets.header.time_base
    return SourceFile(
        name=proposal.path.name,
        sha256=sha256_of(proposal.path),
        size=proposal.path.stat().st_size,
        frames=len(proposal.times),
        time_base=base,
        rate=proposal.rate,
        duration=_seconds(int(proposal.times[-1] - proposal.times[0]) * base),
    )


def _stretches(proposal: Proposal, folder: Path, split_: str) -> list[Stretch]:
    """The packets of each piece; a border lies right before its key frame."""
    packets = proposal.packets
    number_of = {int(packets.pts[n]): int(n) for n in np.flatnonzero(packets.clean)}
    begins = [0, *(number_of[int(proposal.times[b.frame])] for b in proposal.borders)]
    rate, count = proposal.rate, len(begins)
    return [
        Stretch(
            begin,
            end,
            folder / proposal.name(number),
            Mark(number + 1, count, split_, rate, processed=False),
        )
        for number, (begin, end) in enumerate(pairwise([*begins, len(packets.pts)]))
    ]


def _pieces(proposal: Proposal, stretches: list[Stretch]) -> Iterator[Piece]:
    counts, times = proposal.counts, proposal.times
    for number, (first, stretch) in enumerate(zip(proposal.firsts, stretches, strict=True)):
        yield Piece(
            file=stretch.output.name,
            sha256=sha256_of(stretch.output),
            first=first,
            frames=counts[number],
            first_pts=int(times[first]),
            last_pts=int(times[first + counts[number] - 1]),
            duration=_seconds(proposal.duration(number)),
        )


def _seconds(exact: Fraction) -> float:
    return round(float(exact), 3)


@contextmanager
def _filling(folder: Path, files: list[Path]) -> Iterator[None]:
    """A folder that has all of the files in the end, or none of them."""
    there = [path for path in (folder / MANIFEST, *files) if path.exists() or path.is_symlink()]
    if there:
        raise OutputError(f"{there[0]}: exists already; choose another folder")
    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made ({error.strerror})") from error
    try:
        yield
    except BaseException:
        for path in files:
            path.unlink(missing_ok=True)
        if is_new:
            folder.rmdir()
        raise
