"""Effects hide a face: each draws a fill inside a mask.

A face is first reduced to a few cells, whatever its size, because an effect with a fixed size in
pixels hides a small face but leaves a large one readable. Then it is drawn from these cells only.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.effects.cells import CellAxis, Drawing, Fill, black_fill, make_axis, reduce_to_cells
from app.effects.masks import SHAPES, Alpha, Box, Mask, Outline
from app.errors import ConfigError
from app.types import Boxes, Effect, Plane, Region

__all__ = ["EFFECTS", "SHAPES", "make_effect"]


EFFECTS: dict[str, Drawing | None] = {"blur": "smooth", "pixelate": "blocks", "solid": None}
"""How each effect draws the cells of a face; None draws black instead."""
_BAND_SAMPLES = 65_536
"""Samples per band of rows. The work on a band stays in a core's cache, and in a low band most
columns are fully hidden, which needs no blending."""
_PlaneLayout = tuple[int, int, int, int]
"""Shifts (x, y), height and width of a plane. Both chroma planes have the same."""
_MAX_LAID_OUT = 256
"""Boxes whose layouts are kept: enough for dozens of faces that grow and shrink."""
_KEPT_SAMPLES = 1 << 22
"""Opacities of masks that are kept with them, 16 MB at most. A face in a frame of 1080 lines has up
to 800,000; computing them takes a third of the time of drawing it."""
_LARGE_SAMPLES = _KEPT_SAMPLES // 4
"""Samples of a face from which its mask is not kept: others would have to make room for it."""


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
    return _MaskedFill(Outline(shape, margin, feather), EFFECTS[name], cells, _Layouts())


def _check(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)


@dataclass(frozen=True, slots=True)
class _MaskedFill:
    """Hide boxes one after the other: where two overlap, the later one reduces the drawn result.

    ``layouts`` has the last ones, by the size of a box and its place within a sample. Boxes of
    whole pixels have few of them, and laying one out takes longer than drawing a small face.
    """

    outline: Outline
    drawing: Drawing | None
    cells: int
    layouts: "_Layouts"

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
        if (laid_out := self.layouts.get(place)) is None:
            laid_out = self._lay_out(moved, local, shift_x, shift_y)
            self.layouts.add(place, laid_out)
        return _Target(region, laid_out)

    def _lay_out(self, box: Box, region: Region, shift_x: int, shift_y: int) -> "_LaidOut":
        """Lay out the mask and the cells of a box over the samples of ``region``."""
        left, top, right, bottom = region
        mask = self.outline.mask(box, (shift_x, shift_y), region)
        is_kept = (right - left) * (bottom - top) < _LARGE_SAMPLES
        kept = tuple(_stripes(mask)) if is_kept else None
        if self.drawing is None:
            return _LaidOut(mask, None, kept)
        x1, y1, x2, y2 = self.outline.opaque_box(box).tolist()
        y = make_axis((y1, y2), (top, bottom), shift_y, self.cells, self.drawing)
        x = make_axis((x1, x2), (left, right), shift_x, self.cells, self.drawing)
        return _LaidOut(mask, (y, x), kept)

    @staticmethod
    def _draw(plane: Plane, target: "_Target") -> None:
        left, top, right, bottom = target.region
        view = plane.pixels[top:bottom, left:right]
        if target.laid_out.axes is None:
            fill = black_fill(plane, bottom - top, right - left)
        else:
            fill = reduce_to_cells(view, *target.laid_out.axes)
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


def _stripes(mask: Mask) -> Iterator[_Stripe]:
    """Yield a mask a few rows at a time."""
    step = max(1, _BAND_SAMPLES // len(mask.x))
    return (_stripe(mask, slice(top, top + step)) for top in range(0, len(mask.y), step))


@dataclass(frozen=True, slots=True)
class _LaidOut:
    """The mask of a box, and the axes (y, x) of its cells, None for black.

    ``kept`` are the stripes of the mask, None if it is large.
    """

    mask: Mask
    axes: tuple[CellAxis, CellAxis] | None
    kept: tuple[_Stripe, ...] | None

    @property
    def stripes(self) -> Iterable[_Stripe]:
        """The mask in stripes, from the top."""
        return _stripes(self.mask) if self.kept is None else self.kept

    @property
    def kept_samples(self) -> int:
        """The number of opacities that it keeps."""
        return sum(stripe.before.size + stripe.after.size for stripe in self.kept or ())


class _Layouts:
    """The last layouts, in bounded memory."""

    def __init__(self) -> None:
        self._by_place: dict[_Place, _LaidOut] = {}
        self._samples = 0

    def get(self, place: "_Place") -> _LaidOut | None:
        """Return the layout of a place, None if it is not kept."""
        return self._by_place.get(place)

    def add(self, place: "_Place", laid_out: _LaidOut) -> None:
        """Keep a layout; forget all others first if there are too many."""
        self._samples += laid_out.kept_samples
        if len(self._by_place) >= _MAX_LAID_OUT or self._samples > _KEPT_SAMPLES:
            self._by_place.clear()
            self._samples = laid_out.kept_samples
        self._by_place[place] = laid_out


@dataclass(frozen=True, slots=True)
class _Target:
    """One box in planes of one layout."""

    region: Region
    laid_out: _LaidOut


def _apply(view: NDArray[Any], fill: Fill, laid_out: _LaidOut) -> None:
    """Draw the fill exactly where alpha is 1, keep samples where it is 0, blend in between."""
    for stripe in laid_out.stripes:
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
