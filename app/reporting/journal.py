"""The journal of a review in words: who decided what, and what it was before."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.edits import Edit, Editor, Target
from app.plan import Plan, clock

MOST_ROWS = 2_000
"""Edits of a report: forty pages. Earlier ones are in the journal."""
_DECISIONS = {"blur": "hidden", "keep": "visible"}
_NONE = "none"


@dataclass(frozen=True, slots=True)
class Entry:
    """One edit in words. ``state`` is empty for an edit in effect, and for an undo or redo."""

    number: int
    time: str
    reviewer: str
    what: str
    before: str
    after: str
    state: str
    is_undo: bool


def entries_of(editor: Editor) -> list[Entry]:
    """Return the last edits in their order, at most ``MOST_ROWS``."""
    in_effect = {edit.number for edit in editor.in_effect}
    plan = editor.review.plan
    return [
        _entry(edit, plan, in_effect=edit.number in in_effect)
        for edit in editor.journal.edits[-MOST_ROWS:]
    ]


def _entry(edit: Edit, plan: Plan, *, in_effect: bool) -> Entry:
    what, before, after = _WORDS[edit.operation](edit, plan)
    about_edits = edit.operation in {"undo", "redo"}
    state = "" if in_effect or about_edits else "taken back"
    time = edit.time[:19].replace("T", " ")
    return Entry(edit.number, time, edit.reviewer, what, before, after, state, about_edits)


_Words = tuple[str, str, str]
"""The edit, and the values before and after it."""


def _decide(edit: Edit, _: Plan) -> _Words:
    after = _DECISIONS[edit.after]
    if edit.target.kind == "track":
        return f"Decided about {named(edit.target)}", _DECISIONS[edit.before], after
    before = [
        f"{_tracks(edit.before[key])} {word}"
        for key, word in _DECISIONS.items()
        if edit.before[key]
    ]
    return f"Decided about all faces of {named(edit.target)}", ", ".join(before), after


def _assign(edit: Edit, _: Plan) -> _Words:
    nobody = "nobody: cannot be told"
    return f"Said whose face {named(edit.target)} is", edit.before or nobody, edit.after or nobody


def _merge(edit: Edit, _: Plan) -> _Words:
    what = "Renamed a person, or joined two"
    return what, f"{edit.target.name}: {_tracks(edit.before)}", str(edit.after)


def _split(edit: Edit, plan: Plan) -> _Words:
    frame, new = edit.after["frame"], edit.after["track"]
    after = f"from frame {frame} ({_time(frame, plan)}) on track {new}"
    return f"Split {named(edit.target)}", _frames(edit.before, plan), after


def _region(edit: Edit, plan: Plan) -> _Words:
    verb = "Removed" if edit.after is None else "Drew" if edit.before is None else "Changed"
    return f"{verb} {named(edit.target)}", _box(edit.before, plan), _box(edit.after, plan)


def _note(edit: Edit, _: Plan) -> _Words:
    return f"Note on {named(edit.target)}", edit.before or _NONE, edit.after or _NONE


def _confirm(edit: Edit, _: Plan) -> _Words:
    states = {True: "confirmed", False: "open"}
    return (
        f"Confirmed {_doubt(edit.target)}" if edit.after else f"Reopened {_doubt(edit.target)}",
        (states[edit.before]),
        states[edit.after],
    )


def _undo(edit: Edit, _: Plan) -> _Words:
    return f"Took back edit {edit.target.name}", "", ""


def _redo(edit: Edit, _: Plan) -> _Words:
    return f"Made edit {edit.target.name} again", "", ""


_WORDS: Mapping[str, Callable[[Edit, Plan], _Words]] = {
    "decide": _decide,
    "assign": _assign,
    "merge": _merge,
    "split": _split,
    "region": _region,
    "note": _note,
    "confirm": _confirm,
    "undo": _undo,
    "redo": _redo,
}


def named(target: Target) -> str:
    """Return the thing that an edit is about, in words.

    >>> named(Target("track", 3)), named(Target("card", "Person 1")), named(Target("lost", 3))
    ('track 3', 'Person 1', 'the end of track 3')
    """
    if target.kind in {"card", "listed"}:
        return str(target.name)
    return f"the end of track {target.name}" if target.kind == "lost" else str(target)


def _doubt(target: Target) -> str:
    """Return the doubt that a confirmation settles, in words."""
    return {
        "listed": f"that {target.name} does not appear",
        "lost": f"that track {target.name} ends where it does",
        "video": "that nobody is hidden",
    }.get(target.kind, f"the decision about {target}")


def _tracks(numbers: Sequence[int]) -> str:
    """Return some tracks in words.

    >>> _tracks([3]), _tracks([0, 2])
    ('track 3', 'tracks 0, 2')
    """
    shown = ", ".join(map(str, numbers))
    return f"track {shown}" if len(numbers) == 1 else f"tracks {shown}"


def _box(region: Mapping[str, Any] | None, plan: Plan) -> str:
    if region is None:
        return _NONE
    keys = len(region["keys"])
    return f"{_frames(region, plan)}, {keys} key frame{'' if keys == 1 else 's'}"


def _frames(span: Mapping[str, Any], plan: Plan) -> str:
    first, last = span["first"], span["last"]
    times = f"{_time(first, plan)} to {_time(last + 1, plan)}"
    return f"frames {first} to {last} ({times})"


def _time(frame: int, plan: Plan) -> str:
    """Return the time of a frame, as if all frames were shown equally long."""
    return clock(frame * plan.source.duration / plan.source.frames)
