"""The quality of chips, and its factors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.identity.evidence import (
    FACTORS,
    FLAWS,
    QUANTISER_PER_DOUBLING,
    ChipMeasures,
    compression_factor,
    rate_chips,
)

BEST = {name: factor.points[-1][0] for name, factor in FACTORS.items()}


def measures(**changed: float) -> ChipMeasures:
    values = {**BEST, **changed}
    return ChipMeasures(**{name: np.asarray([value], np.float32) for name, value in values.items()})


def quality(**changed: float) -> float:
    (got,), _ = rate_chips(measures(**changed))
    return float(got)


def test_a_good_chip_has_quality_1() -> None:
    assert quality() == pytest.approx(1)


@pytest.mark.parametrize("name", FACTORS)
def test_each_measure_lowers_the_quality_and_is_named_as_the_flaw(name: str) -> None:
    low, left = FACTORS[name].points[0]
    got, flaws = rate_chips(measures(**{name: low}))
    assert float(got[0]) == pytest.approx(left, abs=1e-6)
    assert left <= 0.3
    assert flaws == [FACTORS[name].flaw]


@pytest.mark.parametrize("name", FACTORS)
@given(st.floats(-1, 60), st.floats(-1, 60))
def test_a_better_measure_never_lowers_the_quality(name: str, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert quality(**{name: low}) <= quality(**{name: high}) + 1e-6


def test_factors_multiply_and_the_lowest_names_the_flaw() -> None:
    got, flaws = rate_chips(measures(sizes=16, sharpness=0.16))
    assert float(got[0]) == pytest.approx(0.43 * 0.5, abs=1e-6)
    assert flaws == ["too small"]


def test_flaws_are_distinct() -> None:
    assert len(set(FLAWS)) == len(FLAWS) == 7


@given(st.floats(0, 51), st.floats(0, 51), st.floats(8, 300))
def test_a_larger_quantiser_never_raises_the_quality(one: float, other: float, size: float) -> None:
    low, high = sorted((one, other))
    sizes = np.asarray([size], np.float32)
    assert compression_factor(high, sizes) <= compression_factor(low, sizes) + 1e-6


def test_compression_matters_less_for_large_faces_and_not_if_unknown() -> None:
    sizes = np.asarray([24, 48, 96, 192], np.float32)
    left = compression_factor(36.0, sizes)
    assert (np.diff(left) >= 0).all()
    assert left[1] == pytest.approx(0.72)
    assert left[2] == pytest.approx(
        compression_factor(36.0 - QUANTISER_PER_DOUBLING, sizes[1:2])[0]
    )
    assert compression_factor(0.0, sizes).tolist() == [1, 1, 1, 1]
