"""The doubts that a reviewer has to settle before a result may be published, in their order."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np

from app.edits.records import VIDEO, Target
from app.edits.review import Review
from app.geometry import iou
from app.plan.records import Plan, PlanTrack

Sort: TypeAlias = Literal["unsure", "cannot tell", "lost", "not found", "hides nobody"]
ORDER: Final[tuple[Sort, ...]] = ("unsure", "cannot tell", "lost", "not found", "hides nobody")
"""The order of the queue: first the doubts that one look settles."""
_SAME_PLACE = 0.1
"""IoU from which a track that begins later continues another one. Small: a false continuation is
less likely than a face that moved while nobody saw it."""
_SECONDS = 1.0
"""Time after the end of a track in which a continuation may begin."""
_EDGE = 0.02
"""Share of a side of the frame: a face that ends so close to the border has left the picture."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """One thing to settle.

    ``first`` and ``last`` are the frames to look at, both inclusive. ``weight`` is the share of the
    picture times the frames, and orders doubts of one sort.
    """

    sort: Sort
    target: Target
    first: int
    last: int
    weight: float
    reason: str
    settled: bool


def doubts_of(review: Review) -> list[Doubt]:
    """Return all doubts, also settled ones, in the order of the queue."""
    found = [*_about_tracks(review), *_lost(review), *_not_found(review), *_nobody(review)]
    return sorted(
        found, key=lambda one: (ORDER.index(one.sort), -one.weight, one.first, str(one.target))
    )


def open_doubts(review: Review) -> list[Doubt]:
    """Return the doubts that are not settled; without any the review is done."""
    return [doubt for doubt in doubts_of(review) if not doubt.settled]


def _about_tracks(review: Review) -> Iterator[Doubt]:
    for track in review.tracks.values():
        if track.uncertain:
            sort: Sort = "unsure" if track.unclear is None else "cannot tell"
            yield _doubt(review, sort, Target("track", track.id), track, track.reason)


def _doubt(review: Review, sort: Sort, target: Target, track: PlanTrack, reason: str) -> Doubt:
    source = review.plan.source
    sides = track.boxes[:, 3:] - track.boxes[:, 1:3]
    weight = float(sides.prod(axis=1).sum() / (source.width * source.height))
    settled = target in review.confirmed
    return Doubt(sort, target, track.first, track.last, weight, reason, settled)


def _lost(review: Review) -> Iterator[Doubt]:
    """Yield hidden tracks that end inside a shot and the picture, where nothing continues them."""
    by_shot: dict[int, list[PlanTrack]] = {}
    for track in review.tracks.values():
        by_shot.setdefault(track.shot, []).append(track)
    drawn = [one for one in review.to_plan().tracks if one.drawn] if review.regions else []
    for track in review.tracks.values():
        if track.decision == "blur" and _ends_early(track, review.plan):
            covers = [*by_shot[track.shot], *drawn]
            if not _is_continued(track, covers, review.plan):
                reason = "the face was lost before the end of the shot"
                yield _doubt(review, "lost", Target("lost", track.id), track, reason)


def _ends_early(track: PlanTrack, plan: Plan) -> bool:
    """Return whether a track ends before its shot does, and not at the border of the picture."""
    if plan.source.frames == 1 or track.last + 1 >= plan.shots[track.shot][1]:
        return False
    x1, y1, x2, y2 = track.boxes[-1, 1:]
    width, height = plan.source.width, plan.source.height
    return bool(
        x1 > _EDGE * width
        and y1 > _EDGE * height
        and x2 < (1 - _EDGE) * width
        and y2 < (1 - _EDGE) * height
    )


def _is_continued(track: PlanTrack, others: Sequence[PlanTrack], plan: Plan) -> bool:
    """Return whether another track goes on at the place where this one ends."""
    rate = plan.source.frames / max(plan.source.duration, 1e-3)
    reach = track.last + max(1, round(_SECONDS * rate))
    end = track.boxes[-1:, 1:]
    for other in others:
        if other.id != track.id and other.first <= reach and other.last > track.last:
            frame = max(other.first, track.last)
            place = other.boxes[frame - other.first, 1:]
            if float(iou(end, np.asarray(place)[None])[0, 0]) >= _SAME_PLACE:
                return True
    return False


def _not_found(review: Review) -> Iterator[Doubt]:
    last = review.plan.source.frames - 1
    shown = {track.card for track in review.tracks.values()}
    for name in review.plan.not_found:
        if name not in shown:
            target = Target("listed", name)
            reason = f"no track shows {name}"
            yield Doubt("not found", target, 0, last, 0.0, reason, target in review.confirmed)


def _nobody(review: Review) -> Iterator[Doubt]:
    """Yield one doubt if the result hides nobody."""
    hides = review.regions or any(t.decision == "blur" for t in review.tracks.values())
    if not hides:
        last = review.plan.source.frames - 1
        reason = "the result hides nobody"
        yield Doubt("hides nobody", VIDEO, 0, last, 0.0, reason, VIDEO in review.confirmed)
