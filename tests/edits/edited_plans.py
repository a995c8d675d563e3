"""Plans for reviews, with cards, doubts and two shots."""

from pathlib import Path
from typing import Any

import numpy as np

from app.edits import Editor
from app.plan import Person, Plan, PlanTrack, SourceRecord
from tests.test_plan import make_plan, make_track

NOBODY: dict[str, Any] = {"person": None, "similarity": None}
FRAMES = 100


def rows_at(x: float, first: int, last: int, y: float = 100.0) -> Any:
    """Return the rows of a box of 40 pixels that stays at one place."""
    frames = np.arange(first, last + 1)
    row = np.array([x, y, x + 40, y + 40])
    return np.column_stack([frames, np.tile(row, (len(frames), 1))])


def track(
    number: int, first: int, last: int, x: float = 100.0, y: float = 100.0, **changes: Any
) -> PlanTrack:
    shot = 0 if first < 50 else 1
    rows = rows_at(x, first, last, y)
    return make_track(number, first, last, shot=shot, boxes=rows, **NOBODY, **changes)


def reviewed_plan() -> Plan:
    """Alice and Person 1 in both shots, one unsure track, one that cannot be told, and one lost."""
    return make_plan(
        track(0, 0, 49, 100, card="alice", times=(0.0, 5.0)),
        track(1, 0, 49, 300, card="Person 1", decision="keep"),
        track(2, 50, 99, 300, card="alice", uncertain=True),
        track(3, 50, 99, 100, card="Person 1", decision="keep"),
        track(4, 60, 99, 500, card=None, uncertain=True, unclear="too dark"),
        track(5, 0, 20, 500, card="Person 2"),
        source=SourceRecord("a" * 64, "clip.mp4", FRAMES, 640, 360, 10.0),
        people=(Person("alice", 2), Person("bob", 1)),
        shots=((0, 50), (50, FRAMES)),
    )


def opened(folder: Path) -> Editor:
    """Write the plan, unless it is there, and open it with its edits."""
    path = folder / "clip.json"
    if not path.exists():
        reviewed_plan().write(path)
    return Editor.open(path)
