"""The records of a verification: what can still be seen in a result, and in which frames."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Literal, TypeAlias

import numpy as np

from app.config import brief_time
from app.plan.records import Rows

Kind: TypeAlias = Literal["readable", "unknown", "recognised", "frames"]
"""``readable``: a hidden face that still shows its detail. ``unknown``: a visible face that the
plan does not have. ``recognised``: a listed person who is visible. ``frames``: the result does not
have the frames of its source."""


def _no_rows() -> Rows:
    return np.zeros((0, 5), np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Finding:
    """What can be seen in the frames ``first`` to ``last`` (inclusive) of a result.

    ``begin`` and ``end`` are in seconds after the first frame. ``track`` is the id of the plan's
    track to which the face belongs, None if there is none. ``person`` is the name of a listed
    person who was recognised. ``measure`` is the highest of all frames: the correlation of detail
    with the source, -1..1, or without a source the score of the detector, 0..1; of a recognised
    person the similarity. ``rows`` (n, 5) has frame, x1, y1, x2, y2 where the face was seen.
    ``text`` explains other frames.
    """

    kind: Kind
    first: int
    last: int
    begin: Fraction
    end: Fraction
    track: int | None = None
    person: str | None = None
    measure: float = 0.0
    rows: Rows = field(default_factory=_no_rows, repr=False)
    text: str = ""

    @property
    def box(self) -> tuple[float, float, float, float] | None:
        """The place in the middle of the stretch: x1, y1, x2, y2 in pixels, if there is one."""
        if not len(self.rows):
            return None
        x1, y1, x2, y2 = self.rows[len(self.rows) // 2, 1:].astype(float).round(1).tolist()
        return x1, y1, x2, y2

    @property
    def line(self) -> str:
        """The finding as a line without a full stop."""
        at = f"{_frames(self.first, self.last)} ({brief_time(self.begin)})"
        place = "" if self.box is None else f", at {', '.join(f'{v:.0f}' for v in self.box)}"
        return f"{at}: {self._words()}{place}"

    def _words(self) -> str:
        of = "" if self.track is None else f" of track {self.track}"
        if self.kind == "readable" and self.person is not None:
            of += f" ({self.person})"
        if self.kind == "readable":
            return f"the hidden face{of} can still be read ({self.measure:.2f})"
        if self.kind == "recognised":
            return f"{self.person} is recognised{of and f' in{of[3:]}'} ({self.measure:.2f})"
        if self.kind == "unknown":
            return f"a face{of} is visible" if of else "a face that the plan does not have"
        return self.text

    def as_json(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return {
            "kind": self.kind,
            "first": self.first,
            "last": self.last,
            "begin": round(float(self.begin), 3),
            "end": round(float(self.end), 3),
            "box": self.box,
            "track": self.track,
            "person": self.person,
            "measure": round(self.measure, 3),
            "text": self.line,
        }


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of looking at ``frames`` frames again.

    ``compared``: the detail of hidden faces was compared with the source. ``people``: number of
    listed people who were looked for.
    """

    frames: int
    findings: tuple[Finding, ...]
    compared: bool
    people: int

    @property
    def clean(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def lines(self) -> Iterator[str]:
        """Yield the findings as lines without a full stop, or that there are none."""
        for finding in self.findings:
            yield finding.line
        if not self.findings:
            yield f"no hidden face can be seen in {self.frames} frames"
        if not self.compared:
            yield "without the source, the detail of hidden faces was not compared: give --media"

    def as_json(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return {
            "frames": self.frames,
            "compared": self.compared,
            "people": self.people,
            "findings": [finding.as_json() for finding in self.findings],
        }


def frames_text(findings: Sequence[Finding], most: int = 3) -> str:
    """Name the frames of some findings in a few words, for the message of an error.

    >>> time = Fraction(1, 3)
    >>> frames_text([Finding("unknown", 3, 7, time, time), Finding("unknown", 9, 9, time, time)])
    'frames 3 to 7, frame 9'
    """
    named = [_frames(finding.first, finding.last) for finding in findings[:most]]
    more = len(findings) - most
    return ", ".join(named) + (f" and {more} more places" if more > 0 else "")


def _frames(first: int, last: int) -> str:
    return f"frame {first}" if first == last else f"frames {first} to {last}"
