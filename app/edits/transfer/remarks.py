"""Take over notes, and confirmations that are not about tracks."""

from typing import TYPE_CHECKING

from app.edits.doubts import open_doubts
from app.edits.records import Edit, Target

if TYPE_CHECKING:
    from app.edits.transfer.takeover import Takeover

_SAME_END = 3
"""Frames by which the ends of two tracks of one face may differ: both are padded."""
_NO_FACE = "no such face in the new plan"


def take_over_remarks(takeover: "Takeover") -> None:
    """Make the notes and confirmations again that are about something in the new plan."""
    for (operation, target), edit in takeover.decided.remarks.items():
        words = f"{operation} {target}"
        if operation == "note":
            _note(takeover, target, edit, words)
        elif target.kind == "lost":
            _confirm_lost(takeover, int(target.name), edit, words)
        elif target.kind == "listed":
            if target in {doubt.target for doubt in open_doubts(takeover.new.review)}:
                takeover.make("confirm", target, True, edit)
        else:
            takeover.leave(edit, words, "the new result must be looked at again")


def _note(takeover: "Takeover", target: Target, edit: Edit, words: str) -> None:
    found = _new_target(takeover, target)
    if found is None:
        takeover.leave(edit, words, _NO_FACE)
    else:
        takeover.make("note", found, edit.after, edit)


def _new_target(takeover: "Takeover", target: Target) -> Target | None:
    """Return the thing in the new plan that a note is about."""
    if target.kind == "track":
        covered = takeover.covered_by(int(target.name))
        return Target("track", covered[0]) if covered else None
    if target.kind == "region":
        number = takeover.regions.get(int(target.name))
        return None if number is None else Target("region", number)
    if target.kind == "card":
        name = takeover.new_name(str(target.name))
        there = {track.card for track in takeover.new.review.tracks.values()}
        return Target("card", name) if name is not None and name in there else None
    return target


def _confirm_lost(takeover: "Takeover", number: int, edit: Edit, words: str) -> None:
    """Confirm that a face is lost if a new track of it ends at the same frame or a little later.

    One that ends earlier leaves frames that the reviewer has not looked at for this.
    """
    last = takeover.old.tracks[number].last
    tracks = takeover.new.review.tracks
    for new in takeover.covered_by(number):
        if 0 <= tracks[new].last - last <= _SAME_END:
            takeover.make("confirm", Target("lost", new), True, edit)
            return
    takeover.leave(edit, words, "no face of the new plan is lost there")
