"""Join trails of one face inside a shot that a short loss of sight has broken."""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from app.tracking.assignment import assign_some
from app.tracking.association import FORBIDDEN, costs
from app.tracking.observations import Trail

Likeness = Callable[[Trail, Trail], float | None]
"""How much two trails look like one person, in units where 0 is undecided, above is for it and
below against it; None when it is not known."""

ALONE = 3.0
"""Cost of a trail that goes on nowhere, in the units of ``costs``. Joins that cost more are between
faces that are far from each other and of different sizes; two bad joins cost more than a good one
and a trail that stays alone."""
PATIENCE = 1.0
"""Longest loss of sight in seconds that is bridged. The bridge hides the place where the face was
last seen, on the way to where it is seen again."""


def _cost(early: Trail, late: Trail, likeness: Likeness) -> float:
    gap = late.first - early.last
    place = early.predicted(late.first)[None]
    here = late.observations[0].box[None]
    last = early.observations[-1].box[None]
    ways = (costs(place, here, gap), costs(last, here, gap), _coasting(early, late, gap))
    cost = min(float(way[0, 0]) for way in ways)
    if cost >= FORBIDDEN:
        return FORBIDDEN
    alike = likeness(early, late)
    if alike is None:
        return cost
    return FORBIDDEN if alike < -1 else cost - alike


def _coasting(early: Trail, late: Trail, gap: int) -> NDArray[np.float32]:
    """Cost (1, 1) of a face that keeps its speed: what is too smeared to be found moves fast.

    Both must be on the way of the other, as a guess so far from where it was seen is a bold one.
    """
    ahead, back = early.coasting(late.first), late.coasting(early.last)
    if ahead is None or back is None:
        return np.full((1, 1), FORBIDDEN, np.float32)
    here, last = late.observations[0].box[None], early.observations[-1].box[None]
    return np.maximum(costs(ahead[None], here, gap), costs(back[None], last, gap))


def stitch(trails: Sequence[Trail], patience: int, likeness: Likeness) -> list[Trail]:
    """Join trails of one shot where one ends and another goes on.

    At most ``patience`` frames later, at a place that can be reached, by an optimal assignment of
    ends to beginnings. A ``likeness`` below -1 forbids a join.
    """
    cost = {(i, j): _cost(trails[i], trails[j], likeness) for i, j in _apart(trails, patience)}
    following = dict(assign_some(cost, ALONE))
    heads = set(range(len(trails))) - set(following.values())
    return [_joined(trails, head, following) for head in sorted(heads)]


def _apart(trails: Sequence[Trail], patience: int) -> Iterator[tuple[int, int]]:
    """Pairs of trails of which the second begins up to ``patience`` frames after the first."""
    order = sorted(range(len(trails)), key=lambda number: trails[number].first)
    firsts = [trails[number].first for number in order]
    for i, early in enumerate(trails):
        after = bisect_right(firsts, early.last), bisect_right(firsts, early.last + patience)
        yield from ((i, j) for j in order[slice(*after)])


def _joined(trails: Sequence[Trail], head: int, following: dict[int, int]) -> Trail:
    observations = list(trails[head].observations)
    while (head := following.get(head, -1)) >= 0:
        observations += trails[head].observations
    return Trail(observations)
