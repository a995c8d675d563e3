"""Effects hide a face: each draws a fill inside a mask.

A face is first reduced to a few cells, whatever its size, because an effect with a fixed size in
pixels hides a small face but leaves a large one readable. Then it is drawn from these cells only.

Reducing and drawing are separable, so each axis has a small matrix per step: ``membership`` (k, n)
of zeros and ones sums the n samples of a region into k cells, and ``weights`` (n, k) draw n samples
from k cells.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from app.effects.masks import SHAPES, Alpha, Box, Mask, Outline
from app.errors import ConfigError
from app.types import Boxes, Effect, Plane, Region

__all__ = ["EFFECTS", "SHAPES", "make_effect"]

Matrix: TypeAlias = NDArray[np.float32]
Drawing: TypeAlias = Literal["smooth", "blocks"]

_MIN_SAMPLES = 2
"""Minimum samples along a cell: cells of one sample would leave a tiny face unchanged."""
EFFECTS: dict[str, Drawing | None] = {"blur": "smooth", "pixelate": "blocks", "solid": None}
"""How each effect draws the cells of a face; None draws black instead."""
_BAND_SAMPLES = 65_536
"""Samples per band of rows. The work on a band stays in a core's cache, and in a low band most
columns are fully hidden, which needs no blending."""
_MAX_BAND_ROWS = 256
"""Maximum rows summed in single precision: 16-bit samples then fit into its 24 bits."""
_PlaneLayout = tuple[int, int, int, int]
"""Shifts (x, y), height and width of a plane. Both chroma planes have the same."""
_MAX_LAID_OUT = 256
"""Boxes whose layouts are kept: enough for dozens of faces that grow and shrink."""
_KEPT_SAMPLES = 16_384
"""Samples up to which the opacity of a mask is kept, too, so that all take 16 MB at most. Of larger
faces, laying out is a small part of the cost."""


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


def make_effect(name: str, *, shape: str, margin: float, feather: float, cells: int) -> Effect:
    """Make the effect ``name`` of ``EFFECTS`` with an outline of ``SHAPES``.

    ``margin`` in 0.1..1 and ``feather`` in 0..0.5 are fractions of a box's sides, added on each
    side. ``cells`` in 1..4 is the number of cells per side of the box with its margin. With more
    cells, faces were recognised (18 % of 100 photographs with 8, 10 % with 4, chance 9 %).

    Raises:
        ConfigError: a name is unknown, or a number is out of range.
    """
    _check(name in EFFECTS, f"effect {name!r} is not one of {', '.join(EFFECTS)}")
    _check(shape in SHAPES, f"shape {shape!r} is not one of {', '.join(SHAPES)}")
    _check(0.1 <= margin <= 1, f"margin {margin} is not in 0.1 to 1")
    _check(0 <= feather <= 0.5, f"feather {feather} is not in 0 to 0.5")
    _check(cells in {1, 2, 3, 4}, f"cells {cells} is not in 1 to 4")
    return _MaskedFill(Outline(shape, margin, feather), EFFECTS[name], cells, {})


def _check(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)


@dataclass(frozen=True, slots=True)
class _MaskedFill:
    """Hide boxes one after the other: where two overlap, the later one reduces the drawn result.

    ``laid_out`` has the last layouts, by the size of a box and its place within a sample. Boxes of
    whole pixels have few of them, and laying one out takes longer than drawing a small face.
    """

    outline: Outline
    drawing: Drawing | None
    cells: int
    laid_out: dict["_Place", "_LaidOut"]

    def hide(self, planes: Sequence[Plane], boxes: Boxes) -> None:
        """Hide each of the (N, 4) boxes, margin included; they may extend beyond the frame.

        Raises:
            ValueError: a box is not finite or has no area; then nothing has been changed.
        """
        exact = np.asarray(boxes, np.float64)
        if exact.ndim != 2 or exact.shape[1] != 4:
            raise ValueError(f"boxes: expected shape (N, 4), got {exact.shape}")
        if not (np.isfinite(exact).all() and (exact[:, 2:] > exact[:, :2]).all()):
            raise ValueError("boxes: must be finite, with x1 < x2 and y1 < y2")
        for box in exact:
            targets: dict[_PlaneLayout, _Target | None] = {}
            for plane in planes:
                layout = (plane.shift_x, plane.shift_y, *plane.pixels.shape[:2])
                if layout not in targets:
                    targets[layout] = self._target(box, *layout)
                if (target := targets[layout]) is not None:
                    self._draw(plane, target)

    def _target(
        self, box: Box, shift_x: int, shift_y: int, height: int, width: int
    ) -> "_Target | None":
        """Return where a box lies in planes of one layout; None outside the frame."""
        region = self.outline.region(box, (shift_x, shift_y), (width, height))
        if region is None:
            return None
        left, top, right, bottom = region
        column, row = int(box[0]) >> shift_x, int(box[1]) >> shift_y
        corner = np.array((column << shift_x, row << shift_y), np.float64)
        moved = box - np.concatenate([corner, corner])
        local = left - column, top - row, right - column, bottom - row
        place = moved.tobytes(), local, shift_x, shift_y
        if (laid_out := self.laid_out.get(place)) is None:
            if len(self.laid_out) >= _MAX_LAID_OUT:
                self.laid_out.clear()
            laid_out = self.laid_out[place] = self._lay_out(moved, local, shift_x, shift_y)
        return _Target(region, laid_out)

    def _lay_out(self, box: Box, region: Region, shift_x: int, shift_y: int) -> "_LaidOut":
        """Lay out the mask and the cells of a box over the samples of ``region``."""
        left, top, right, bottom = region
        mask = self.outline.mask(box, (shift_x, shift_y), region)
        is_small = (right - left) * (bottom - top) <= _KEPT_SAMPLES
        whole = _stripe(mask, slice(0, bottom - top)) if is_small else None
        if self.drawing is None:
            return _LaidOut(mask, None, whole)
        x1, y1, x2, y2 = self.outline.opaque_box(box).tolist()
        y = make_axis((y1, y2), (top, bottom), shift_y, self.cells, self.drawing)
        x = make_axis((x1, x2), (left, right), shift_x, self.cells, self.drawing)
        return _LaidOut(mask, (y, x), whole)

    @staticmethod
    def _draw(plane: Plane, target: "_Target") -> None:
        left, top, right, bottom = target.region
        view = plane.pixels[top:bottom, left:right]
        if target.laid_out.axes is None:
            fill = black_fill(plane, bottom - top, right - left)
        else:
            fill = reduce_to_cells(_copied_bands(view), *target.laid_out.axes)
        _apply(view, fill, target.laid_out)


_Place = tuple[bytes, Region, int, int]
"""A (4,) float64 box from the sample of its corner on, its samples, and the shifts of the plane."""


@dataclass(frozen=True, slots=True)
class _Stripe:
    """Some rows of a mask: the columns [first, end) are opaque; alpha of those before and after."""

    rows: slice
    first: int
    end: int
    before: Alpha
    after: Alpha


def _stripe(mask: Mask, rows: slice) -> _Stripe:
    first, end = mask.opaque_columns(rows)
    before, after = mask.alpha(rows, slice(0, first)), mask.alpha(rows, slice(end, None))
    return _Stripe(rows, first, end, before, after)


@dataclass(frozen=True, slots=True)
class _LaidOut:
    """The mask of a box, and the axes (y, x) of its cells, None for black.

    ``whole`` is all of a small mask.
    """

    mask: Mask
    axes: tuple[CellAxis, CellAxis] | None
    whole: _Stripe | None

    def stripes(self, view: NDArray[Any]) -> Iterable[_Stripe]:
        """Return the mask in stripes of as many rows as a band of ``view``."""
        if self.whole is not None:
            return (self.whole,)
        return (_stripe(self.mask, rows) for rows in _bands(view))


@dataclass(frozen=True, slots=True)
class _Target:
    """One box in planes of one layout."""

    region: Region
    laid_out: _LaidOut


def _bands(view: NDArray[Any]) -> Iterator[slice]:
    """Yield slices of the rows of (h, w) or (h, w, c) samples, a few rows at a time."""
    step = min(max(1, _BAND_SAMPLES // view[0].size), _MAX_BAND_ROWS)
    return (slice(top, top + step) for top in range(0, len(view), step))


def _copied_bands(view: NDArray[Any]) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Yield bands of rows with copies of their samples, (n, w * c)."""
    for rows in _bands(view):
        band = np.array(view[rows], np.float32, order="C")
        yield rows, band.reshape(len(band), -1)


def _apply(view: NDArray[Any], fill: Fill, laid_out: _LaidOut) -> None:
    """Draw the fill exactly where alpha is 1, keep samples where it is 0, blend in between."""
    for stripe in laid_out.stripes(view):
        part = view[stripe.rows]
        drawn = fill.draw(stripe.rows).reshape(part.shape)
        first, end = stripe.first, stripe.end
        np.copyto(part[:, first:end], drawn[:, first:end], casting="unsafe")
        _blend(part[:, :first], drawn[:, :first], stripe.before)
        _blend(part[:, end:], drawn[:, end:], stripe.after)


def _blend(view: NDArray[Any], change: NDArray[np.float32], alpha: Alpha) -> None:
    """Blend samples (n, m) or (n, m, c) with ``change``, which is overwritten, by alpha (n, m)."""
    before = view.astype(np.float32)
    change -= before
    change *= alpha if view.ndim == 2 else alpha[..., None]
    change += before
    change += 0.5  # Values are not negative, so the cast rounds them.
    np.copyto(view, change, casting="unsafe")
