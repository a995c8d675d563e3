"""Take over decisions to hide: for tracks at the same place, and for places without a track."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from app.edits.records import MAX_KEYS, Edit, Target
from app.edits.transfer.overlap import SAME_PLACE, Stretch, covers, matches, stretches
from app.edits.transfer.verdicts import Verdict
from app.plan.records import DECIMALS, PlanTrack

if TYPE_CHECKING:
    from app.edits.transfer.takeover import Takeover


def take_over_hiding(takeover: "Takeover") -> None:
    """Hide what was hidden by a decision: tracks, further tracks of a person, and lost faces.

    This is the last of the decisions, so that it counts.
    """
    verdicts = takeover.decided.verdicts
    hidden = [(number, one) for number, one in sorted(verdicts.items()) if one.decision == "blur"]
    for number, verdict in hidden:
        for new in [new for new, old in takeover.matches.items() if number in old]:
            looked_at = verdict.settled and covers(takeover.matches[new][number])
            _hide(takeover, new, verdict.edit, settled=looked_at)
        if verdict.of_card:
            _hide_person(takeover, number, verdict.edit)
    for number, verdict in hidden:
        track = takeover.old.tracks[number]
        for stretch in tuple(_uncovered(takeover, track)):
            _draw(takeover, track, stretch, verdict)


def _hide(takeover: "Takeover", number: int, edit: Edit, *, settled: bool) -> None:
    """Hide a new track. Its doubt stays open unless the reviewer has looked at this face."""
    track = takeover.new.review.tracks[number]
    if track.decision == "blur" and not (track.uncertain and settled):
        return
    takeover.make("decide", Target("track", number), "blur", edit)
    if not settled:
        takeover.reopen(number, edit)


def _hide_person(takeover: "Takeover", number: int, edit: Edit) -> None:
    """Hide the new tracks of a hidden person that the older plan did not have at all."""
    cards = {track.id: track.card for track in takeover.new.review.plan.tracks}
    names = {cards.get(new) for new in takeover.covered_by(number)} - {None}
    for new, old in takeover.matches.items():
        if not old and cards.get(new) in names:
            _hide(takeover, new, edit, settled=False)


def _uncovered(takeover: "Takeover", track: PlanTrack) -> Iterator[Stretch]:
    """Yield the frames of an old track in which no new track hides its place."""
    hidden = [one for one in takeover.new.review.tracks.values() if one.decision == "blur"]
    flags = np.ones(len(track.boxes), bool)
    for values in matches(track, hidden).values():
        flags &= values < SAME_PLACE
    for stretch in stretches(flags, track.first):
        for first in range(stretch.first, stretch.last + 1, MAX_KEYS):
            yield Stretch(first, min(first + MAX_KEYS - 1, stretch.last))


def _draw(takeover: "Takeover", track: PlanTrack, stretch: Stretch, verdict: Verdict) -> None:
    """Hide the place of an old track in some frames by a drawn region."""
    rows = track.boxes[stretch.first - track.first : stretch.last + 1 - track.first]
    keys = [[int(row[0]), *np.round(row[1:].astype(float), DECIMALS).tolist()] for row in rows]
    value = {"first": stretch.first, "last": stretch.last, "keys": keys}
    target = Target("region", takeover.new.review.unused)
    if takeover.make("region", target, value, verdict.edit):
        reason = f"no such face in the new plan in {stretch}; region {target.name} hides it there"
        takeover.leave(verdict.edit, verdict.words(track.id), reason)
