"""The effects, all of one kind: a mask, and what is drawn in it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.effects.cells import Axis, Drawing, Drawn, black, make_axis, reduce
from app.effects.masks import SHAPES, Alpha, Box, Mask, Outline
from app.errors import ConfigError
from app.types import Boxes, Effect, Plane, Region

EFFECTS: dict[str, Drawing | None] = {"blur": "smooth", "pixelate": "blocks", "solid": None}
"""How each effect draws the cells that a face is reduced to; None draws black instead."""

_BAND = 65_536
"""Samples computed with at a time: what is made of them stays in a core's cache, and few enough
rows that most of each is hidden wholly, which needs no mixing."""
_ROWS = 256
"""Rows added up in single precision at most: 16-bit samples fit in its 24 bits."""


def make_effect(name: str, *, shape: str, margin: float, feather: float, cells: int) -> Effect:
    """Make the effect ``name`` of ``EFFECTS`` with an outline of ``SHAPES``.

    ``margin`` in 0.1..1 and ``feather`` in 0..0.5 are fractions of a box's sides, added on each
    side; ``cells`` in 1..4 is the number per side that the box with its margin is reduced to. With
    more of them faces were recognised (18 % of 100 photographs with 8, 10 % with 4, chance 9 %).

    Raises:
        ConfigError: an unknown name, or a number out of its range.
    """
    _check(name in EFFECTS, f"effect {name!r} is not one of {', '.join(EFFECTS)}")
    _check(shape in SHAPES, f"shape {shape!r} is not one of {', '.join(SHAPES)}")
    _check(0.1 <= margin <= 1, f"margin {margin} is not in 0.1 to 1")
    _check(0 <= feather <= 0.5, f"feather {feather} is not in 0 to 0.5")
    _check(cells in {1, 2, 3, 4}, f"cells {cells} is not in 1 to 4")
    return _Hiding(Outline(shape, margin, feather), EFFECTS[name], cells)


def _check(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(message)


@dataclass(frozen=True, slots=True)
class _Hiding:
    """Hides boxes in turn: of two that overlap, the later one reduces what is drawn already."""

    outline: Outline
    drawing: Drawing | None
    cells: int

    def hide(self, planes: Sequence[Plane], boxes: Boxes) -> None:
        """Hide each of the (N, 4) boxes, margin included; they may overhang the picture.

        Raises:
            ValueError: a box is not finite or has no area; nothing has been changed then.
        """
        exact = np.asarray(boxes, np.float64)
        if exact.ndim != 2 or exact.shape[1] != 4:
            raise ValueError(f"boxes: expected shape (N, 4), got {exact.shape}")
        if not (np.isfinite(exact).all() and (exact[:, 2:] > exact[:, :2]).all()):
            raise ValueError("boxes: must be finite, with x1 < x2 and y1 < y2")
        for box in exact:
            places: dict[_Sampling, _Place | None] = {}
            for plane in planes:
                sampling = (plane.shift_x, plane.shift_y, *plane.pixels.shape[:2])
                if sampling not in places:
                    places[sampling] = self._place(box, *sampling)
                if (place := places[sampling]) is not None:
                    self._draw(plane, place)

    def _place(
        self, box: Box, shift_x: int, shift_y: int, height: int, width: int
    ) -> "_Place | None":
        """Where a box lies in planes of one sampling; None outside the picture."""
        region = self.outline.region(box, (shift_x, shift_y), (width, height))
        if region is None:
            return None
        left, top, right, bottom = region
        mask = self.outline.mask(box, (shift_x, shift_y), region)
        if self.drawing is None:
            return _Place(region, mask, None)
        x1, y1, x2, y2 = self.outline.opaque(box).tolist()
        y = make_axis((y1, y2), (top, bottom), shift_y, self.cells, self.drawing)
        x = make_axis((x1, x2), (left, right), shift_x, self.cells, self.drawing)
        return _Place(region, mask, (y, x))

    @staticmethod
    def _draw(plane: Plane, place: "_Place") -> None:
        left, top, right, bottom = place.region
        view = plane.pixels[top:bottom, left:right]
        if place.axes is None:
            drawn = black(plane, bottom - top, right - left)
        else:
            drawn = reduce(_copies(view), *place.axes)
        _mix(view, drawn, place.mask)


_Sampling = tuple[int, int, int, int]
"""Shifts (x, y), height and width of a plane: the two of colour have the same."""


@dataclass(frozen=True, slots=True)
class _Place:
    """One box in planes of one sampling; ``axes`` (y, x) of its cells, None for black."""

    region: Region
    mask: Mask
    axes: tuple[Axis, Axis] | None


def _bands(view: NDArray[Any]) -> Iterator[slice]:
    """The rows of (h, w) or (h, w, c) samples, a few at a time."""
    step = min(max(1, _BAND // view[0].size), _ROWS)
    return (slice(top, top + step) for top in range(0, len(view), step))


def _copies(view: NDArray[Any]) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """Bands of rows with copies of them, (n, w * c)."""
    for rows in _bands(view):
        band = np.array(view[rows], np.float32, order="C")
        yield rows, band.reshape(len(band), -1)


def _mix(view: NDArray[Any], drawn: Drawn, mask: Mask) -> None:
    """Write what is drawn where alpha is 1, leave what is there where it is 0: both exactly."""
    for rows in _bands(view):
        part = view[rows]
        fresh = drawn.rows(rows).reshape(part.shape)
        first, end = mask.opaque(rows)
        np.copyto(part[:, first:end], fresh[:, first:end], casting="unsafe")
        for columns in (slice(0, first), slice(end, part.shape[1])):
            _blend(part[:, columns], fresh[:, columns], mask.alpha(rows, columns))


def _blend(view: NDArray[Any], change: NDArray[np.float32], alpha: Alpha) -> None:
    """Bring samples (n, m) or (n, m, c) nearer to others, which are used up, by alpha (n, m)."""
    before = view.astype(np.float32)
    change -= before
    change *= alpha if view.ndim == 2 else alpha[..., None]
    change += before
    change += 0.5  # the values are not negative, so that casting rounds them
    np.copyto(view, change, casting="unsafe")
