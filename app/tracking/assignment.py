"""The cheapest one-to-one assignment, of which most are decided by what is possible at all."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Pair = tuple[int, int]
"""Row and column."""


def assign(cost: NDArray[Any], limit: float) -> list[Pair]:
    """Pairs (row, column) of the cheapest assignment whose cost is below ``limit``, by row.

    ``cost`` is (N, M); pairs at ``limit`` and above are impossible, and must cost so much that no
    assignment is cheaper by one of them. Optimal (scipy's ``linear_sum_assignment``).

    >>> assign(np.array([[0.1, 9.0], [0.2, 9.0]]), 9.0)
    [(0, 0)]
    """
    possible = cost < limit
    if (possible.sum(axis=0) <= 1).all() and (possible.sum(axis=1) <= 1).all():
        return [(int(i), int(j)) for i, j in np.argwhere(possible)]
    # loading it takes as long as starting all the rest; faces that keep apart do not need it
    from scipy.optimize import linear_sum_assignment  # noqa: PLC0415

    rows, columns = linear_sum_assignment(cost)
    pairs = zip(rows.tolist(), columns.tolist(), strict=True)
    return [(i, j) for i, j in pairs if possible[i, j]]


def assign_some(costs: Mapping[Pair, float], limit: float) -> list[Pair]:
    """The same where few pairs are possible: those of ``costs`` whose cost is below ``limit``.

    A row that stays alone costs ``limit``: one good pair may be worth more than two bad ones. The
    time grows with the number of pairs, not with that of rows times columns (scipy's
    ``min_weight_full_bipartite_matching``, in which each row may also stay alone).

    >>> assign_some({(0, 7): 0.3, (5, 7): 0.2, (9, 1): 0.5}, 1e6)
    [(5, 7), (9, 1)]
    """
    pairs = sorted(pair for pair, cost in costs.items() if cost < limit)
    rows, row = np.unique([i for i, _ in pairs], return_inverse=True)
    columns, column = np.unique([j for _, j in pairs], return_inverse=True)
    if len(rows) == len(columns) == len(pairs):
        return pairs
    from scipy.sparse import coo_array  # noqa: PLC0415 - see ``assign``
    from scipy.sparse.csgraph import min_weight_full_bipartite_matching  # noqa: PLC0415

    weight = np.array([costs[pair] for pair in pairs])
    alone = np.arange(len(rows))
    # a weight of nothing would be no edge
    weights = np.concatenate([weight, np.full(len(rows), limit)]) - weight.min() + 1
    places = np.concatenate([row, alone]), np.concatenate([column, len(columns) + alone])
    shape = (len(rows), len(columns) + len(rows))
    graph = coo_array((weights, places), shape).tocsr()
    chosen = zip(*min_weight_full_bipartite_matching(graph), strict=True)
    return [(int(rows[i]), int(columns[j])) for i, j in chosen if j < len(columns)]
