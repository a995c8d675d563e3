"""Methods to hide a face: all strengths of Face blur's effects, and defaults of other tools."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

from app.effects import make_effect
from app.effects.masks import Outline
from app.types import Boxes, Image, Plane

Draw = Callable[[Image, Boxes], None]


@dataclass(frozen=True, slots=True)
class Method:
    """A method to hide a face: ``draw`` changes an image in place, within ``outline``."""

    name: str
    draw: Draw
    outline: Outline
    floor: bool = False
    """Whether it is one of the weakest settings, which must still hide a face."""
    base: bool = False
    """Whether it keeps only the mean colour."""


def ours(
    effect: str, cells: int = 4, shape: str = "ellipse", margin: float = 0.2, *, floor: bool = False
) -> Method:
    """Return an effect of Face blur, without feather, which hides less."""
    hiding = make_effect(effect, shape=shape, margin=margin, feather=0.0, cells=cells)

    def draw(image: Image, box: Boxes) -> None:
        hiding.hide([Plane(image, 0, 0, (0, 0, 0))], box[None])

    name = effect if effect == "solid" else f"{effect}, {cells} x {cells}"
    return Method(
        f"{name}, {shape}, margin {margin}",
        draw,
        Outline(shape, margin, 0.0),
        floor,
        base=cells == 1 and effect == "blur",
    )


def averaged(effect: str, wobble: float, *, frames: int = 25) -> Method:
    """Return the mean of many frames in which a face is still but its box wobbles.

    A grid that moves over a face samples it more finely than a fixed one. ``wobble`` is the
    deviation of each side of the box, as a part of its length (at most twice that). Pixels near the
    edge, which a frame might show, are left out.
    """
    hiding = make_effect(effect, shape="ellipse", margin=0.2, feather=0.0, cells=4)

    def draw(image: Image, box: Boxes) -> None:
        random = np.random.default_rng(0)
        sides = np.tile(box[2:] - box[:2], 2)
        total = np.zeros(image.shape)
        for _ in range(frames):
            shown = image.copy()
            moved = box + sides * wobble * np.clip(random.normal(size=4), -2, 2)
            hiding.hide([Plane(shown, 0, 0, (0, 0, 0))], moved[None].astype(np.float32))
            total += shown
        image[:] = np.rint(total / frames)

    name = f"{effect}, 4 x 4, mean of {frames} frames, box off by {wobble:.0%}"
    return Method(name, draw, Outline("ellipse", 0.2 - 3 * wobble, 0.0))


def theirs(name: str, outline: Outline, change: Callable[[Image], Image]) -> Method:
    """Return the default method of another tool; ``change`` gets the box around the outline."""

    def draw(image: Image, box: Boxes) -> None:
        x1, y1, x2, y2 = np.rint(outline.opaque_box(box.astype(np.float64))).astype(int).tolist()
        height, width = image.shape[:2]
        part = image[max(0, y1) : min(height, y2), max(0, x1) : min(width, x2)]
        part[:] = change(part)

    return Method(name, draw, outline)


def gaussian(kernel: int) -> Callable[[Image], Image]:
    """Return a Gaussian blur with a kernel of ``kernel`` pixels, regardless of the face's size."""
    return lambda part: np.asarray(cv2.GaussianBlur(part, (kernel, kernel), 0), np.uint8)


def box_blur(fraction: float) -> Callable[[Image], Image]:
    """Return a box blur over ``fraction`` of the sides."""

    def change(part: Image) -> Image:
        height, width = part.shape[:2]
        kernel = max(1, int(width * fraction)), max(1, int(height * fraction))
        return np.asarray(cv2.blur(part, kernel), np.uint8)

    return change


def blocks(pixels: int) -> Callable[[Image], Image]:
    """Return blocks of ``pixels`` pixels, regardless of the face's size."""
    return lambda part: _grid(part, -(-part.shape[1] // pixels), -(-part.shape[0] // pixels))


def grid(cells: int) -> Callable[[Image], Image]:
    """Return ``cells`` x ``cells`` blocks."""
    return lambda part: _grid(part, cells, cells)


def _grid(part: Image, across: int, down: int) -> Image:
    height, width = part.shape[:2]
    size = min(across, width), min(down, height)
    small = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST), np.uint8)


_FACE = Outline("rectangle", 0.0, 0.0)
_DEFACE = Outline("ellipse", 0.15, 0.0)
NOTHING = theirs("nothing (control)", Outline("ellipse", 0.2, 0.0), lambda part: part)
OTHERS = (
    theirs("Gaussian of 21 pixels", _FACE, gaussian(21)),
    theirs("blocks of 15 pixels", _FACE, blocks(15)),
    theirs("blocks of 20 pixels (deface, mosaic)", _DEFACE, blocks(20)),
    theirs("mean over half of the mask (deface, default)", _DEFACE, box_blur(1 / 2)),
    theirs("mean over a third of the face", _FACE, box_blur(1 / 3)),
    theirs("10 x 10 blocks", _FACE, grid(10)),
)
"""Defaults of other tools. Fixed kernels and blocks are common in OpenCV examples. Those of deface
are from version 1.5.0, whose mask is 1.3 times the box. Blocks here are means; deface takes the
colour of one pixel for each."""


def methods(*, quick: bool) -> tuple[Method, ...]:
    """Return the methods to compare. One cell is the mean colour."""
    weakest = tuple(ours(effect, floor=True) for effect in ("blur", "pixelate"))
    floor = ours("blur", 1), ours("solid")
    if quick:
        return (NOTHING, *weakest, *floor, OTHERS[0])
    outlines = (("rectangle", 0.2), ("ellipse", 0.1), ("rectangle", 0.1))
    shaped = tuple(
        ours(effect, 4, *outline, floor=True)
        for effect, outline in product(("blur", "pixelate"), outlines)
    )
    coarser = tuple(ours(effect, n) for effect, n in product(("blur", "pixelate"), (3, 2)))
    moving = tuple(averaged(effect, 0.05) for effect in ("blur", "pixelate"))
    return (NOTHING, *weakest, *shaped, *coarser, *moving, *floor, *OTHERS)


def covered(outline: Outline, box: Boxes, image: Image) -> NDArray[np.bool_]:
    """Return the completely hidden pixels (h, w)."""
    out = np.zeros(image.shape[:2], bool)
    exact = box.astype(np.float64)
    region = outline.region(exact, (0, 0), (image.shape[1], image.shape[0]))
    if region is not None:
        x1, y1, x2, y2 = region
        alpha = outline.mask(exact, (0, 0), region).alpha(slice(None))
        out[y1:y2, x1:x2] = alpha == 1
    return out
