"""The contract of all effects, for every shape and plane layout."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from app import effects
from app.effects import EFFECTS, SHAPES, make_effect
from app.types import Boxes, Effect, Plane

MARGIN, FEATHER = 0.2, 0.1
WIDTH, HEIGHT = 167, 121  # odd, so that a chroma sample hangs over the edge


def _plane(
    seed: int, bits: int, shift: tuple[int, int] = (0, 0), channels: int = 1, black: int = 0
) -> Plane:
    width, height = (-(-side >> by) for side, by in zip((WIDTH, HEIGHT), shift, strict=True))
    shape = (height, width) if channels == 1 else (height, width, channels)
    values = np.random.default_rng(seed).integers(0, 1 << bits, shape)
    pixels = values.astype(np.uint8 if bits == 8 else np.uint16)
    return Plane(pixels, *shift, (black,) * channels)


def _yuv(bits: int, shift: tuple[int, int]) -> Callable[[], list[Plane]]:
    def make() -> list[Plane]:
        grey = 1 << (bits - 1)
        chroma = [_plane(seed, bits, shift, black=grey) for seed in (2, 3)]
        return [_plane(1, bits, black=16 << (bits - 8)), *chroma]

    return make


def _transposed() -> list[Plane]:
    """Planes of a frame that is stored rotated: views with negative, swapped strides."""
    planes = _yuv(8, (1, 1))()
    stored = [np.ascontiguousarray(np.rot90(plane.pixels)) for plane in planes]
    return [
        Plane(np.rot90(pixels, -1), plane.shift_x, plane.shift_y, plane.black)
        for pixels, plane in zip(stored, planes, strict=True)
    ]


LAYOUTS: dict[str, Callable[[], list[Plane]]] = {
    "420": _yuv(8, (1, 1)),
    "420p10": _yuv(10, (1, 1)),
    "422": _yuv(8, (1, 0)),
    "444": _yuv(8, (0, 0)),
    "411": _yuv(8, (2, 0)),
    "444p16": _yuv(16, (0, 0)),
    "nv12": lambda: [_plane(1, 8, black=16), _plane(2, 8, (1, 1), 2, black=128)],
    "rgb24": lambda: [_plane(1, 8, channels=3)],
    "grey": lambda: [_plane(1, 8)],
    "rotated": _transposed,
}
CASES = [(name, shape, layout) for name in EFFECTS for shape in SHAPES for layout in LAYOUTS]
each_case = pytest.mark.parametrize(("name", "shape", "layout"), CASES)
each_effect = pytest.mark.parametrize("name", EFFECTS)

BOXES = np.array(
    [
        [40.3, 30.7, 100.2, 95.1],
        [-20, -30, 25.5, 30],
        [150, 100, 190, 160],
        [60, -50, 90, 12],
        [10.2, 70.4, 13.1, 74.9],
        [120, 20, 120.5, 20.25],
        [-500, -400, 700, 600],
    ],
    np.float32,
)


def _make(name: str, shape: str = "ellipse", feather: float = FEATHER, cells: int = 4) -> Effect:
    return make_effect(name, shape=shape, margin=MARGIN, feather=feather, cells=cells)


def _boxes(rows: Sequence[Sequence[float]]) -> Boxes:
    return np.array(rows, np.float32)


def _one(box: NDArray[np.float32]) -> Boxes:
    return box[None]


def _radius(plane: Plane, box: NDArray[np.float32], shape: str) -> NDArray[np.float64]:
    """Distance of the nearest point of each sample; 1 is the border of the face with its margin.

    Computed slowly, pixel by pixel, and independently of the effects.
    """
    x1, y1, x2, y2 = box.astype(float)
    halves = (x2 - x1) / 2 * (1 + 2 * MARGIN), (y2 - y1) / 2 * (1 + 2 * MARGIN)
    height, width = plane.pixels.shape[:2]
    radius = np.full((height, width), np.inf)
    for dy in range(1 << plane.shift_y):
        for dx in range(1 << plane.shift_x):
            left = (np.arange(width) << plane.shift_x) + dx
            top = (np.arange(height) << plane.shift_y) + dy
            nearest_x = np.clip((x1 + x2) / 2, left, left + 1) - (x1 + x2) / 2
            nearest_y = np.clip((y1 + y2) / 2, top, top + 1) - (y1 + y2) / 2
            x, y = np.abs(nearest_x / halves[0])[None], np.abs(nearest_y / halves[1])[:, None]
            here = np.hypot(x, y) if shape == "ellipse" else np.maximum(x, y)
            radius = np.minimum(radius, here)
    return radius


def _pairs(
    name: str, shape: str, layout: str, box: NDArray[np.float32]
) -> Iterator[tuple[Plane, NDArray[Any], NDArray[np.float64]]]:
    """Each plane after hiding, its samples before, and the radius of each sample."""
    planes = LAYOUTS[layout]()
    before = [plane.pixels.copy() for plane in planes]
    _make(name, shape).hide(planes, _one(box))
    for plane, old in zip(planes, before, strict=True):
        yield plane, old, _radius(plane, box, shape)


@each_case
def test_nothing_outside_the_mask_is_touched(name: str, shape: str, layout: str) -> None:
    reach = (1 + 2 * MARGIN + 2 * FEATHER) / (1 + 2 * MARGIN)
    for box in BOXES:
        for plane, before, radius in _pairs(name, shape, layout, box):
            outside = radius > reach + 1e-4
            assert np.array_equal(plane.pixels[outside], before[outside])


@each_case
def test_the_inside_has_few_values(name: str, shape: str, layout: str) -> None:
    """Noise has thousands of values; the fill that replaces it has few."""
    for box in BOXES:
        for plane, before, radius in _pairs(name, shape, layout, box):
            inside = radius <= 1 - 1e-4
            if name == "solid":
                assert (plane.pixels[inside] == np.array(plane.black)).all()
            elif name == "pixelate" and inside.any():
                drawn = plane.pixels[inside].reshape(inside.sum(), -1)
                assert len(np.unique(drawn, axis=0)) <= 16
            if inside.sum() > 500:
                drawn = plane.pixels[inside]
                assert drawn.std() < 0.3 * before[inside].std()


@each_case
def test_the_fill_depends_only_on_the_means_of_the_cells(
    name: str, shape: str, layout: str
) -> None:
    """Two images with the same mean in each cell give the same fill."""
    for box in BOXES:
        planes, others = LAYOUTS[layout](), LAYOUTS[layout]()
        rng = np.random.default_rng(5)
        for plane in others:
            _shuffle_cells(plane, box, rng)
        _make(name, shape, feather=0).hide(planes, _one(box))
        _make(name, shape, feather=0).hide(others, _one(box))
        for plane, other in zip(planes, others, strict=True):
            inside = _radius(plane, box, shape) <= 1 - 1e-4
            assert np.array_equal(plane.pixels[inside], other.pixels[inside])


def _shuffle_cells(plane: Plane, box: NDArray[np.float32], rng: np.random.Generator) -> None:
    """Permute the samples within each cell of the 4 x 4 grid over the face with its margin."""
    x1, y1, x2, y2 = box.astype(float)
    grown = MARGIN * (x2 - x1), MARGIN * (y2 - y1)
    cells = []
    for low, high, shift, count in (
        (y1 - grown[1], y2 + grown[1], plane.shift_y, plane.pixels.shape[0]),
        (x1 - grown[0], x2 + grown[0], plane.shift_x, plane.pixels.shape[1]),
    ):
        size = 1 << shift
        number = int(min(4, max(1, (high - low) / size // 2)))
        starts = np.arange(count) * size
        cell = np.floor((starts + size / 2 - low) / (high - low) * number)
        cell = np.clip(cell, 0, number - 1)
        # Samples that only the feather touches belong to no cell and stay.
        cell[(starts + size <= low) | (starts >= high)] = -1
        cells.append(cell)
    for row in np.unique(cells[0][cells[0] >= 0]):
        for column in np.unique(cells[1][cells[1] >= 0]):
            where = np.ix_(cells[0] == row, cells[1] == column)
            block = plane.pixels[where]
            flat = block.reshape(block.shape[0] * block.shape[1], -1)
            plane.pixels[where] = rng.permutation(flat).reshape(block.shape)


@each_case
def test_a_box_outside_the_frame_changes_nothing(name: str, shape: str, layout: str) -> None:
    planes = LAYOUTS[layout]()
    before = [plane.pixels.copy() for plane in planes]
    far = _boxes([[-90, 10, -40, 60], [400, 10, 450, 60], [10, -90, 50, -40], [9, 900, 19, 950]])
    _make(name, shape).hide(planes, far)
    for plane, old in zip(planes, before, strict=True):
        assert np.array_equal(plane.pixels, old)


@each_effect
def test_no_boxes_change_nothing(name: str) -> None:
    planes = LAYOUTS["420"]()
    _make(name).hide(planes, np.zeros((0, 4), np.float32))
    assert np.array_equal(planes[0].pixels, LAYOUTS["420"]()[0].pixels)


@each_effect
@pytest.mark.parametrize(
    "box",
    [
        [0, 0, np.nan, 5],
        [0, 0, np.inf, 5],
        [-np.inf, 0, 5, 5],
        [5, 0, 5, 5],
        [0, 6, 5, 5],
    ],
)
def test_invalid_boxes_are_refused_before_any_change(name: str, box: list[float]) -> None:
    planes = LAYOUTS["420"]()
    with pytest.raises(ValueError, match="finite"):
        _make(name).hide(planes, _boxes([[10, 10, 50, 50], box]))
    assert np.array_equal(planes[0].pixels, LAYOUTS["420"]()[0].pixels)


@each_effect
def test_boxes_of_a_wrong_shape_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"expected shape \(N, 4\), got \(1, 5\)"):
        _make(name).hide(LAYOUTS["420"](), np.zeros((1, 5), np.float32))


@each_effect
def test_overlapping_faces_are_all_hidden(name: str) -> None:
    """A fine pattern disappears everywhere in two overlapping faces, in either order."""
    boxes = _boxes([[30, 30, 90, 90], [60, 40, 120, 100]])
    y, x = np.indices((HEIGHT, WIDTH))
    pattern = (255 * ((x + y) % 2)).astype(np.uint8)
    for order in (boxes, boxes[::-1]):
        plane = Plane(pattern.copy(), 0, 0, (16,))
        _make(name).hide([plane], order)
        inside = np.minimum(*(_radius(plane, box, "ellipse") for box in boxes)) < 1
        steps = np.abs(np.diff(plane.pixels.astype(int), axis=1))
        assert steps[inside[:, 1:] & inside[:, :-1]].max() < 60


@settings(max_examples=60, deadline=None)
@given(
    x=st.floats(-150, 200, width=32),
    y=st.floats(-150, 200, width=32),
    sides=st.tuples(st.floats(0.25, 300, width=32), st.floats(0.25, 300, width=32)),
    case=st.sampled_from(CASES),
)
def test_any_box_is_hidden_and_nothing_else(
    x: float, y: float, sides: tuple[float, float], case: tuple[str, str, str]
) -> None:
    name, shape, layout = case
    box = _boxes([[x, y, x + sides[0], y + sides[1]]])[0]
    reach = (1 + 2 * MARGIN + 2 * FEATHER) / (1 + 2 * MARGIN)
    for plane, before, radius in _pairs(name, shape, layout, box):
        assert np.array_equal(plane.pixels[radius > reach + 1e-3], before[radius > reach + 1e-3])
        if name == "solid":
            assert (plane.pixels[radius < 1 - 1e-3] == np.array(plane.black)).all()


@each_case
def test_bands_of_large_faces_do_not_show(
    name: str, shape: str, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a low band the middle columns are not blended; the result must be the same."""
    for box in BOXES:
        whole, parts = LAYOUTS[layout](), LAYOUTS[layout]()
        monkeypatch.setattr(effects, "_BAND_SAMPLES", 1 << 40)
        _make(name, shape).hide(whole, _one(box))
        monkeypatch.setattr(effects, "_BAND_SAMPLES", 600)
        _make(name, shape).hide(parts, _one(box))
        for one, other in zip(whole, parts, strict=True):
            assert np.array_equal(one.pixels, other.pixels)
