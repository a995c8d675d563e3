"""The cheapest one-to-one assignment, of which most are decided by what is possible at all."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def assign(cost: NDArray[Any], limit: float) -> list[tuple[int, int]]:
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
