"""Plans and effects that leak on purpose, in known frames."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from app.plan import Plan, PlanTrack
from app.types import Boxes, Effect, Plane


def with_gap(plan: Plan, track: int, first: int, count: int) -> Plan:
    """Return a plan in which one track (by id) does not have ``count`` frames from ``first`` on."""
    used = max(one.id for one in plan.tracks)
    tracks: list[PlanTrack] = []
    for one in plan.tracks:
        tracks += [one] if one.id != track else _parts(one, first, count, used + 1)
    return replace(plan, tracks=tuple(tracks))


def exposed(plan: Plan, frame: int) -> Plan:
    """Return a plan that hides nothing in one frame: its result has the source's frame there."""
    for one in plan.tracks:
        if one.first <= frame <= one.last:
            plan = with_gap(plan, one.id, frame, 1)
    return plan


def shifted(plan: Plan, track: int, first: int, count: int, share: float = 0.5) -> Plan:
    """Return a plan in which boxes of one track lie ``share`` of their width to the right."""
    tracks = [_moved(one, first, count, share) if one.id == track else one for one in plan.tracks]
    return replace(plan, tracks=tuple(tracks))


def _parts(track: PlanTrack, first: int, count: int, number: int) -> Iterator[PlanTrack]:
    before, after = first - track.first, first + count - track.first
    if before > 0:
        yield replace(track, last=first - 1, boxes=track.boxes[:before])
    if after < len(track.boxes):
        yield replace(track, id=number, first=first + count, boxes=track.boxes[after:])


def _moved(track: PlanTrack, first: int, count: int, share: float) -> PlanTrack:
    boxes = track.boxes.copy()
    part = boxes[first - track.first : first - track.first + count]
    part[:, [1, 3]] += share * (part[:, 3:4] - part[:, 1:2])
    return replace(track, boxes=boxes)


Hide = Callable[..., None]
"""Hides boxes in planes: the method of an effect."""


def at_half_strength(hide: Hide) -> Hide:
    """Return a method that draws what ``hide`` draws, half transparent."""

    def hide_half(*arguments: Any) -> None:
        planes: Sequence[Plane] = arguments[-2]
        before = [plane.pixels.copy() for plane in planes]
        hide(*arguments)
        for plane, old in zip(planes, before, strict=True):
            plane.pixels[...] = plane.pixels // 2 + old // 2

    return hide_half


@dataclass(frozen=True, slots=True)
class HalfTransparent:
    """Draws another effect at half of its strength."""

    effect: Effect

    def hide(self, planes: Sequence[Plane], boxes: Boxes) -> None:
        """Hide the boxes, half transparent."""
        at_half_strength(self.effect.hide)(planes, boxes)
