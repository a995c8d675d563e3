"""The people of a report: the tracks of each, and the decision about them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from app.edits import Review, Target
from app.plan import Plan, PlanTrack

Sort: TypeAlias = Literal["listed", "not listed", "cannot tell", "everyone", "drawn"]
_ORDER: tuple[Sort, ...] = ("listed", "not listed", "cannot tell", "everyone", "drawn")
_TITLES: dict[Sort, str] = {
    "cannot tell": "Faces that cannot be told",
    "everyone": "All faces",
    "drawn": "Regions drawn by a reviewer",
}
KINDS: dict[Sort, str] = {
    "listed": "listed person",
    "not listed": "person who is not listed",
    "cannot tell": "no face is clear enough to name its person",
    "everyone": "nobody was to be told apart",
    "drawn": "hidden whatever they show",
}
"""The sorts of people in words."""


@dataclass(frozen=True, slots=True)
class Person:
    """The tracks of one card, in the order of the video; or those that belong to nobody."""

    name: str
    sort: Sort
    tracks: tuple[PlanTrack, ...]
    note: str | None

    @property
    def decision(self) -> str:
        """The decision about all tracks in words."""
        return decision_of(self.tracks)


def decision_of(tracks: Iterable[PlanTrack]) -> str:
    """Return the decision about some tracks in words."""
    found = {track.decision for track in tracks}
    if len(found) == 2:
        return "partly hidden"
    return "hidden" if found == {"blur"} else "visible"


def people_of(review: Review, plan: Plan) -> list[Person]:
    """Return everybody who appears: listed people first, then in the order of their appearance.

    ``plan`` is that of the review with its edits.
    """
    groups: dict[tuple[Sort, str], list[PlanTrack]] = {}
    has_cards = any(track.card for track in plan.tracks)
    for track in sorted(plan.tracks, key=lambda one: (one.first, one.id)):
        groups.setdefault(_group(track, plan, has_cards=has_cards), []).append(track)
    return [
        Person(name, sort, tuple(tracks), _note(review, sort, name))
        for (sort, name), tracks in sorted(groups.items(), key=lambda one: _ORDER.index(one[0][0]))
    ]


def _group(track: PlanTrack, plan: Plan, *, has_cards: bool) -> tuple[Sort, str]:
    name = track.card if has_cards else track.person
    if track.drawn:
        return "drawn", _TITLES["drawn"]
    if name is not None:
        listed = name in {person.name for person in plan.people}
        return ("listed" if listed else "not listed"), name
    sort: Sort = "cannot tell" if has_cards or plan.people else "everyone"
    return sort, _TITLES[sort]


def _note(review: Review, sort: Sort, name: str) -> str | None:
    if sort not in {"listed", "not listed"}:
        return None
    return review.notes.get(Target("card", name))


def note_of(review: Review, track: PlanTrack) -> str | None:
    """Return the note on a track or region."""
    return review.notes.get(Target("region" if track.drawn else "track", track.id))


def hidden_and_visible(people: Sequence[Person]) -> tuple[int, int, int]:
    """Return how many named people are hidden, partly hidden, and visible."""
    named = [one.decision for one in people if one.sort in {"listed", "not listed"}]
    return named.count("hidden"), named.count("partly hidden"), named.count("visible")
