"""The edits of an older plan are made in a new one: regions, splits and names, then decisions."""

from typing import Any

from app.edits.editor import Editor
from app.edits.operations import as_json
from app.edits.records import Edit, Operation, Target
from app.edits.review import Review
from app.edits.transfer.hiding import take_over_hiding
from app.edits.transfer.keeping import take_over_keeping
from app.edits.transfer.overlap import SAME_PLACE, Likeness, covers, matches, row_iou
from app.edits.transfer.remarks import take_over_remarks
from app.edits.transfer.verdicts import Decided
from app.errors import EditConflict, UsageError
from app.plan.records import PlanTrack


class Takeover:
    """Makes edits in a new plan that has none.

    Args:
        old: the older plan after its edits.
        decided: what these have decided.
        new: the editor of the new plan.
    """

    def __init__(self, old: Review, decided: Decided, new: Editor) -> None:
        self.old, self.decided, self.new = old, decided, new
        self.unfit: list[str] = []
        self.regions: dict[int, int] = {}
        """The numbers of the copied regions by their old ones."""
        self.matches: dict[int, dict[int, Likeness]] = {}
        """For each new track, the old tracks at the same place."""

    def run(self) -> None:
        """Take over everything that fits. Hiding comes last, so that it decides."""
        self._copy_regions()
        self._split_again()
        old = tuple(self.old.tracks.values())
        self.matches = {
            number: matches(track, old) for number, track in self.new.review.tracks.items()
        }
        self._name_cards()
        take_over_keeping(self)
        take_over_hiding(self)
        take_over_remarks(self)

    def make(self, operation: Operation, target: Target, after: Any, edit: Edit) -> bool:
        """Make an edit in the name of the old reviewer; list the old one if that is impossible."""
        try:
            self.new.edit(operation, target, after, edit.reviewer)
        except EditConflict:
            raise
        except UsageError as error:
            self.leave(edit, f"{edit.operation} {edit.target}", str(error))
            return False
        return True

    def leave(self, edit: Edit, words: str, reason: str) -> None:
        """List an old edit that does not fit."""
        line = f"edit {edit.number} by {edit.reviewer}: {words}: {reason}"
        if line not in self.unfit:
            self.unfit.append(line)

    def covered_by(self, number: int) -> list[int]:
        """Return the new tracks that an old one covers nearly wholly, the longest first."""
        tracks = self.new.review.tracks
        found = [new for new, old in self.matches.items() if number in old and covers(old[number])]
        return sorted(found, key=lambda new: (-len(tracks[new].boxes), new))

    def reopen(self, number: int, edit: Edit) -> None:
        """Leave the doubt about a new track open: nobody has looked at it."""
        target, review = Target("track", number), self.new.review
        if review.tracks[number].uncertain and target in review.confirmed:
            self.make("confirm", target, False, edit)

    def _copy_regions(self) -> None:
        for number, edit in sorted(self.decided.regions.items()):
            target = Target("region", self.new.review.unused)
            if self.make("region", target, as_json(self.old.regions[number]), edit):
                self.regions[number] = int(target.name)

    def _split_again(self) -> None:
        """Split new tracks where an old one was split, and its parts differ in the end."""
        for edit in self.decided.splits:
            frame = int(edit.after["frame"])
            early, late = (self._part(edit, at) for at in (frame - 1, frame))
            if (early.decision, early.card) == (late.decision, late.card):
                continue
            for track in tuple(self.new.review.tracks.values()):
                if track.first < frame <= track.last and all(
                    _at_same_place(track, old, at)
                    for old, at in ((early, frame - 1), (late, frame))
                ):
                    self.make("split", Target("track", track.id), {"frame": frame}, edit)

    def _part(self, edit: Edit, frame: int) -> PlanTrack:
        """Return the part of a track that was split which has a frame."""
        root = self.decided.root(int(edit.target.name))
        return next(
            track
            for track in self.old.tracks.values()
            if self.decided.root(track.id) == root and track.first <= frame <= track.last
        )

    def _name_cards(self) -> None:
        for number, edit in sorted(self.decided.cards.items()):
            card = self.old.tracks[number].card
            name = None if card is None else self.new_name(card)
            covered = self.covered_by(number)
            words = f"track {number} is {card}"
            if not covered:
                self.leave(edit, words, "no such face in the new plan")
            elif card is not None and name is None:
                self.leave(edit, words, "the new plan numbers its people in another way")
            else:
                for new in covered:
                    if self.new.review.tracks[new].card != name:
                        self.make("assign", Target("track", new), name, edit)

    def new_name(self, card: str) -> str | None:
        """Return the name that a card of the old plan has in the new one, or None.

        Listed people keep their names, and so do those that a reviewer has named. ``Person 2`` of
        the new plan may be somebody else: it is the card on which most of their tracks are now.
        """
        listed = {person.name for person in self.new.review.plan.people}
        if card in listed:
            return card
        numbered = [t.id for t in self.old.plan.tracks if t.card == card]
        if not numbered:
            taken = {track.card for track in self.new.review.plan.tracks}
            return None if card in taken else card
        votes: dict[str, int] = {}
        for number in numbered:
            for new in self.covered_by(number):
                track = self.new.review.tracks[new]
                if track.card is not None:
                    votes[track.card] = votes.get(track.card, 0) + len(track.boxes)
        return max(votes, key=lambda name: votes[name]) if votes else None


def _at_same_place(track: PlanTrack, old: PlanTrack, frame: int) -> bool:
    ours = track.boxes[frame - track.first : frame - track.first + 1, 1:]
    theirs = old.boxes[frame - old.first : frame - old.first + 1, 1:]
    return bool(row_iou(ours, theirs)[0] >= SAME_PLACE)
