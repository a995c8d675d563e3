"""What a chip weighs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.identity.weights import CONTRAST, SCORE, SHARPNESS, SIZE, Values, chip_weights, ramp

LIMITS = (SCORE, SIZE, CONTRAST, SHARPNESS)
"""In the order of the arguments of ``chip_weights``."""
measures = st.lists(st.floats(0, 1, width=32), min_size=2, max_size=20)


def values(*numbers: float) -> Values:
    return np.asarray(numbers, np.float32)


def weight(*numbers: float) -> float:
    (one,) = chip_weights(*(values(n) for n in numbers))
    return float(one)


@given(measures, st.sampled_from(LIMITS))
def test_a_ramp_never_falls_and_stays_between_0_and_1(
    measured: list[float], limits: tuple[float, float]
) -> None:
    rising = ramp(np.sort(values(*measured)) * np.float32(2 * limits[1]), limits)
    assert (np.diff(rising) >= 0).all()
    assert ((rising >= 0) & (rising <= 1)).all()


@pytest.mark.parametrize("limits", LIMITS)
def test_a_ramp_begins_at_the_first_limit_and_ends_at_the_second(
    limits: tuple[float, float],
) -> None:
    low, high = limits
    got = ramp(values(low - 0.001, low, (low + high) / 2, high, high + 1), limits)
    np.testing.assert_allclose(got, [0, 0, 0.5, 1, 1], atol=1e-5)


FULL = tuple(high for _, high in LIMITS)


def test_a_good_chip_counts_fully() -> None:
    assert weight(*FULL) == pytest.approx(1)


@pytest.mark.parametrize("which", range(4))
def test_each_measure_alone_can_take_all_weight_away(which: int) -> None:
    low, high = LIMITS[which]
    measured = list(FULL)
    measured[which] = low
    assert weight(*measured) == 0
    measured[which] = (low + high) / 2
    assert weight(*measured) == pytest.approx(0.5, abs=1e-5)


@given(st.lists(st.tuples(st.floats(0, 1.2), st.floats(0, 1.2)), min_size=4, max_size=4))
def test_a_better_chip_never_weighs_less(pairs: list[tuple[float, float]]) -> None:
    worse = [min(pair) * high for pair, high in zip(pairs, FULL, strict=True)]
    better = [max(pair) * high for pair, high in zip(pairs, FULL, strict=True)]
    assert weight(*worse) <= weight(*better)


def test_no_chips() -> None:
    assert chip_weights(values(), values(), values(), values()).shape == (0,)
