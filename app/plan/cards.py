"""Decide about whole people of a plan, by the names of their cards."""

from collections.abc import Collection
from dataclasses import replace

from app.errors import UsageError
from app.plan.records import Decision, Plan, PlanTrack

REASON = "decided by the user"


def cards_of(plan: Plan) -> tuple[str, ...]:
    """Return the names of the people who appear in a plan, in the order of their appearance."""
    tracks = sorted(plan.tracks, key=lambda track: (track.first, track.id))
    return tuple(dict.fromkeys(track.card for track in tracks if track.card is not None))


def decided(plan: Plan, *, hide: Collection[str] = (), keep: Collection[str] = ()) -> Plan:
    """Return the plan with all tracks of some people hidden or kept.

    A kept person leaves doubts open: an uncertain track may show somebody else.

    Raises:
        UsageError: a name is not that of a card, or is in both lists.
    """
    known = cards_of(plan)
    for name in (*hide, *keep):
        if name not in known:
            there = ", ".join(known) or "nobody: everyone was hidden, or no face is clear enough"
            raise UsageError(f"the plan does not show {name!r}; it shows {there}")
        if name in hide and name in keep:
            raise UsageError(f"{name!r} cannot be hidden and kept")
    tracks = tuple(_decide(_decide(track, hide, "blur"), keep, "keep") for track in plan.tracks)
    return replace(plan, tracks=tracks)


def _decide(track: PlanTrack, names: Collection[str], decision: Decision) -> PlanTrack:
    if track.card not in names:
        return track
    uncertain = track.uncertain and decision == "keep"
    return replace(track, decision=decision, uncertain=uncertain, reason=REASON)
