from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.effects.cells import CellAxis, Drawing, make_axis, reduce_to_cells
from app.types import Boxes


def _axis(
    span: tuple[float, float],
    samples: tuple[int, int],
    shift: int = 0,
    cells: int = 4,
    drawing: Drawing = "blocks",
) -> CellAxis:
    return make_axis(span, samples, shift, cells, drawing)


def test_each_sample_belongs_to_one_cell() -> None:
    assert _axis((10, 18), (10, 18)).membership.tolist() == [
        [1, 1, 0, 0, 0, 0, 0, 0],
        [0, 0, 1, 1, 0, 0, 0, 0],
        [0, 0, 0, 0, 1, 1, 0, 0],
        [0, 0, 0, 0, 0, 0, 1, 1],
    ]


def test_a_face_at_the_border_has_no_finer_cells() -> None:
    """Six of sixteen pixels are inside: cells of four, and half a cell at the border."""
    assert _axis((-10, 6), (0, 6)).membership.sum(axis=1).tolist() == [2, 4]


@pytest.mark.parametrize(("side", "cells"), [(1, 1), (3, 1), (4, 2), (7, 3), (8, 4), (900, 4)])
def test_a_cell_has_at_least_two_samples(side: int, cells: int) -> None:
    assert len(_axis((0, side), (0, side)).membership) == cells


def test_cells_of_a_subsampled_plane_have_two_of_its_own_samples() -> None:
    assert len(_axis((0, 8), (0, 4), shift=1).membership) == 2


@given(
    low=st.floats(-300, 300),
    side=st.floats(0.25, 600),
    first=st.integers(0, 300),
    count=st.integers(1, 300),
    shift=st.integers(0, 2),
    cells=st.integers(1, 4),
    drawing=st.sampled_from(["smooth", "blocks"]),
)
def test_membership_and_weights_are_normalised(
    low: float, side: float, first: int, count: int, shift: int, cells: int, drawing: Drawing
) -> None:
    axis = make_axis((low, low + side), (first, first + count), shift, cells, drawing)
    seen = len(axis.membership)
    assert axis.membership.shape == (seen, count)
    assert axis.weights.shape == (count, seen)
    assert 1 <= seen <= cells
    assert (axis.membership.sum(axis=0) == 1).all()
    assert (axis.membership.sum(axis=1) >= 1).all()
    assert (axis.weights >= 0).all()
    assert axis.weights.sum(axis=1) == pytest.approx(1, abs=1e-5)


def test_smooth_weights_have_no_steps() -> None:
    draw = _axis((0, 400), (0, 400), drawing="smooth").weights
    assert np.abs(np.diff(draw, axis=0)).max() < 0.02


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_fill_shows_the_mean_of_each_cell(dtype: type[np.unsignedinteger]) -> None:
    axis = _axis((0, 4), (0, 4), cells=2)
    pixels = np.arange(16, dtype=np.float32).reshape(4, 4)
    drawn = reduce_to_cells(pixels.astype(dtype), axis, axis).draw(slice(0, 4))
    # Means 2.5, 4.5, 10.5 and 12.5, rounded to even.
    expected: Boxes = np.array([[2, 2, 4, 4]] * 2 + [[10, 10, 12, 12]] * 2, np.float32)
    assert np.array_equal(drawn, expected)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_sums_of_large_cells_are_exact(dtype: type[np.unsignedinteger]) -> None:
    axis = _axis((0, 1500), (0, 1500), cells=1)
    top = np.iinfo(dtype).max
    pixels = np.full((1500, 1500), top, dtype)
    pixels[::2] = top - 1  # the mean lies between two numbers, and is rounded to the even one
    assert (reduce_to_cells(pixels, axis, axis).draw(slice(0, 1500)) == top - 1).all()


@pytest.mark.parametrize("side", [40, 400])
@pytest.mark.parametrize("turn", [np.flipud, np.fliplr, np.transpose])
def test_cells_of_turned_views_are_those_of_copies(
    turn: Callable[[NDArray[np.uint8]], NDArray[np.uint8]],
    side: int,
) -> None:
    axis, rows = _axis((0, side), (0, side), cells=3), slice(0, side)
    view = turn(np.random.default_rng(2).integers(0, 256, (side, side), np.uint8))
    turned, copied = (reduce_to_cells(one, axis, axis).draw(rows) for one in (view, view.copy()))
    np.testing.assert_array_equal(turned, copied)
