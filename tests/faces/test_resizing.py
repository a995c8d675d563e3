"""Crops and scaled copies of images whose values are known at each position."""

import numpy as np
import pytest

from app.faces.resizing import _GREY, ImagePyramid
from app.types import Boxes, Image


def _ramps(width: int = 240, height: int = 180) -> Image:
    """Return an image whose red is the column and whose green is the row."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x, y, np.zeros_like(x)], axis=-1).astype(np.uint8)


def _boxes(*rows: list[float]) -> Boxes:
    return np.asarray(rows, np.float32)


@pytest.mark.parametrize("side", [24, 48])
def test_crops_of_any_size_are_in_the_right_position(side: int) -> None:
    boxes = _boxes([100, 90, 112, 102], [8.5, 20.25, 32.5, 44.25], [40, 5, 210, 175])
    crops = ImagePyramid(_ramps()).crops(boxes, side).astype(int)
    steps = (np.arange(side) + 0.5) / side
    for (x1, y1, x2, y2), crop in zip(boxes.tolist(), crops, strict=True):
        # The value of a pixel is its column, which is its centre less half a pixel.
        np.testing.assert_allclose(crop[0, :, 0], x1 + (x2 - x1) * steps - 0.5, atol=1)
        np.testing.assert_allclose(crop[:, 0, 1], y1 + (y2 - y1) * steps - 0.5, atol=1)


def test_area_outside_the_image_is_grey() -> None:
    (crop,) = ImagePyramid(np.zeros((60, 60, 3), np.uint8)).crops(_boxes([-30, 0, 30, 60]), 24)
    assert (crop[:, :11] == _GREY).all()
    assert (crop[:, 13:] == 0).all()


def test_fine_stripes_are_averaged() -> None:
    stripes = np.zeros((96, 96, 3), np.uint8)
    stripes[:, ::2] = 200
    pyramid = ImagePyramid(stripes)
    for small in (pyramid.scaled((40, 40)), pyramid.crops(_boxes([0, 0, 96, 96]), 24)[0]):
        assert np.ptp(small) <= 2
        assert small.mean() == pytest.approx(100, abs=2)


def test_margin_repeats_the_edge() -> None:
    pyramid = ImagePyramid(_ramps())
    plain, wide = pyramid.scaled((120, 90)), pyramid.scaled((120, 90), 6)
    assert wide.shape == (102, 132, 3)
    np.testing.assert_array_equal(wide[6:-6, 6:-6], plain)
    np.testing.assert_array_equal(wide[6:-6, 0], plain[:, 0])
    np.testing.assert_array_equal(wide[-1, 6:-6], plain[-1])


def test_no_crops() -> None:
    pyramid = ImagePyramid(_ramps(1, 1))
    assert pyramid.crops(np.zeros((0, 4), np.float32), 24).shape == (0, 24, 24, 3)
    assert pyramid.scaled((12, 12)).shape == (12, 12, 3)
