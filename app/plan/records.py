"""The records of a plan: frozen, and checked when they are made.

Frames count from 0 in presentation order. Shots are ``[first, end)``. Boxes are in pixels of the
upright frame, and may extend beyond it.
"""

import math
import re
from dataclasses import field
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    Strict,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic.dataclasses import dataclass

from app.errors import PlanError
from app.types import Boxes

NO_FACE_FOUND: Final = "no face was found, so nothing is hidden; check that the input shows none"
"""Warning for a plan without tracks."""
VERSION = 1

Decision: TypeAlias = Literal["blur", "keep"]
Rows: TypeAlias = NDArray[np.float32]
"""(n, 5): frame, x1, y1, x2, y2."""

MAX_FRAMES = 10_000_000
"""Maximum number of frames of a video: 46 hours at 60 frames per second."""
MAX_SIDE = 65_536
"""Maximum side of a frame in pixels: four times the limit of encoders."""
MAX_COORDINATE = 100_000.0
"""Coordinates beyond this are a mistake: no frame is so large."""
MAX_COUNT = 2**31 - 1
"""Maximum id of a track, and maximum number of photos."""
DECIMALS = 2
"""Decimal places of a coordinate in a plan."""
_BUCKET = 64
"""Frames for each entry of the index from frames to tracks."""


def _check_hash(value: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", value):
        raise ValueError("must be 64 hexadecimal digits")
    return value


_CONFIG = ConfigDict(extra="forbid", arbitrary_types_allowed=True)
_Whole: TypeAlias = Annotated[int, Strict()]
_Number: TypeAlias = Annotated[float, Strict(), Field(allow_inf_nan=False)]
_Seconds: TypeAlias = Annotated[_Number, Field(ge=0, lt=math.inf)]
_Text: TypeAlias = Annotated[str, Strict()]
_Flag: TypeAlias = Annotated[bool, Strict()]
_Hash: TypeAlias = Annotated[_Text, AfterValidator(_check_hash)]
_Frame: TypeAlias = Annotated[_Whole, Field(ge=0, lt=MAX_FRAMES)]
_Border: TypeAlias = Annotated[_Whole, Field(ge=0, le=MAX_FRAMES)]


def _array(value: object, _handler: ValidatorFunctionWrapHandler) -> NDArray[np.float64]:
    """Return the rows as an array. The reader has already converted valid lists to arrays."""
    if not isinstance(value, np.ndarray):
        raise ValueError("is not a list of rows frame, x1, y1, x2, y2")  # noqa: TRY004
    return np.asarray(value, np.float64)


@dataclass(frozen=True, slots=True, config=_CONFIG)
class SourceRecord:
    """The file that a plan belongs to; ``duration`` is in seconds."""

    sha256: _Hash
    name: _Text
    frames: Annotated[_Whole, Field(ge=1, le=MAX_FRAMES)]
    width: Annotated[_Whole, Field(ge=1, le=MAX_SIDE)]
    height: Annotated[_Whole, Field(ge=1, le=MAX_SIDE)]
    duration: _Seconds


@dataclass(frozen=True, slots=True, config=_CONFIG)
class ModelRecord:
    """A file of weights."""

    file: _Text
    sha256: _Text


@dataclass(frozen=True, slots=True, config=_CONFIG)
class ModelsRecord:
    """The models of an analysis; ``recogniser`` is None if everyone was hidden."""

    pack: _Text
    detector: ModelRecord
    recogniser: ModelRecord | None


@dataclass(frozen=True, slots=True, config=_CONFIG)
class Person:
    """A person of the gallery, and the number of reference photos."""

    name: _Text
    photos: Annotated[_Whole, Field(ge=0, le=MAX_COUNT)]


@dataclass(frozen=True, slots=True, eq=False, config=_CONFIG)
class PlanTrack:
    """One face through one shot, the decision about it, and the reason.

    ``unclear`` is the reason why nobody can be recognised in the track, or None.
    ``times`` are the seconds at which the face appears and disappears, after the first frame; None
    in plans that do not have them. ``card`` names the person, listed or ``Person N``, whose tracks
    these are; None if that cannot be told. ``drawn`` tracks are regions that a reviewer has drawn.
    ``boxes`` (n, 5) has a row for each frame from ``first`` to ``last``, both inclusive. It is
    rounded to 0.01 pixel, as in the file: a plan in memory hides exactly what its file hides.

    Raises:
        ValueError: a field is out of range, or the boxes do not belong to these frames.
    """

    id: Annotated[_Whole, Field(ge=0, le=MAX_COUNT)]
    shot: Annotated[_Whole, Field(ge=0, lt=MAX_FRAMES)]
    first: _Frame
    last: _Frame
    person: _Text | None
    similarity: Annotated[_Number, Field(ge=-1.001, le=1.001)] | None
    decision: Decision
    uncertain: _Flag
    reason: _Text
    boxes: Annotated[Rows, WrapValidator(_array)] = field(repr=False)
    unclear: _Text | None = None
    times: tuple[_Seconds, _Seconds] | None = None
    card: _Text | None = None
    drawn: _Flag = False

    def __post_init__(self) -> None:
        _check(self.first <= self.last, "first: must not be after last")
        _check(
            self.times is None or self.times[0] <= self.times[1],
            "times: the first must not be after the second",
        )
        exact = self.boxes.astype(np.float64).round(DECIMALS)
        _check_rows(exact, self.first, self.last)
        rows = exact.astype(np.float32)
        rows.setflags(write=False)
        object.__setattr__(self, "boxes", rows)


@dataclass(frozen=True, eq=False, config=_CONFIG)
class Plan:
    """The decisions about all faces of a video, for rendering, review and audits.

    Raises:
        ValueError: the parts contradict each other.
    """

    source: SourceRecord
    settings: dict[str, Any]
    models: ModelsRecord
    people: tuple[Person, ...]
    shots: tuple[tuple[_Border, _Border], ...]
    tracks: tuple[PlanTrack, ...]

    def __post_init__(self) -> None:
        borders = [0, *(end for _, end in self.shots)]
        rising = all(first < end for first, end in self.shots)
        gapless = [first for first, _ in self.shots] == borders[:-1]
        _check(
            rising and gapless and borders[-1] == self.source.frames,
            f"shots: must follow each other without a gap from 0 to {self.source.frames}",
        )
        _check(
            len({track.id for track in self.tracks}) == len(self.tracks),
            "tracks: two tracks have the same id",
        )
        for number, track in enumerate(self.tracks):
            _check_track(track, f"tracks[{number}]", self)

    @staticmethod
    def read(path: Path | str) -> "Plan":
        """Read a plan and check all of it.

        Raises:
            PlanError: it cannot be read, has another version, or contains an error; the message
                names the place of the error.
        """
        # The reader needs this class.
        from app.plan.files import read_plan

        return read_plan(Path(path))

    def write(self, path: Path | str) -> None:
        """Write the plan as JSON, and move it to ``path`` when it is complete.

        Raises:
            OutputError: the file cannot be written there, or there are edits of a plan at this
                path.
            DiskFull: there is no space for it.
        """
        from app.plan.files import write_plan

        write_plan(self, Path(path))

    @property
    def not_found(self) -> tuple[str, ...]:
        """Names of the people of the gallery that no track shows."""
        shown = {track.person for track in self.tracks}
        return tuple(person.name for person in self.people if person.name not in shown)

    @property
    def counts(self) -> dict[str, int]:
        """Numbers about the plan, without names.

        ``uncertain`` tracks should be reviewed first; ``unclear`` are those of them in which nobody
        can be recognised; ``not_found`` counts people.
        """
        return {
            "frames": self.source.frames,
            "people": len(self.people),
            "tracks": len(self.tracks),
            "hidden": sum(track.decision == "blur" for track in self.tracks),
            "uncertain": sum(track.uncertain for track in self.tracks),
            "unclear": sum(track.uncertain and track.unclear is not None for track in self.tracks),
            "not_found": len(self.not_found),
        }

    @property
    def hidden_frames(self) -> NDArray[np.bool_]:
        """Whether anything is hidden in each frame, (frames,)."""
        hidden = np.zeros(self.source.frames, bool)
        for track in self.tracks:
            if track.decision == "blur":
                hidden[track.first : track.last + 1] = True
        return hidden

    @cached_property
    def _index(self) -> dict[int, list[PlanTrack]]:
        """The tracks to hide for each bucket of ``_BUCKET`` frames."""
        index: dict[int, list[PlanTrack]] = {}
        for track in self.tracks:
            if track.decision == "blur":
                for bucket in range(track.first // _BUCKET, track.last // _BUCKET + 1):
                    index.setdefault(bucket, []).append(track)
        return index

    def regions_at(self, frame: int) -> Boxes:
        """Return the boxes to hide in a frame, (N, 4).

        The cost depends on the number of tracks near the frame, not on that of all tracks.

        Raises:
            PlanError: the plan does not contain this frame.
        """
        if not 0 <= frame < self.source.frames:
            raise PlanError(
                f"frame {frame} is not in the plan, which has {self.source.frames} frames"
            )
        rows = [
            track.boxes[frame - track.first, 1:]
            for track in self._index.get(frame // _BUCKET, ())
            if track.first <= frame <= track.last
        ]
        return np.stack(rows) if rows else np.zeros((0, 4), np.float32)


def _check(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


def _check_rows(rows: NDArray[np.float64], first: int, last: int) -> None:
    expected = (last - first + 1, 5)
    _check(rows.shape == expected, f"boxes: expected shape {expected}, got {rows.shape}")
    frames = np.arange(first, last + 1)
    _check(
        bool(np.array_equal(rows[:, 0], frames)),
        f"boxes: needs one row for each frame from {first} to {last}",
    )
    good = np.isfinite(rows).all(axis=1) & (np.abs(rows[:, 1:]) <= MAX_COORDINATE).all(axis=1)
    good &= (rows[:, 3] > rows[:, 1]) & (rows[:, 4] > rows[:, 2])
    if not good.all():
        raise ValueError(f"boxes[{int(np.argmin(good))}]: must have x1 < x2 and y1 < y2, in pixels")


def _check_track(track: PlanTrack, where: str, plan: Plan) -> None:
    """Check a track against the source and the shots."""
    _check(track.shot < len(plan.shots), f"{where}: there is no shot {track.shot}")
    _check(track.last < plan.source.frames, f"{where}: continues after the last frame")
    _, x1, y1, x2, y2 = track.boxes.T
    outside = (x2 <= 0) | (y2 <= 0) | (x1 >= plan.source.width) | (y1 >= plan.source.height)
    if outside.any():
        raise ValueError(f"{where}: boxes[{int(np.argmax(outside))}]: lies outside the frame")
