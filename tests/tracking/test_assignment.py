"""The cheapest assignment, beside scipy's, and what is decided without it."""

import subprocess
import sys

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from app.tracking.assignment import assign

LIMIT = 1e6
some_costs = arrays(
    np.float64,
    array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=5),
    elements=st.one_of(st.just(LIMIT), st.floats(0, 3)),
)


@given(some_costs)
def test_it_costs_what_scipys_costs_and_pairs_as_many(cost: NDArray[np.float64]) -> None:
    pairs = assign(cost, LIMIT)
    rows, columns = linear_sum_assignment(cost)
    best = cost[rows, columns]
    assert len(pairs) == (best < LIMIT).sum()
    np.testing.assert_allclose(
        sum(cost[pair] for pair in pairs), best[best < LIMIT].sum(), atol=1e-9
    )


@given(some_costs)
def test_nobody_is_paired_twice_or_beyond_the_limit(cost: NDArray[np.float64]) -> None:
    pairs = assign(cost, LIMIT)
    assert all(cost[pair] < LIMIT for pair in pairs)
    assert len({i for i, _ in pairs}) == len({j for _, j in pairs}) == len(pairs)
    assert pairs == sorted(pairs)


def test_loading_the_command_line_does_not_load_scipy() -> None:
    """It would take as long as all the rest."""
    code = "import sys, app.cli.commands; sys.exit('scipy' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
