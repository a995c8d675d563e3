"""The state of a review: the tracks of a plan after edits, with drawn regions and notes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from app.edits.records import Region, Target
from app.plan.records import Decision, Plan, PlanTrack

DRAWN = "drawn by a reviewer"


@dataclass(frozen=True, slots=True)
class Review:
    """A plan and what a reviewer has changed in it; each edit makes a new one.

    Attributes:
        plan: the plan as it was analysed.
        tracks: the tracks by number, also those that splits have made.
        regions: the drawn regions by number. Tracks and regions share their numbers.
        notes: the texts of notes.
        confirmed: everything that the reviewer has confirmed or decided.
        unused: the first number that no track and no region ever had.
    """

    plan: Plan
    tracks: Mapping[int, PlanTrack]
    regions: Mapping[int, Region]
    notes: Mapping[Target, str]
    confirmed: frozenset[Target]
    unused: int

    @staticmethod
    def of(plan: Plan) -> "Review":
        """Return the review of a plan before any edit."""
        tracks = {track.id: track for track in plan.tracks}
        nothing: MappingProxyType[Target, str] = MappingProxyType({})
        return Review(plan, tracks, {}, nothing, frozenset(), max(tracks, default=-1) + 1)

    def track(self, number: int) -> PlanTrack:
        """Return a track.

        Raises:
            ValueError: no track has this number.
        """
        try:
            return self.tracks[number]
        except KeyError:
            raise ValueError(f"there is no track {number}") from None

    def of_card(self, name: str) -> list[PlanTrack]:
        """Return the tracks of a card.

        Raises:
            ValueError: there is no such card.
        """
        found = [track for track in self.tracks.values() if track.card == name]
        if not found:
            raise ValueError(f"there is no card {name!r}")
        return found

    def with_tracks(self, tracks: Sequence[PlanTrack]) -> "Review":
        """Return the review with these tracks in the place of those of the same numbers."""
        return replace(self, tracks={**self.tracks, **{track.id: track for track in tracks}})

    def with_confirmed(self, *targets: Target) -> "Review":
        """Return the review with more things confirmed."""
        return replace(self, confirmed=self.confirmed.union(targets))

    def decision_of(self, name: str) -> Decision | None:
        """Return the decision about a card, or None if its tracks differ."""
        decisions = {track.decision for track in self.of_card(name)}
        return decisions.pop() if len(decisions) == 1 else None

    def to_plan(self) -> Plan:
        """Return the plan to render: the tracks as they are now, and the regions as hidden tracks.

        Confirmed tracks are no longer uncertain.
        """
        settled = [self._settled(track) for track in self.tracks.values()]
        drawn = [self._drawn(*item) for item in self.regions.items()]
        tracks = sorted((*settled, *drawn), key=lambda track: track.id)
        return replace(self.plan, tracks=tuple(tracks))

    def _settled(self, track: PlanTrack) -> PlanTrack:
        if not track.uncertain or Target("track", track.id) not in self.confirmed:
            return track
        return replace(track, uncertain=False)

    def _drawn(self, number: int, region: Region) -> PlanTrack:
        shots = self.plan.shots
        shot = next(i for i, (_, end) in enumerate(shots) if region.first < end)
        return PlanTrack(
            id=number,
            shot=shot,
            first=region.first,
            last=region.last,
            person=None,
            similarity=None,
            decision="blur",
            uncertain=False,
            reason=DRAWN,
            boxes=region.rows(),
            drawn=True,
        )
