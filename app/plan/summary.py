"""The summary of a plan: the people who are hidden, from when to when, and the doubts."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from app.plan.records import Plan, PlanTrack

_UNNAMED = "faces that cannot be told"
_EVERYONE = "faces"
"""The name of faces that no gallery was compared with."""


@dataclass(frozen=True, slots=True)
class Appearance:
    """All tracks of one person with the same decision.

    ``person`` is the name of a listed person, ``Person N`` for one who is not listed, or None for
    faces that cannot be told. ``begin`` and ``end`` are in seconds after the first frame.
    ``frames`` counts those with at least one of the tracks.
    """

    person: str | None
    hidden: bool
    tracks: int
    frames: int
    begin: float
    end: float


@dataclass(frozen=True, slots=True)
class Summary:
    """The facts of a plan for the person who publishes the result.

    ``uncertain`` counts the tracks to review first, ``cannot_tell`` those of them in which nobody
    can be recognised, and ``not_found`` lists people of the gallery that no track shows.
    """

    frames: int
    tracks: int
    hidden: int
    uncertain: int
    cannot_tell: int
    appearances: tuple[Appearance, ...]
    not_found: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return asdict(self)

    def lines(self) -> Iterator[str]:
        """Yield the summary as sentences without a full stop."""
        for one in self.appearances:
            name = one.person or (_UNNAMED if self._has_people else _EVERYONE)
            times = f", {clock(one.begin)} to {clock(one.end)}" if self.frames > 1 else ""
            done = "hidden" if one.hidden else "visible"
            yield f"{done}: {name}, {_count(one.tracks, 'track')}{times}"
        sure = self.uncertain - self.cannot_tell
        if sure:
            yield f"uncertain: {_count(sure, 'track')} to review"
        if self.cannot_tell:
            where = _count(self.cannot_tell, "track")
            yield f"cannot tell: {where} in which nobody can be recognised"

    @property
    def _has_people(self) -> bool:
        return bool(self.not_found) or any(one.person for one in self.appearances)


def summarise(plan: Plan) -> Summary:
    """Summarise a plan, also one that was edited."""
    counts = plan.counts
    groups: dict[tuple[str | None, bool], list[PlanTrack]] = {}
    has_cards = any(track.card for track in plan.tracks)
    for track in plan.tracks:
        name = track.card if has_cards else track.person
        groups.setdefault((name, track.decision == "blur"), []).append(track)
    found = [_appearance(plan, *key, tracks) for key, tracks in groups.items()]
    # Hidden before visible ones, named before unnamed ones.
    found.sort(key=lambda one: (not one.hidden, one.person is None, one.person or ""))
    return Summary(
        frames=counts["frames"],
        tracks=counts["tracks"],
        hidden=counts["hidden"],
        uncertain=counts["uncertain"],
        cannot_tell=counts["unclear"],
        appearances=tuple(found),
        not_found=plan.not_found,
    )


def _appearance(
    plan: Plan, person: str | None, hidden: bool, tracks: Sequence[PlanTrack]
) -> Appearance:
    times = [times_of(track, plan) for track in tracks]
    return Appearance(
        person,
        hidden,
        len(tracks),
        _frames_with(tracks),
        min(begin for begin, _ in times),
        max(end for _, end in times),
    )


def times_of(track: PlanTrack, plan: Plan) -> tuple[float, float]:
    """Return the times of a track; without their own, as if all frames were shown equally long."""
    if track.times is not None:
        return track.times
    seconds = plan.source.duration / plan.source.frames
    return round(track.first * seconds, 3), round((track.last + 1) * seconds, 3)


def _frames_with(tracks: Sequence[PlanTrack]) -> int:
    """Return the number of frames that at least one of the tracks covers."""
    count, end = 0, -1
    for track in sorted(tracks, key=lambda one: one.first):
        count += max(0, track.last - max(track.first - 1, end))
        end = max(end, track.last)
    return count


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def clock(seconds: float) -> str:
    """Format a time in a video.

    >>> clock(3.04), clock(75.96), clock(3725)
    ('0:03.0', '1:16.0', '1:02:05.0')
    """
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    text = f"{rest // 10:02}.{rest % 10}"
    return f"{hours}:{minutes:02}:{text}" if hours else f"{minutes}:{text}"
