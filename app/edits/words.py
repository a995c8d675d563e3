"""Edits and doubts in words, for lists and reports."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from app.edits.doubts import Doubt
from app.edits.records import Edit

_DECIDED = {"blur": "hide", "keep": "keep"}


def words_of(edit: Edit) -> str:
    """Return an edit in words, such as "track 3: hide (was keep)".

    Names and notes are as the reviewer has written them: make them printable before they are shown.
    """
    return f"{edit.target}: {_WORDS[edit.operation](edit)}"


def words_of_doubt(doubt: Doubt) -> str:
    """Return a doubt in words, such as "unsure: track 3, frames 0 to 49: matches alice"."""
    frames = f"frames {doubt.first} to {doubt.last}"
    if doubt.first == doubt.last:
        frames = f"frame {doubt.first}"
    return f"{doubt.sort}: {doubt.target}, {frames}: {doubt.reason}"


def list_words(names: Sequence[str]) -> str:
    """Join names as in a sentence.

    >>> list_words(["Ann"]), list_words(["Ann", "Bob", "Eve"])
    ('Ann', 'Ann, Bob and Eve')
    """
    return " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _decide(edit: Edit) -> str:
    word = _DECIDED[str(edit.after)]
    if edit.target.kind == "track":
        return f"{word} (was {_DECIDED[str(edit.before)]})"
    counts = [
        f"{_DECIDED[decision]} {len(tracks)}" for decision, tracks in edit.before.items() if tracks
    ]
    return f"{word} (was {list_words(counts)})"


def _assign(edit: Edit) -> str:
    return f"is {_name(edit.after)} (was {_name(edit.before)})"


def _name(card: Any) -> str:
    return "nobody in particular" if card is None else str(card)


def _merge(edit: Edit) -> str:
    tracks = len(edit.before)
    return f"is {edit.after} ({tracks} track{'' if tracks == 1 else 's'})"


def _split(edit: Edit) -> str:
    return f"split at frame {edit.after['frame']}, from which it is track {edit.after['track']}"


def _region(edit: Edit) -> str:
    if edit.after is None:
        return "removed"
    verb = "drawn" if edit.before is None else "changed"
    return f"{verb}, frames {edit.after['first']} to {edit.after['last']}"


def _note(edit: Edit) -> str:
    if edit.after is None:
        return "note removed"
    return f"note: {' '.join(str(edit.after).split())}"


def _confirm(edit: Edit) -> str:
    return "confirmed" if edit.after else "no longer confirmed"


_WORDS: Mapping[str, Callable[[Edit], str]] = {
    "decide": _decide,
    "assign": _assign,
    "merge": _merge,
    "split": _split,
    "region": _region,
    "note": _note,
    "confirm": _confirm,
    "undo": lambda _: "taken back",
    "redo": lambda _: "made again",
}
