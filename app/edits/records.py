"""The records of a review: edits, drawn regions, and the things that edits are about."""

import re
from dataclasses import field
from typing import Annotated, Any, Final, Literal, TypeAlias

import numpy as np
from pydantic import AfterValidator, ConfigDict, Field, Strict
from pydantic.dataclasses import dataclass

from app.plan.records import DECIMALS, MAX_COORDINATE, MAX_FRAMES, Rows
from app.types import Size

Operation: TypeAlias = Literal[
    "decide", "assign", "merge", "split", "region", "note", "confirm", "undo", "redo"
]
Kind: TypeAlias = Literal["track", "card", "region", "listed", "lost", "video", "edit"]
MAX_TEXT = 2_000
"""Characters of a note or a name: more than a page of text."""
MAX_KEYS = 10_000
"""Key frames of one drawn region: one for each frame of several minutes."""
MIN_SIDE = 4.0
"""Least side of a drawn region in pixels: a smaller one is a slip of the hand."""


def _check_text(value: str) -> str:
    if not value.strip() or re.search(r"[\x00-\x08\x0b-\x1f\x7f]", value):
        raise ValueError("must be a text without control characters")
    return value


def _check_hash(value: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", value):
        raise ValueError("must be 64 hexadecimal digits")
    return value


def _check_time(value: str) -> str:
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z", value):
        raise ValueError("must be a time in UTC such as 2030-01-31T12:00:00Z")
    return value


_CONFIG = ConfigDict(extra="forbid")
Text: TypeAlias = Annotated[str, Strict(), Field(max_length=MAX_TEXT), AfterValidator(_check_text)]
_Frame: TypeAlias = Annotated[int, Strict(), Field(ge=0, lt=MAX_FRAMES)]
_Pixel: TypeAlias = Annotated[
    float, Field(ge=-MAX_COORDINATE, le=MAX_COORDINATE, allow_inf_nan=False)
]
Key: TypeAlias = tuple[_Frame, _Pixel, _Pixel, _Pixel, _Pixel]
"""A key frame of a region: frame, x1, y1, x2, y2."""


@dataclass(frozen=True, slots=True, config=_CONFIG)
class Target:
    """The thing that an edit is about.

    ``name`` is the number of a track, region or edit, or the name of a card or of a listed person.
    A ``lost`` target is the end of a track inside its shot. That of ``video`` has the number 0.
    """

    kind: Kind
    name: Annotated[int, Strict(), Field(ge=0)] | Text

    def __post_init__(self) -> None:
        if isinstance(self.name, str) != (self.kind in {"card", "listed"}):
            raise ValueError(f"a {self.kind} has no such name")

    def __str__(self) -> str:
        return "the video" if self.kind == "video" else f"{self.kind} {self.name}"


VIDEO: Final = Target("video", 0)


@dataclass(frozen=True, slots=True, config=_CONFIG)
class Region:
    """A box that a reviewer has drawn; it is hidden from ``first`` to ``last``, both inclusive.

    The box moves linearly between key frames, and rests before the first and after the last one.

    Raises:
        ValueError: the frames or the boxes contradict each other.
    """

    first: _Frame
    last: _Frame
    keys: Annotated[tuple[Key, ...], Field(min_length=1, max_length=MAX_KEYS)]

    def __post_init__(self) -> None:
        frames = [key[0] for key in self.keys]
        if self.first > self.last:
            raise ValueError("first must not be after last")
        if frames != sorted(set(frames)):
            raise ValueError("the frames of keys must increase")
        if any(key[3] <= key[1] or key[4] <= key[2] for key in self.keys):
            raise ValueError("a box must have x1 < x2 and y1 < y2")

    def rows(self) -> Rows:
        """Return the box of each frame, (n, 5): frame, x1, y1, x2, y2."""
        keys = np.asarray(self.keys, np.float64)
        frames = np.arange(self.first, self.last + 1)
        corners = [np.interp(frames, keys[:, 0], keys[:, i]) for i in range(1, 5)]
        return np.column_stack([frames, *corners]).astype(np.float32)

    def fitted(self, size: Size, frames: int) -> "Region":
        """Return the region inside a video of this size and number of frames.

        Raises:
            ValueError: it begins after the last frame.
        """
        if self.first >= frames:
            raise ValueError(f"the video has {frames} frames")
        keys: list[Key] = [
            (key[0], *_inside(key[1:], size)) for key in self.keys if key[0] < frames
        ]
        if not keys:
            raise ValueError("no key frame lies in the video")
        return Region(self.first, min(self.last, frames - 1), tuple(keys))


def _inside(
    box: tuple[float, float, float, float], size: Size
) -> tuple[float, float, float, float]:
    """Return a box inside the frame, of at least ``MIN_SIDE`` pixels where the frame allows it.

    >>> _inside((-5.0, 10.0, 20.0, 11.0), (100, 50))
    (0.0, 10.0, 20.0, 14.0)
    """
    x1, x2 = _side(box[0], box[2], size[0])
    y1, y2 = _side(box[1], box[3], size[1])
    return x1, y1, x2, y2


def _side(low: float, high: float, most: int) -> tuple[float, float]:
    least = min(MIN_SIDE, float(most))
    low = min(max(low, 0.0), most - least)
    high = max(min(high, float(most)), low + least)
    return round(low, DECIMALS), round(high, DECIMALS)


@dataclass(frozen=True, slots=True, config=_CONFIG)
class Edit:
    """One line of a journal.

    ``before`` and ``after`` are JSON values that depend on the operation. ``previous`` is the
    hash of the line before; that of the first line is the SHA-256 of the plan file.
    """

    number: Annotated[int, Strict(), Field(ge=1)]
    time: Annotated[str, Strict(), AfterValidator(_check_time)]
    reviewer: Text
    operation: Operation
    target: Target
    before: Any
    after: Any
    previous: Annotated[str, Strict(), AfterValidator(_check_hash)] = field(repr=False)
