"""Optimal one-to-one assignment: exact for a handful of faces, by scipy for more.

Importing scipy takes 0.3 s of CPU and 50 MB, more than all assignments of most videos together.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Pair = tuple[int, int]
"""Row and column."""
_FEW = 5
"""Rows and columns of a group up to which all assignments are tried: at most half a millisecond."""


def assign(cost: NDArray[Any], limit: float) -> list[Pair]:
    """Return the pairs (row, column) of the cheapest assignment that cost less than ``limit``.

    ``cost`` is (N, M). Pairs at or above ``limit`` are impossible; they must cost so much that no
    optimal assignment prefers one. Pairs are sorted by row. Optimal (for many pairs by scipy's
    ``linear_sum_assignment``).

    >>> assign(np.array([[0.1, 9.0], [0.2, 9.0]]), 9.0)
    [(0, 0)]
    """
    possible = cost < limit
    found = np.argwhere(possible).tolist()
    few = _assign_few({(i, j): float(cost[i, j]) for i, j in found}, limit)
    if few is not None:
        return few
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(cost)
    pairs = zip(rows.tolist(), columns.tolist(), strict=True)
    return [(i, j) for i, j in pairs if possible[i, j]]


def assign_sparse(costs: Mapping[Pair, float], limit: float) -> list[Pair]:
    """Return the cheapest assignment when few pairs are possible: those in ``costs``.

    Pairs that cost ``limit`` or more are impossible, and an unmatched row costs ``limit``, so that
    one good pair can be better than two bad ones. Time grows with the number of pairs, not with
    rows times columns (for many pairs scipy's ``min_weight_full_bipartite_matching``, with an extra
    column per row that stands for "unmatched").

    >>> assign_sparse({(0, 7): 0.3, (5, 7): 0.2, (9, 1): 0.5}, 1e6)
    [(5, 7), (9, 1)]
    """
    pairs = sorted(pair for pair, cost in costs.items() if cost < limit)
    few = _assign_few({pair: costs[pair] for pair in pairs}, limit)
    if few is not None:
        return few
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import min_weight_full_bipartite_matching

    rows, row = np.unique([i for i, _ in pairs], return_inverse=True)
    columns, column = np.unique([j for _, j in pairs], return_inverse=True)
    weight = np.array([costs[pair] for pair in pairs])
    unmatched = np.arange(len(rows))
    # Sparse graphs treat a weight of 0 as a missing edge, so shift all weights to 1 and above.
    weights = np.concatenate([weight, np.full(len(rows), limit)]) - weight.min() + 1
    edges = np.concatenate([row, unmatched]), np.concatenate([column, len(columns) + unmatched])
    shape = (len(rows), len(columns) + len(rows))
    graph = coo_array((weights, edges), shape).tocsr()
    chosen = zip(*min_weight_full_bipartite_matching(graph), strict=True)
    return [(int(rows[i]), int(columns[j])) for i, j in chosen if j < len(columns)]


def _assign_few(costs: Mapping[Pair, float], limit: float) -> list[Pair] | None:
    """Return the cheapest assignment, sorted; None if too many pairs compete with each other."""
    groups = list(_competing(costs))
    if any(max(map(len, _sides(group))) > _FEW for group in groups):
        return None
    return sorted(pair for group in groups for pair in _cheapest(group, costs, limit))


def _sides(pairs: list[Pair]) -> tuple[set[int], set[int]]:
    return {i for i, _ in pairs}, {j for _, j in pairs}


def _competing(pairs: Mapping[Pair, float]) -> Iterator[list[Pair]]:
    """Yield groups of pairs; pairs of different groups share neither a row nor a column."""
    by_row: dict[int, list[Pair]] = {}
    by_column: dict[int, list[Pair]] = {}
    for pair in pairs:
        by_row.setdefault(pair[0], []).append(pair)
        by_column.setdefault(pair[1], []).append(pair)
    left = dict.fromkeys(pairs)
    while left:
        first = next(iter(left))
        del left[first]
        group = [first]
        for i, j in group:  # grows meanwhile
            reached = [pair for pair in (*by_row[i], *by_column[j]) if pair in left]
            for pair in reached:
                left.pop(pair, None)
            group += dict.fromkeys(reached)
        yield group


def _cheapest(group: list[Pair], costs: Mapping[Pair, float], limit: float) -> tuple[Pair, ...]:
    """Return the cheapest assignment of one group, in which an unmatched row costs ``limit``.

    Row by row, the cheapest way to each set of taken columns is kept.
    """
    best: dict[frozenset[int], tuple[float, tuple[Pair, ...]]] = {frozenset(): (0.0, ())}
    for row in sorted({i for i, _ in group}):
        columns = [j for i, j in group if i == row]
        ways = {taken: (total + limit, pairs) for taken, (total, pairs) in best.items()}
        for taken, (total, pairs) in best.items():
            for column in columns:
                if column not in taken:
                    way = total + costs[row, column], (*pairs, (row, column))
                    key = taken | {column}
                    ways[key] = min(way, ways.get(key, way))
        best = ways
    return min(best.values())[1]
