"""The cells of a face: samples are reduced to a few means, and drawn from these only.

Reducing and drawing are separable, so each axis has what both need: ``membership`` (k, n) of zeros
and ones says which of the n samples of a region belong to each of k cells, and ``weights`` (n, k)
draw n samples from k cells.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from app.types import Plane

Matrix: TypeAlias = NDArray[np.float32]
Drawing: TypeAlias = Literal["smooth", "blocks"]

_MIN_SAMPLES = 2
"""Minimum samples along a cell: cells of one sample would leave a tiny face unchanged."""
_FEW_SAMPLES = 1 << 15
"""Samples up to which a product of matrices sums rows faster than OpenCV."""
_EXACT_ROWS = 256
"""Rows up to which the sums of 16-bit samples fit into the 24 bits of single precision."""


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


def reduce_to_cells(samples: NDArray[Any], y: CellAxis, x: CellAxis) -> Fill:
    """Reduce the samples of a region, (h, w) or (h, w, c), to the means of its cells.

    Means are rounded before use, so that they carry no finer detail. Sums are exact.
    """
    sums = _sums_of_rows(samples, y)
    by_column = sums.reshape(len(sums), x.membership.shape[1], -1)
    totals = np.einsum("kw,ywc->ykc", x.membership, by_column)
    counts = y.membership.sum(axis=1)[:, None, None] * x.membership.sum(axis=1)[None, :, None]
    means = np.rint(totals / counts).astype(np.float32)
    rows_of_cells = np.einsum("wk,ykc->ywc", x.weights, means)
    return Fill(y.weights, rows_of_cells.reshape(len(means), -1))


def _sums_of_rows(samples: NDArray[Any], y: CellAxis) -> NDArray[np.float64]:
    """Sum the rows of each cell: (h, w) or (h, w, c) in, (k, w * c) or (k, w, c) out."""
    if samples.size <= _FEW_SAMPLES and len(samples) <= _EXACT_ROWS:
        rows = np.asarray(samples, np.float32).reshape(len(samples), -1)
        return np.asarray(y.membership @ rows, np.float64)
    ends = y.membership.sum(axis=1, dtype=np.intp).cumsum().tolist()
    exact = cv2.CV_32S if samples.dtype == np.uint8 else cv2.CV_64F
    sums = [
        cv2.reduce(samples[first:end], 0, cv2.REDUCE_SUM, dtype=exact)[0]
        for first, end in pairwise([0, *ends])
    ]
    return np.asarray(sums, np.float64)


def black_fill(plane: Plane, height: int, width: int) -> Fill:
    """Return a black fill, which does not depend on the face at all."""
    return Fill(
        np.ones((height, 1), np.float32), np.tile(np.array(plane.black, np.float32), width)[None]
    )
