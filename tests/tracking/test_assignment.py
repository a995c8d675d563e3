"""Optimal assignment, compared with scipy's dense solver."""

import subprocess
import sys
import tracemalloc

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from app.tracking.assignment import assign, assign_sparse

LIMIT = 1e6
some_costs = arrays(
    np.float64,
    array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=5),
    elements=st.one_of(st.just(LIMIT), st.floats(0, 3)),
)


@given(some_costs)
def test_the_result_is_as_cheap_and_as_large_as_scipys(cost: NDArray[np.float64]) -> None:
    pairs = assign(cost, LIMIT)
    rows, columns = linear_sum_assignment(cost)
    best = cost[rows, columns]
    assert len(pairs) == (best < LIMIT).sum()
    np.testing.assert_allclose(
        sum(cost[pair] for pair in pairs), best[best < LIMIT].sum(), atol=1e-9
    )


@given(some_costs)
def test_pairs_are_one_to_one_and_below_the_limit(cost: NDArray[np.float64]) -> None:
    pairs = assign(cost, LIMIT)
    assert all(cost[pair] < LIMIT for pair in pairs)
    assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)
    assert pairs == sorted(pairs)


def test_importing_the_command_line_does_not_import_scipy() -> None:
    """Importing scipy takes as long as the rest of the start-up."""
    code = "import sys, app.cli.commands; sys.exit('scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@given(some_costs)
def test_sparse_and_dense_assignment_agree(
    cost: NDArray[np.float64],
) -> None:
    some = {(int(i), int(j)): float(cost[i, j]) for i, j in np.argwhere(cost < LIMIT)}
    pairs, whole = assign_sparse(some, LIMIT), assign(cost, LIMIT)
    assert len(pairs) == len(whole)
    assert pairs == sorted(pairs)
    np.testing.assert_allclose(
        sum(cost[pair] for pair in pairs), sum(cost[pair] for pair in whole), atol=1e-9
    )


def test_sparse_assignment_of_many_rows_needs_little_memory() -> None:
    """A face that is lost again and again for an hour: all tracklets are connected."""
    number = 5000
    some = {(n, n + step): 1.0 + step for n in range(number) for step in (0, 1, 2)}
    assign_sparse({(0, column): 1.0 for column in range(9)}, LIMIT)  # imports scipy
    tracemalloc.start()
    pairs = assign_sparse(some, LIMIT)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert pairs == [(n, n) for n in range(number)]
    assert peak < number * 2000
