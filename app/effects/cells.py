"""Reduce a face to the means of a few cells, and draw it from these means only.

Both steps are separable, so each axis has a small matrix per step: ``membership`` (k, n) of zeros
and ones sums the n samples of a region into k cells, and ``weights`` (n, k) draw n samples from k
cells.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from app.types import Plane

Matrix: TypeAlias = NDArray[np.float32]
Drawing: TypeAlias = Literal["smooth", "blocks"]

_MIN_SAMPLES = 2
"""Minimum samples along a cell: cells of one sample would leave a tiny face unchanged."""


@dataclass(frozen=True, slots=True)
class CellAxis:
    """One axis of the grid of cells over a face, as two matrices."""

    membership: Matrix
    weights: Matrix


def make_axis(
    span: tuple[float, float], samples: tuple[int, int], shift: int, cells: int, drawing: Drawing
) -> CellAxis:
    """Lay at most ``cells`` cells over ``span`` (pixels), for the samples ``[first, end)``.

    The grid covers the whole span, including parts outside the frame. So a face at the border has
    fewer cells but no finer ones. Samples beyond the span belong to its first or last cell.
    """
    low, high = span
    pixels = 1 << shift
    count = int(np.clip((high - low) / pixels / _MIN_SAMPLES, 1, cells))
    middles = (np.arange(*samples, dtype=np.float64) + 0.5) * pixels
    position = np.clip((middles - low) / (high - low) * count, 0, count)
    cell = np.minimum(position.astype(np.intp), count - 1)
    used = np.arange(cell[0], cell[-1] + 1)
    membership = cell == used[:, None]
    weights = membership.T if drawing == "blocks" else _smooth_weights(position, used)
    return CellAxis(membership.astype(np.float32), weights.astype(np.float32))


def _smooth_weights(position: NDArray[np.float64], cells: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return weights (n, k) of the quadratic B-spline: without edges or overshoot, summing to 1."""
    inner = np.clip(position, cells[0], cells[-1] + 1)
    gap = np.abs(inner[:, None] - (cells[None] + 0.5))
    weights = np.where(gap < 0.5, 0.75 - gap**2, np.maximum(1.5 - gap, 0) ** 2 / 2)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float64)


@dataclass(frozen=True, slots=True)
class Fill:
    """The image that replaces a face: ``weights`` (h, k) times ``rows_of_cells`` (k, w * c)."""

    weights: Matrix
    rows_of_cells: Matrix

    def draw(self, rows: slice) -> NDArray[np.float32]:
        """Draw some rows, (n, w * c), rounded to whole numbers."""
        drawn: NDArray[np.float32] = self.weights[rows] @ self.rows_of_cells
        return np.rint(drawn, out=drawn)


def reduce_to_cells(
    bands: Iterable[tuple[slice, NDArray[np.float32]]], y: CellAxis, x: CellAxis
) -> Fill:
    """Reduce a region to the means of its cells; ``bands`` are slices of rows with their samples.

    Samples are (n, w * c). Means are rounded before use, so that they carry no finer detail. Sums
    are exact if a band has at most 256 rows, as float32 holds whole numbers up to 2 ** 24.
    """
    sums: NDArray[np.float64] = sum(
        (np.asarray(y.membership[:, rows] @ band, np.float64) for rows, band in bands), np.zeros(1)
    )
    by_column = sums.reshape(len(sums), x.membership.shape[1], -1)
    totals = np.einsum("kw,ywc->ykc", x.membership, by_column)
    counts = y.membership.sum(axis=1)[:, None, None] * x.membership.sum(axis=1)[None, :, None]
    means = np.rint(totals / counts).astype(np.float32)
    rows_of_cells = np.einsum("wk,ykc->ywc", x.weights, means)
    return Fill(y.weights, rows_of_cells.reshape(len(means), -1))


def black_fill(plane: Plane, height: int, width: int) -> Fill:
    """Return a black fill, which does not depend on the face at all."""
    return Fill(
        np.ones((height, 1), np.float32), np.tile(np.array(plane.black, np.float32), width)[None]
    )
