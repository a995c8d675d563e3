"""Take over decisions to keep: only for faces, and in frames, that the reviewer has seen."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from app.edits.records import Target
from app.edits.transfer.overlap import ALIKE, COVERED, Stretch, best_of, stretches
from app.edits.transfer.verdicts import Verdict

if TYPE_CHECKING:
    from app.edits.transfer.takeover import Takeover

_Verdicts: TypeAlias = Mapping[int, Verdict]
_NO_FACE = "no such face in the new plan"
_ONLY_PARTLY = "no track of the new plan shows only this face"


def take_over_keeping(takeover: "Takeover") -> None:
    """Keep the new tracks whose faces were seen and kept, and list the decisions without one."""
    verdicts = takeover.decided.verdicts
    wanted = {number: one for number, one in verdicts.items() if one.decision == "keep"}
    done: set[int] = set()
    reasons: dict[int, str] = {}
    for number in tuple(takeover.matches):
        stretch, olds = _seen(takeover, number, wanted)
        if stretch is None:
            continue
        if reason := _objection(takeover, number, {old: wanted[old] for old in olds}):
            reasons |= dict.fromkeys(olds, reason)
        elif _keep(takeover, number, stretch, [wanted[old] for old in olds]):
            done.update(olds)
    for number, verdict in sorted(wanted.items()):
        if number not in done:
            there = any(number in old for old in takeover.matches.values())
            reason = reasons.get(number, _ONLY_PARTLY if there else _NO_FACE)
            takeover.leave(verdict.edit, verdict.words(number), reason)


def _seen(takeover: "Takeover", number: int, wanted: _Verdicts) -> tuple[Stretch | None, list[int]]:
    """Return the frames of a new track that show faces to keep, and the old tracks of these.

    In each of them no other old track is at a better place: a track that has joined two people
    also shows one who was not meant. None unless they are nearly the whole track.
    """
    track, found = takeover.new.review.tracks[number], takeover.matches[number]
    # Of two equally good tracks the one counts that nobody wants to keep.
    best = best_of(found, sorted(found, key=lambda old: old in wanted))
    flags = np.isin(best, list(wanted))
    longest = max(stretches(flags, track.first), key=len, default=None)
    if longest is None or len(longest) < COVERED * len(track.boxes):
        return None, []
    inside = slice(longest.first - track.first, longest.last + 1 - track.first)
    olds = sorted(set(best[inside].tolist()))
    likeness = np.max([found[old][inside] for old in olds], axis=0)
    return (longest, olds) if likeness.mean() >= ALIKE else (None, [])


def _objection(takeover: "Takeover", number: int, verdicts: _Verdicts) -> str:
    """Return the reason why a new track must not be kept, or nothing."""
    track = takeover.new.review.tracks[number]
    everything = takeover.decided.verdicts
    near = [everything[old] for old in takeover.matches[number] if old in everything]
    if any(verdict.decision == "blur" for verdict in near):
        return f"the new track {number} meets a face that was hidden"
    if track.decision == "keep":
        return ""
    if any(verdict.confirmed for verdict in verdicts.values()):
        return f"the new analysis hides it as track {number}: {track.reason}"
    before = {one.id: one.decision for one in takeover.old.plan.tracks}
    for old, verdict in verdicts.items():
        # Nobody has looked at this track: the decision was about a person.
        if verdict.of_card and before[takeover.decided.root(old)] == "keep":
            return f"the new analysis hides it as track {number}: {track.reason}"
    return ""


def _keep(takeover: "Takeover", number: int, stretch: Stretch, verdicts: Sequence[Verdict]) -> bool:
    """Keep the seen frames of a track; the others become tracks with their own decision."""
    review, edit = takeover.new.review, verdicts[0].edit
    track = review.tracks[number]
    if track.decision == "keep" and not track.uncertain:
        return True
    if stretch.first > track.first:
        late, cut = review.unused, {"frame": stretch.first}
        if not takeover.make("split", Target("track", number), cut, edit):
            return False
        number = late
    if stretch.last < track.last:
        cut = {"frame": stretch.last + 1}
        if not takeover.make("split", Target("track", number), cut, edit):
            return False
    if all(verdict.confirmed for verdict in verdicts):
        return takeover.make("confirm", Target("track", number), True, edit)
    if not takeover.make("decide", Target("track", number), "keep", edit):
        return False
    if not all(verdict.settled for verdict in verdicts):
        takeover.reopen(number, edit)
    return True
