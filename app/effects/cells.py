"""Reducing a face to a few cells, and drawing it again from nothing but these.

Both are separable, so each axis has a small matrix for either step: ``member`` (k, n) of zeros and
ones adds the n samples of a region up to k cells, ``draw`` (n, k) takes k cells to n samples.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from app.types import Plane

Matrix: TypeAlias = NDArray[np.float32]
Drawing: TypeAlias = Literal["smooth", "blocks"]

_LEAST = 2
"""Samples along a cell at least: a tiny face is not left as it is by cells of one sample."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of the grid of cells over a face, as two matrices."""

    member: Matrix
    draw: Matrix


def make_axis(
    span: tuple[float, float], samples: tuple[int, int], shift: int, cells: int, drawing: Drawing
) -> Axis:
    """Lay at most ``cells`` cells over ``span`` (pixels) for the samples ``[first, end)``.

    The grid lies over all of the span, also where the picture does not: a face cut by the picture's
    edge has as coarse cells as one that is not, only fewer. Samples beyond the span belong to its
    first or last cell.
    """
    low, high = span
    pixels = 1 << shift
    count = int(np.clip((high - low) / pixels / _LEAST, 1, cells))
    middles = (np.arange(*samples, dtype=np.float64) + 0.5) * pixels
    place = np.clip((middles - low) / (high - low) * count, 0, count)
    cell = np.minimum(place.astype(np.intp), count - 1)
    seen = np.arange(cell[0], cell[-1] + 1)
    member = cell == seen[:, None]
    weights = member.T if drawing == "blocks" else _smooth(place, seen)
    return Axis(member.astype(np.float32), weights.astype(np.float32))


def _smooth(place: NDArray[np.float64], cells: NDArray[np.intp]) -> NDArray[np.float64]:
    """Weights (n, k) of the quadratic B-spline: no edges, and no overshoot as they sum to 1."""
    inner = np.clip(place, cells[0], cells[-1] + 1)
    gap = np.abs(inner[:, None] - (cells[None] + 0.5))
    weights = np.where(gap < 0.5, 0.75 - gap**2, np.maximum(1.5 - gap, 0) ** 2 / 2)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float64)


@dataclass(frozen=True, slots=True)
class Drawn:
    """What a face becomes: ``draw`` (h, k) times ``across`` (k, w * c), in whole numbers."""

    draw: Matrix
    across: Matrix

    def rows(self, rows: slice) -> NDArray[np.float32]:
        """Draw some rows, (n, w * c)."""
        drawn: NDArray[np.float32] = self.draw[rows] @ self.across
        return np.rint(drawn, out=drawn)


def reduce(bands: Iterable[tuple[slice, NDArray[np.float32]]], y: Axis, x: Axis) -> Drawn:
    """Reduce a region to the means of its cells; ``bands`` are its rows (n, w * c) and places.

    The means are rounded before they are used, so that nothing finer is left in them. The sums they
    come from are exact where a band has at most 256 rows, as whole numbers up to 2 ** 24.
    """
    sums: NDArray[np.float64] = sum(
        (np.asarray(y.member[:, rows] @ band, np.float64) for rows, band in bands), np.zeros(1)
    )
    by_column = sums.reshape(len(sums), x.member.shape[1], -1)
    totals = np.einsum("kw,ywc->ykc", x.member, by_column)
    counts = y.member.sum(axis=1)[:, None, None] * x.member.sum(axis=1)[None, :, None]
    means = np.rint(totals / counts).astype(np.float32)
    across = np.einsum("wk,ykc->ywc", x.draw, means)
    return Drawn(y.draw, across.reshape(len(means), -1))


def black(plane: Plane, height: int, width: int) -> Drawn:
    """What is drawn of nothing at all."""
    return Drawn(
        np.ones((height, 1), np.float32), np.tile(np.array(plane.black, np.float32), width)[None]
    )
