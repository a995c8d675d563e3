"""The effects, all of one kind: a mask, and what is drawn in it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.effects.cells import Drawing, Drawn, black, make_axis, reduce
from app.effects.masks import SHAPES, Box, Mask, Outline
from app.errors import ConfigError
from app.types import Boxes, Effect, Plane, Region

EFFECTS: dict[str, Drawing | None] = {"blur": "smooth", "pixelate": "blocks", "solid": None}
"""How each effect draws the cells that a face is reduced to; None draws black instead."""

_BAND = 131_072
"""Samples computed with at a time: what is made of them stays in a core's cache."""
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
        for plane in planes:
            for box in exact:
                self._hide(plane, box)

    def _hide(self, plane: Plane, box: Box) -> None:
        height, width = plane.pixels.shape[:2]
        shift = (plane.shift_x, plane.shift_y)
        region = self.outline.region(box, shift, (width, height))
        if region is None:
            return
        left, top, right, bottom = region
        view = plane.pixels[top:bottom, left:right]
        _mix(view, self._drawn(plane, view, box, region), self.outline.mask(box, shift, region))

    def _drawn(self, plane: Plane, view: NDArray[Any], box: Box, region: Region) -> Drawn:
        left, top, right, bottom = region
        if self.drawing is None:
            return black(plane, bottom - top, right - left)
        x1, y1, x2, y2 = self.outline.opaque(box).tolist()
        y = make_axis((y1, y2), (top, bottom), plane.shift_y, self.cells, self.drawing)
        x = make_axis((x1, x2), (left, right), plane.shift_x, self.cells, self.drawing)
        return reduce(_bands(view), y, x)


def _bands(view: NDArray[Any]) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """The rows of (h, w) or (h, w, c) samples, a few at a time, as (n, w * c) copies."""
    step = min(max(1, _BAND // view[0].size), _ROWS)
    for top in range(0, len(view), step):
        rows = slice(top, top + step)
        band = np.array(view[rows], np.float32, order="C")
        yield rows, band.reshape(len(band), -1)


def _mix(view: NDArray[Any], drawn: Drawn, mask: Mask) -> None:
    """Write what is drawn where alpha is 1, leave what is there where it is 0: both exactly."""
    channels = view[0, 0].size
    for rows, before in _bands(view):
        change = drawn.rows(rows)
        change -= before
        alpha = mask.alpha(rows)
        change *= alpha if channels == 1 else np.repeat(alpha, channels, axis=1)
        change += before
        change += 0.5  # the values are not negative, so that casting rounds them
        np.copyto(view[rows], change.reshape(view[rows].shape), casting="unsafe")
