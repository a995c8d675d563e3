"""Which face of one look is which face of another: cost, gate and assignment."""

import numpy as np
from numpy.typing import NDArray

from app.geometry import centres
from app.tracking.assignment import assign
from app.types import Boxes

FORBIDDEN = 1e6
NEAREST_REACH = 0.6
REACH_PER_FRAME = 0.12
FURTHEST_REACH = 1.8
GROWTH = 0.5
GROWTH_PER_FRAME = 0.04


def sides(boxes: Boxes) -> NDArray[np.float32]:
    """Geometric mean of width and height, (N,) pixels, at least one pixel.

    >>> sides(np.float32([[0, 0, 4, 9], [5, 5, 5, 5]])).tolist()
    [6.0, 1.0]
    """
    extents = np.maximum(boxes[:, 2:] - boxes[:, :2], 1)
    return np.asarray(np.sqrt(extents[:, 0] * extents[:, 1]), np.float32)


def distances(a: Boxes, b: Boxes) -> NDArray[np.float32]:
    """Distance of centres of each pair in units of the pair's mean side: (N, M).

    >>> distances(np.float32([[0, 0, 10, 10]]), np.float32([[5, 0, 15, 10]])).tolist()
    [[0.5]]
    """
    apart = np.linalg.norm(centres(a)[:, None] - centres(b)[None], axis=2)
    return np.asarray(apart / ((sides(a)[:, None] + sides(b)[None]) / 2), np.float32)


def growths(a: Boxes, b: Boxes) -> NDArray[np.float32]:
    """How different the sizes of each pair are: absolute log ratio of the sides, (N, M).

    >>> growths(np.float32([[0, 0, 10, 10]]), np.float32([[0, 0, 20, 20]])).round(2).tolist()
    [[0.6899999976158142]]
    """
    return np.asarray(np.abs(np.log(sides(a))[:, None] - np.log(sides(b))[None]), np.float32)


def costs(a: Boxes, b: Boxes, gap: int) -> NDArray[np.float32]:
    """Cost of taking each pair for one face seen ``gap`` frames apart: (N, M).

    A pair beyond the gate (too far, or too different in size, for so short a time) costs
    ``FORBIDDEN``. The gate is wide on purpose: a wrong pair does not survive the look at the
    middle of its interval, a pair that was never formed costs many looks.
    """
    far, grown = distances(a, b), growths(a, b)
    reach = min(NEAREST_REACH + REACH_PER_FRAME * gap, FURTHEST_REACH)
    cost = far + grown
    cost[(far > reach) | (grown > GROWTH + GROWTH_PER_FRAME * gap)] = FORBIDDEN
    return cost


def associate(a: Boxes, b: Boxes, gap: int) -> list[tuple[int, int]]:
    """The cheapest one-to-one assignment of boxes (N, 4) to boxes (M, 4), inside the gate.

    Returns pairs of indices. Optimal over all pairs.

    >>> first = np.float32([[0, 0, 10, 10], [20, 0, 30, 10]])
    >>> associate(first, first[::-1], 1)
    [(0, 1), (1, 0)]
    >>> associate(first, np.float32([[90, 90, 99, 99]]), 1)
    []
    """
    return assign(costs(a, b, gap), FORBIDDEN)
