"""Match faces between two looks, and join the tracklets of a face that was lost for a moment.

Both use pair costs, gates and an optimal one-to-one assignment.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from app.geometry import centres
from app.tracking.assignment import Pair, assign, assign_sparse
from app.tracking.observations import Tracklet
from app.types import Boxes

FORBIDDEN = 1e6
"""Cost of a pair that the gate rejects."""
MIN_REACH = 0.6
REACH_PER_FRAME = 0.12
MAX_REACH = 1.8
"""Gate on the distance between centres, in units of the pair's mean side. It widens with time."""
MAX_SIZE_CHANGE = 0.5
SIZE_CHANGE_PER_FRAME = 0.04
"""Gate on the absolute log ratio of the sides. It widens with time."""

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


def mean_sides(boxes: Boxes) -> NDArray[np.float32]:
    """Return the geometric mean of width and height, (N,) pixels, at least one pixel.

    >>> mean_sides(np.float32([[0, 0, 4, 9], [5, 5, 5, 5]])).tolist()
    [6.0, 1.0]
    """
    extents = np.maximum(boxes[:, 2:] - boxes[:, :2], 1)
    return np.asarray(np.sqrt(extents[:, 0] * extents[:, 1]), np.float32)


def centre_distances(a: Boxes, b: Boxes) -> NDArray[np.float32]:
    """Return the distance between the centres of each pair, (N, M), in units of their mean side.

    >>> centre_distances(np.float32([[0, 0, 10, 10]]), np.float32([[5, 0, 15, 10]])).tolist()
    [[0.5]]
    """
    distances = np.linalg.norm(centres(a)[:, None] - centres(b)[None], axis=2)
    sides = (mean_sides(a)[:, None] + mean_sides(b)[None]) / 2
    return np.asarray(distances / sides, np.float32)


def size_changes(a: Boxes, b: Boxes) -> NDArray[np.float32]:
    """Return the absolute log ratio of the sides of each pair, (N, M).

    >>> size_changes(np.float32([[0, 0, 10, 10]]), np.float32([[0, 0, 20, 20]])).round(2).tolist()
    [[0.6899999976158142]]
    """
    logs = np.log(mean_sides(a))[:, None] - np.log(mean_sides(b))[None]
    return np.asarray(np.abs(logs), np.float32)


def pair_costs(a: Boxes, b: Boxes, gap: int) -> NDArray[np.float32]:
    """Return the cost (N, M) of treating each pair as one face seen ``gap`` frames apart.

    Pairs outside the gate (too far apart, or too different in size, for the time) cost
    ``FORBIDDEN``. The gate is deliberately wide: a wrong pair is rejected by the next look, halfway
    between the two, but a missing pair costs many extra looks.
    """
    distance, change = centre_distances(a, b), size_changes(a, b)
    reach = min(MIN_REACH + REACH_PER_FRAME * gap, MAX_REACH)
    max_change = MAX_SIZE_CHANGE + SIZE_CHANGE_PER_FRAME * gap
    cost = distance + change
    cost[(distance > reach) | (change > max_change)] = FORBIDDEN
    return cost


def associate(a: Boxes, b: Boxes, gap: int) -> list[Pair]:
    """Return the cheapest one-to-one assignment of boxes (N, 4) to boxes (M, 4), as index pairs.

    The result is optimal over all pairs inside the gate (see ``pair_costs``).

    >>> first = np.float32([[0, 0, 10, 10], [20, 0, 30, 10]])
    >>> associate(first, first[::-1], 1)
    [(0, 1), (1, 0)]
    >>> associate(first, np.float32([[90, 90, 99, 99]]), 1)
    []
    """
    return assign(pair_costs(a, b, gap), FORBIDDEN)


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
