"""The monotone cubic, compared with scipy's."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator

from app.tracking.interpolation import pchip

height = st.floats(-100, 100).map(lambda value: round(value, 3))


@st.composite
def points(draw: st.DrawFn) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Increasing positions with two values each."""
    gaps = draw(st.lists(st.integers(1, 14), min_size=2, max_size=8))
    rows = [draw(st.tuples(height, height)) for _ in gaps]
    return np.cumsum(gaps), np.asarray(rows, np.float64)


@given(points())
def test_the_curve_equals_scipys(
    known: tuple[NDArray[np.int64], NDArray[np.float64]],
) -> None:
    x, y = known
    at = np.arange(x[0], x[-1] + 1)
    np.testing.assert_allclose(pchip(x, y, at), PchipInterpolator(x, y, axis=0)(at), atol=1e-9)


def test_a_flat_section_stays_flat() -> None:
    x, y = np.array([0, 3, 6, 9]), np.array([[0.0], [2.0], [2.0], [5.0]])
    assert (pchip(x, y, np.arange(3, 7)) == 2.0).all()
