"""Join the tracklets of one face in a shot that was lost for a moment."""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from app.tracking.association import FORBIDDEN, assign_sparse, pair_costs
from app.tracking.observations import Tracklet

Affinity = Callable[[Tracklet, Tracklet], float | None]
"""How much two tracklets look like one person: above 0 it is likely, below 0 unlikely. None if
unknown."""

END_COST = 3.0
"""Cost of a tracklet without continuation, in the units of ``pair_costs``. A join above this cost
links faces that are far apart and of different sizes. Two bad joins cost more than one good join
and a tracklet that stays alone."""
MAX_GAP_SECONDS = 1.0
"""Longest loss that is bridged. In the gap, the track moves from the last box to the next one, and
hides the area in between."""


def _join_cost(early: Tracklet, late: Tracklet, affinity: Affinity) -> float:
    gap = late.first - early.last
    predicted = early.predict(late.first)[None]
    start = late.observations[0].box[None]
    end = early.observations[-1].box[None]
    costs = (
        pair_costs(predicted, start, gap),
        pair_costs(end, start, gap),
        _constant_speed_cost(early, late, gap),
    )
    cost = min(float(one[0, 0]) for one in costs)
    if cost >= FORBIDDEN:
        return FORBIDDEN
    score = affinity(early, late)
    if score is None:
        return cost
    return FORBIDDEN if score < -1 else cost - score


def _constant_speed_cost(early: Tracklet, late: Tracklet, gap: int) -> NDArray[np.float32]:
    """Return the cost (1, 1) of a face at constant speed: motion blur hides fast faces.

    Each tracklet must lie on the extrapolated path of the other, as one extrapolation over such a
    distance is unreliable.
    """
    ahead, back = early.extrapolate(late.first), late.extrapolate(early.last)
    if ahead is None or back is None:
        return np.full((1, 1), FORBIDDEN, np.float32)
    start, end = late.observations[0].box[None], early.observations[-1].box[None]
    return np.maximum(pair_costs(ahead[None], start, gap), pair_costs(back[None], end, gap))


def stitch(tracklets: Sequence[Tracklet], max_gap: int, affinity: Affinity) -> list[Tracklet]:
    """Join tracklets of one shot where one ends and another continues it.

    A continuation begins at most ``max_gap`` frames later, within reach, and is chosen by an
    optimal assignment of ends to beginnings. An ``affinity`` below -1 forbids a join.
    """
    candidates = _candidates(tracklets, max_gap)
    cost = {(i, j): _join_cost(tracklets[i], tracklets[j], affinity) for i, j in candidates}
    next_of = dict(assign_sparse(cost, END_COST))
    heads = set(range(len(tracklets))) - set(next_of.values())
    return [_joined(tracklets, head, next_of) for head in sorted(heads)]


def _candidates(tracklets: Sequence[Tracklet], max_gap: int) -> Iterator[tuple[int, int]]:
    """Yield index pairs where the second begins 1 to ``max_gap`` frames after the first ends."""
    order = sorted(range(len(tracklets)), key=lambda number: tracklets[number].first)
    firsts = [tracklets[number].first for number in order]
    for i, early in enumerate(tracklets):
        after = bisect_right(firsts, early.last), bisect_right(firsts, early.last + max_gap)
        yield from ((i, j) for j in order[slice(*after)])


def _joined(tracklets: Sequence[Tracklet], head: int, next_of: dict[int, int]) -> Tracklet:
    observations = list(tracklets[head].observations)
    while (head := next_of.get(head, -1)) >= 0:
        observations += tracklets[head].observations
    return Tracklet(observations)
