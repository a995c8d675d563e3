"""Scales: curves of similarity over quality, and the strengths that they give."""

import numpy as np
import pytest

from app.identity.scale import Knot, Scale, knots

CURVE = knots([(0.4, 0.02, 0.1, 0.4), (0.8, 0.02, 0.2, 0.4), (1.0, 0.0, 0.3, 0.36)])
SCALE = Scale(CURVE)


def test_a_stranger_has_strength_0_and_a_sure_match_1() -> None:
    for knot in CURVE:
        assert float(SCALE.strength(knot.stranger, knot.quality)) == pytest.approx(0)
        assert float(SCALE.strength(knot.sure, knot.quality)) == pytest.approx(1)
        doubtful = float(SCALE.doubtful(knot.quality))
        assert SCALE.similarity(doubtful, knot.quality) == pytest.approx(knot.doubtful)


def test_curves_are_linear_between_knots_and_flat_outside() -> None:
    assert SCALE.similarity(1.0, 0.9) == pytest.approx(0.38)
    assert SCALE.similarity(0.0, 0.1) == pytest.approx(0.02)
    assert SCALE.similarity(1.0, 0.1) == pytest.approx(0.4)
    assert SCALE.least == 0.4


def test_strengths_of_arrays() -> None:
    got = SCALE.strength([[0.02, 0.4]], [[0.4, 0.8]])
    np.testing.assert_allclose(got, [[0, 1]], atol=1e-6)


def test_one_similarity_can_replace_a_curve() -> None:
    changed = SCALE.changed(doubtful=0.25)
    assert [changed.similarity(float(changed.doubtful(q)), q) for q in (0.4, 1.0)] == [
        pytest.approx(0.25)
    ] * 2
    assert changed.similarity(1.0, 0.4) == pytest.approx(0.4)
    assert SCALE.changed() == SCALE
    with pytest.raises(ValueError, match="doubtful"):
        SCALE.changed(doubtful=0.39)


@pytest.mark.parametrize(
    "curve",
    [
        [],
        [(0.5, 0.0, 0.1, 0.2), (0.5, 0.0, 0.1, 0.2)],
        [(0.9, 0.0, 0.1, 0.2), (0.5, 0.0, 0.1, 0.2)],
        [(0.5, 0.2, 0.2, 0.2)],
        [(0.5, 0.0, 0.3, 0.2)],
        [(0.5, float("nan"), 0.1, 0.2)],
    ],
)
def test_invalid_knots_are_refused(curve: list[tuple[float, float, float, float]]) -> None:
    with pytest.raises(ValueError, match="knots"):
        Scale(tuple(Knot(*row) for row in curve))
