"""Association of boxes: cost, gate and assignment."""

from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.tracking.association import (
    FORBIDDEN,
    MAX_REACH,
    associate,
    centre_distances,
    pair_costs,
    size_changes,
)
from app.types import Boxes

place = st.tuples(
    st.integers(0, 120), st.integers(0, 120), st.integers(20, 50), st.integers(20, 50)
)


@st.composite
def some_boxes(draw: st.DrawFn, most: int = 4) -> Boxes:
    rows = draw(st.lists(place, max_size=most))
    boxes = [(x, y, x + w, y + h) for x, y, w, h in rows]
    return np.asarray(boxes, np.float32).reshape(-1, 4)


def square(x: float, side: float = 10.0) -> Boxes:
    return np.asarray([[x, 0, x + side, side]], np.float32)


def cheapest(cost: np.ndarray) -> float:
    """The lowest total cost of all one-to-one assignments of the shorter side."""
    wide = np.asarray(cost if cost.shape[0] <= cost.shape[1] else cost.T, np.float64)
    rows = range(len(wide))
    return min(
        float(wide[rows, list(p)].sum()) for p in permutations(range(wide.shape[1]), len(wide))
    )


@given(some_boxes(), some_boxes(), st.integers(1, 12))
def test_no_other_assignment_is_cheaper(a: Boxes, b: Boxes, gap: int) -> None:
    cost = pair_costs(a, b, gap)
    pairs = associate(a, b, gap)
    left_alone = min(len(a), len(b)) - len(pairs)
    total = sum(float(cost[i, j]) for i, j in pairs) + left_alone * FORBIDDEN
    assert total == pytest.approx(cheapest(cost), rel=1e-6, abs=1e-4)


@given(some_boxes(), some_boxes(), st.integers(1, 12))
def test_pairs_are_one_to_one_and_inside_the_gate(a: Boxes, b: Boxes, gap: int) -> None:
    pairs = associate(a, b, gap)
    for side in zip(*pairs, strict=True):
        assert len(set(side)) == len(side)
    assert all(pair_costs(a, b, gap)[pair] < FORBIDDEN for pair in pairs)


@given(some_boxes(), some_boxes())
def test_the_gate_only_widens_with_time(a: Boxes, b: Boxes) -> None:
    allowed = [pair_costs(a, b, gap) < FORBIDDEN for gap in (1, 2, 5, 12, 40)]
    for shorter, longer in pairwise(allowed):
        assert (longer | ~shorter).all()


@given(some_boxes(), some_boxes())
def test_costs_are_symmetric(a: Boxes, b: Boxes) -> None:
    np.testing.assert_allclose(pair_costs(a, b, 3), pair_costs(b, a, 3).T, rtol=1e-5)
    np.testing.assert_allclose(centre_distances(a, b), centre_distances(b, a).T, rtol=1e-5)
    np.testing.assert_allclose(size_changes(a, b), size_changes(b, a).T, atol=1e-6)


def test_the_cheapest_assignment_may_skip_the_nearest_pair() -> None:
    # The nearest pair is (1, 0), but then box 0 could only go to box 1, which is out of reach.
    a = np.concatenate([square(0), square(6)])
    b = np.concatenate([square(5), square(11)])
    assert associate(a, b, 1) == [(0, 0), (1, 1)]


@pytest.mark.parametrize(("gap", "reached"), [(1, 7), (5, 11), (10, 17), (100, 17)])
def test_the_reach_grows_with_time_up_to_a_limit(gap: int, reached: int) -> None:
    assert associate(square(0), square(reached), gap) == [(0, 0)]
    assert associate(square(0), square(reached + 2), gap) == []


def test_the_reach_never_exceeds_its_limit() -> None:
    assert associate(square(0), square(10 * MAX_REACH + 0.5), 10_000) == []


def test_a_face_cannot_double_in_size_within_one_frame() -> None:
    twice = np.asarray([[-5, -5, 15, 15]], np.float32)
    assert associate(square(0), twice, 1) == []
    assert associate(square(0), twice, 10) == [(0, 0)]


@pytest.mark.parametrize(("a", "b"), [(0, 0), (0, 2), (3, 0)])
def test_empty_inputs_give_no_pairs(a: int, b: int) -> None:
    assert associate(np.zeros((a, 4), np.float32), np.zeros((b, 4), np.float32), 1) == []


def test_a_box_without_area_has_a_finite_cost() -> None:
    assert np.isfinite(pair_costs(np.zeros((1, 4), np.float32), square(0), 1)).all()
