import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.effects import SHAPES, make_effect
from app.effects.masks import Alpha, Outline
from app.errors import ConfigError
from app.types import Plane

SIZE = (200, 160)
numbers = st.floats(-100, 250)
sides = st.floats(0.5, 200)
TOUCH = 1e-3
"""Tolerance in pixels: an outline that ends exactly where a pixel begins touches that pixel."""


def _alpha(outline: Outline, box: NDArray[np.float64], shift: tuple[int, int] = (0, 0)) -> Alpha:
    """The mask over a whole plane, limited to the region that is drawn."""
    whole = (0, 0, SIZE[0] >> shift[0], SIZE[1] >> shift[1])
    alpha = outline.mask(box, shift, whole).alpha(slice(None))
    touched = box + np.repeat((-TOUCH, TOUCH), 2)
    beyond = alpha * ~_inside(outline, touched, shift, alpha.shape)
    assert (beyond < 1e-3).all(), "the mask extends beyond the region"
    return alpha * _inside(outline, box, shift, alpha.shape)


def _inside(
    outline: Outline, box: NDArray[np.float64], shift: tuple[int, int], shape: tuple[int, ...]
) -> NDArray[np.bool_]:
    region = outline.region(box, shift, (shape[1], shape[0]))
    inside = np.zeros(shape, bool)
    if region is not None:
        inside[region[1] : region[3], region[0] : region[2]] = True
    return inside


@given(
    shape=st.sampled_from(list(SHAPES)),
    corner=st.tuples(numbers, numbers),
    size=st.tuples(sides, sides),
    margin=st.floats(0.1, 1),
    feather=st.floats(0, 0.5),
)
@example(shape="ellipse", corner=(0.0, 0.0), size=(1.0, 1.0), margin=1.0, feather=0.0)
def test_chroma_is_hidden_wherever_luma_is(
    shape: str,
    corner: tuple[float, float],
    size: tuple[float, float],
    margin: float,
    feather: float,
) -> None:
    box = np.array([*corner, corner[0] + size[0], corner[1] + size[1]])
    outline = Outline(shape, margin, feather)
    luma = _alpha(outline, box)
    assert luma.min() >= 0
    assert luma.max() <= 1
    for shift in ((1, 1), (1, 0)):
        chroma = _alpha(outline, box, shift)
        covering = np.repeat(np.repeat(chroma, 1 << shift[1], axis=0), 1 << shift[0], axis=1)
        assert (covering >= luma - 1e-4).all()


def test_an_ellipse_with_the_usual_margin_covers_nearly_all_of_the_box() -> None:
    box = np.array([40.0, 30, 120, 130])
    alpha = _alpha(Outline("ellipse", 0.2, 0.1), box)
    opaque = alpha == 1
    assert opaque[30:130, 40:120].mean() > 0.995
    assert alpha[30:130, 40:120].min() > 0.5
    # 1.4 times the box, from 10 to 150 and from 24 to 136, plus the pixels that it touches.
    assert np.flatnonzero(opaque.any(axis=0))[[0, -1]].tolist() == [23, 136]
    assert np.flatnonzero(opaque.any(axis=1))[[0, -1]].tolist() == [9, 150]


def test_the_feather_fades_outside_the_outline() -> None:
    box = np.array([50.0, 50, 100, 100])
    row = _alpha(Outline("rectangle", 0.2, 0.2), box)[75]
    assert (row[39:111] == 1).all()
    assert (row[111:120] < 1).all()
    assert (np.diff(row[109:121]) <= 0).all()
    assert row[30:40].min() > 0
    assert (row[120:] < 1e-4).all()


def test_without_feather_the_edge_is_hard() -> None:
    alpha = _alpha(Outline("ellipse", 0.3, 0.0), np.array([50.3, 50.1, 100.7, 100.9]))
    assert set(np.unique(alpha)) == {0, 1}


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "hide"},
        {"shape": "star"},
        {"margin": 0.0},
        {"margin": float("nan")},
        {"feather": 0.6},
        {"cells": 5},
        {"cells": 0},
    ],
)
def test_invalid_or_too_weak_effects_are_refused(wrong: dict[str, object]) -> None:
    right = {"name": "blur", "shape": "ellipse", "margin": 0.2, "feather": 0.1, "cells": 4}
    with pytest.raises(ConfigError, match=next(iter(wrong)).replace("name", "effect")):
        make_effect(**right | wrong)  # type: ignore[arg-type]


def test_bands_of_a_large_face_show_no_seams() -> None:
    """Rows are processed in bands; a pattern across them would show seams."""
    y, x = np.indices((900, 1000))
    pixels = ((x + y) % 256).astype(np.uint8)
    make_effect("pixelate", shape="rectangle", margin=0.1, feather=0, cells=1).hide(
        [Plane(pixels, 0, 0, (16,))], np.array([[-100, -100, 1100, 1000]], np.float32)
    )
    assert pixels.min() == pixels.max()
