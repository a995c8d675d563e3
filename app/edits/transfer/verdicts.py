"""What the reviewers of a plan have decided about each of its tracks, and by which edit."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from app.edits.editor import Editor
from app.edits.records import Edit, Target
from app.edits.review import Review
from app.plan.records import Decision


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision about a track.

    ``settled``: the reviewer has looked at this very track. ``confirmed``: the reviewer has agreed
    to a decision of the analysis, and made none. ``of_card``: it was a decision about a person.
    """

    decision: Decision
    edit: Edit
    settled: bool
    confirmed: bool = False
    of_card: bool = False

    def words(self, track: int) -> str:
        """Return the decision about a track in words."""
        word = "hide" if self.decision == "blur" else "keep"
        return f"confirm {word} of track {track}" if self.confirmed else f"{word} track {track}"


@dataclass(slots=True)
class Decided:
    """Everything that the edits in effect have decided.

    ``cards`` has the edits that put tracks on their cards, ``parts`` the track of the plan of which
    each track is a part, and ``remarks`` the notes and confirmations that are not about tracks, or
    are notes about them.
    """

    verdicts: dict[int, Verdict] = field(default_factory=dict)
    cards: dict[int, Edit] = field(default_factory=dict)
    splits: list[Edit] = field(default_factory=list)
    parts: dict[int, int] = field(default_factory=dict)
    regions: dict[int, Edit] = field(default_factory=dict)
    remarks: dict[tuple[str, Target], Edit] = field(default_factory=dict)

    def root(self, track: int) -> int:
        """Return the track of the plan of which a track is a part."""
        return self.parts.get(track, track)


def decided_by(editor: Editor) -> Decided:
    """Return what the edits in effect of a plan have decided."""
    found = Decided()
    for edit, before, after in editor.history:
        _add(found, edit, before, after)
    review = editor.review
    found.verdicts = {
        number: replace(
            verdict,
            decision=review.tracks[number].decision,
            settled=Target("track", number) in review.confirmed,
        )
        for number, verdict in found.verdicts.items()
    }
    found.regions = {number: edit for number, edit in found.regions.items() if edit.after}
    found.remarks = {key: edit for key, edit in found.remarks.items() if edit.after}
    return found


def _add(found: Decided, edit: Edit, before: Review, after: Review) -> None:
    target = edit.target
    if edit.operation == "decide":
        of_card = target.kind == "card"
        for number in _tracks(before, target):
            found.verdicts[number] = Verdict(edit.after, edit, True, of_card=of_card)
    elif edit.operation in {"assign", "merge"}:
        for number in _tracks(before, target):
            found.cards[number] = edit
            if after.tracks[number].decision != before.tracks[number].decision:
                found.verdicts[number] = Verdict("blur", edit, False)
    elif edit.operation == "split":
        _add_split(found, edit)
    elif edit.operation == "region":
        found.regions[int(target.name)] = edit
    elif edit.operation == "confirm" and target.kind == "track":
        _add_confirmation(found, edit, after)
    else:
        found.remarks[edit.operation, target] = edit


def _tracks(review: Review, target: Target) -> list[int]:
    if isinstance(target.name, str):
        return [track.id for track in review.of_card(target.name)]
    return [target.name]


def _add_split(found: Decided, edit: Edit) -> None:
    early, late = int(edit.target.name), int(edit.after["track"])
    found.splits.append(edit)
    found.parts[late] = found.root(early)
    known: Mapping[int, Verdict] = found.verdicts
    if early in known:
        found.verdicts[late] = known[early]
    if early in found.cards:
        found.cards[late] = found.cards[early]


def _add_confirmation(found: Decided, edit: Edit, after: Review) -> None:
    number = int(edit.target.name)
    known = found.verdicts.get(number)
    if edit.after and known is None:
        decision = after.tracks[number].decision
        found.verdicts[number] = Verdict(decision, edit, True, confirmed=True)
    elif edit.after and known is not None and known.decision == "keep":
        found.verdicts[number] = replace(known, of_card=False)  # now it was looked at
    elif not edit.after and known is not None and known.confirmed:
        del found.verdicts[number]
