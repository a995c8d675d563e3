"""What a plan is made of: frozen records, checked when made.

Frames count from 0 in presentation order, shots are ``[first, end)``, boxes are pixels of the
upright picture and may overhang it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from app.errors import PlanError
from app.types import Boxes

VERSION = 1

Decision: TypeAlias = Literal["blur", "keep"]
Rows: TypeAlias = NDArray[np.float32]
"""(n, 5): frame, x1, y1, x2, y2."""

_LIMIT = 100_000.0
"""Coordinates beyond this many pixels are a mistake: no picture is a fifth as wide."""
DECIMALS = 2
_BUCKET = 64
"""Frames for each entry of the index from frames to tracks."""


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """The file that a plan is for; ``duration`` in seconds."""

    sha256: str
    name: str
    frames: int
    width: int
    height: int
    duration: float

    def __post_init__(self) -> None:
        require(len(self.sha256) == 64, "sha256 has 64 hexadecimal digits")
        require(min(self.frames, self.width, self.height) >= 1, "frames and sides are at least 1")
        require(0 <= self.duration < math.inf, "duration is not negative")


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """A file of weights that was used."""

    file: str
    sha256: str


@dataclass(frozen=True, slots=True)
class ModelsRecord:
    """The models that were used; no recogniser where nobody had to be told apart."""

    pack: str
    detector: ModelRecord
    recogniser: ModelRecord | None


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who was looked for, and how many photos told what they look like."""

    name: str
    photos: int


@dataclass(frozen=True, slots=True, eq=False)
class PlanTrack:
    """One face through one shot, what is done with it, and why.

    ``unclear`` says why nobody can be recognised in it, where that is so. ``boxes`` (n, 5) has a
    row for each frame from ``first`` to ``last``, both inclusive. It is
    rounded to 0.01 pixel, as in the file: a plan in memory hides what the file would hide.

    Raises:
        ValueError: a field is out of range, or the boxes are not those of these frames.
    """

    id: int
    shot: int
    first: int
    last: int
    person: str | None
    similarity: float | None
    decision: Decision
    uncertain: bool
    reason: str
    boxes: Rows = field(repr=False)
    unclear: str | None = None

    def __post_init__(self) -> None:
        require(self.decision in {"blur", "keep"}, 'decision is "blur" or "keep"')
        require(0 <= self.first <= self.last, "first and last are frames, in this order")
        similarity = 0.0 if self.similarity is None else self.similarity
        require(abs(similarity) <= 1.001, "similarity is between -1 and 1")
        exact = np.asarray(self.boxes, np.float64).round(DECIMALS)
        _check_rows(exact, self.first, self.last)
        rows = exact.astype(np.float32)
        rows.setflags(write=False)
        object.__setattr__(self, "boxes", rows)


@dataclass(frozen=True, eq=False)
class Plan:
    """Everything that rendering needs to know, and everything that an auditor may ask.

    Raises:
        ValueError: the parts contradict each other.
    """

    source: SourceRecord
    settings: Mapping[str, Any]
    models: ModelsRecord
    people: tuple[Person, ...]
    shots: tuple[tuple[int, int], ...]
    tracks: tuple[PlanTrack, ...]

    def __post_init__(self) -> None:
        borders = [0, *(end for _, end in self.shots)]
        rising = all(first < end for first, end in self.shots)
        gapless = [first for first, _ in self.shots] == borders[:-1]
        require(
            rising and gapless and borders[-1] == self.source.frames,
            f"shots: must follow each other without a gap from 0 to {self.source.frames}",
        )
        require(
            len({track.id for track in self.tracks}) == len(self.tracks), "tracks: an id is twice"
        )
        for number, track in enumerate(self.tracks):
            where = f"tracks[{number}]"
            require(0 <= track.shot < len(self.shots), f"{where}: there is no shot {track.shot}")
            require(track.last < self.source.frames, f"{where}: goes on after the last frame")

    @property
    def not_found(self) -> tuple[str, ...]:
        """The names of the people who were looked for, and whom no track may show."""
        shown = {track.person for track in self.tracks}
        return tuple(person.name for person in self.people if person.name not in shown)

    @property
    def counts(self) -> dict[str, int]:
        """The plan in numbers, without names.

        ``uncertain`` tracks deserve a look first; ``unclear`` are those of them in which nobody can
        be recognised; ``not_found`` counts people.
        """
        return {
            "frames": self.source.frames,
            "people": len(self.people),
            "tracks": len(self.tracks),
            "hidden": sum(track.decision == "blur" for track in self.tracks),
            "uncertain": sum(track.uncertain for track in self.tracks),
            "unclear": sum(track.unclear is not None for track in self.tracks),
            "not_found": len(self.not_found),
        }

    @cached_property
    def _index(self) -> dict[int, list[PlanTrack]]:
        """The tracks to hide for each stretch of ``_BUCKET`` frames."""
        index: dict[int, list[PlanTrack]] = {}
        for track in self.tracks:
            if track.decision == "blur":
                for bucket in range(track.first // _BUCKET, track.last // _BUCKET + 1):
                    index.setdefault(bucket, []).append(track)
        return index

    def regions_at(self, frame: int) -> Boxes:
        """Look up the boxes to hide in a frame, (N, 4); the cost is that of the tracks around it.

        Raises:
            PlanError: the plan knows nothing of this frame, so nobody in it could be hidden.
        """
        if not 0 <= frame < self.source.frames:
            raise PlanError(f"frame {frame} is not in the plan, which has {self.source.frames}")
        rows = [
            track.boxes[frame - track.first, 1:]
            for track in self._index.get(frame // _BUCKET, ())
            if track.first <= frame <= track.last
        ]
        return np.stack(rows) if rows else np.zeros((0, 4), np.float32)


def require(condition: bool, message: str) -> None:
    """Raise ``ValueError`` with ``message`` unless the condition holds."""
    if not condition:
        raise ValueError(message)


def _check_rows(rows: NDArray[np.float64], first: int, last: int) -> None:
    expected = (last - first + 1, 5)
    require(rows.shape == expected, f"boxes: expected shape {expected}, got {rows.shape}")
    frames = np.arange(first, last + 1)
    require(
        bool(np.array_equal(rows[:, 0], frames)), f"boxes: one for each frame {first} to {last}"
    )
    good = np.isfinite(rows).all(axis=1) & (np.abs(rows[:, 1:]) <= _LIMIT).all(axis=1)
    good &= (rows[:, 3] > rows[:, 1]) & (rows[:, 4] > rows[:, 2])
    if not good.all():
        raise ValueError(f"boxes[{int(np.argmin(good))}]: x1 < x2 and y1 < y2, all of them pixels")
