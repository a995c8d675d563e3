"""Frames with pixels that are not square are seen as they are shown, and boxes come back."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.pipeline.square_frames import SquareFrame, other_stretch, squared, stored, to_stored
from app.types import Image, Size
from tests.painted_faces import RED, Painted, SquareDetector, paint

SQUARE = Fraction(1)
ASPECTS = [Fraction(4, 3), Fraction(3), Fraction(1, 2), Fraction(1, 4)]


def gradient(size: Size) -> Image:
    """An image whose red tells the column, and whose green tells the line."""
    y, x = np.mgrid[: size[1], : size[0]]
    blue = np.zeros_like(x)
    return np.stack([255 * x // size[0], 255 * y // size[1], blue], axis=2).astype(np.uint8)


@pytest.mark.parametrize("aspect", [Fraction(1), Fraction(100, 101)])
def test_square_pixels_are_left_alone(aspect: Fraction) -> None:
    frame = Painted(0, gradient((40, 30)), pixel_aspect=aspect)
    assert squared(frame) is frame
    assert stored(frame) is frame
    assert other_stretch(frame) == 1


@pytest.mark.parametrize("aspect", ASPECTS, ids=str)
def test_only_the_shorter_side_of_pixels_is_stretched(aspect: Fraction) -> None:
    frame = Painted(3, gradient((240, 160)), pts=7, pixel_aspect=aspect)
    view = squared(frame)
    width, height = view.size
    assert (width, height) == (round(240 * max(aspect, SQUARE)), round(160 / min(aspect, SQUARE)))
    assert (view.index, view.pts, view.pixel_aspect) == (3, 7, SQUARE)
    assert stored(view) is frame
    assert view.rgb().shape == (height, width, 3)
    assert other_stretch(view) == pytest.approx(float(1 / aspect))


@pytest.mark.parametrize("aspect", ASPECTS, ids=str)
@settings(deadline=None)
@given(data=st.data())
def test_a_region_shows_its_part_of_the_frame(aspect: Fraction, data: st.DataObject) -> None:
    view = squared(Painted(0, gradient((240, 160)), pixel_aspect=aspect))
    width, height = view.size
    x1, y1 = data.draw(st.integers(0, width - 40)), data.draw(st.integers(0, height - 40))
    x2, y2 = data.draw(st.integers(x1 + 30, width)), data.draw(st.integers(y1 + 30, height))
    size = data.draw(st.sampled_from([None, (30, 30), (160, 90)]))
    shown = view.rgb(size, (x1, y1, x2, y2))
    assert shown.shape == (*(size or (x2 - x1, y2 - y1))[::-1], 3)
    middle = shown[shown.shape[0] // 2, shown.shape[1] // 2].astype(float)
    expected = 255 * (x1 + x2) / 2 / width, 255 * (y1 + y2) / 2 / height
    # A stored pixel is up to four pixels of the view: 255 / 160 levels each, and half an output
    # pixel is lost in rounding.
    np.testing.assert_allclose(middle[:2], expected, atol=6)
    assert view.luma((20, 20), (x1, y1, x2, y2)).shape == (20, 20)


@pytest.mark.parametrize("aspect", ASPECTS, ids=str)
def test_boxes_come_back_to_stored_pixels(aspect: Fraction) -> None:
    view = squared(Painted(0, paint({(60, 40, 100, 100): RED}), pixel_aspect=aspect))
    assert isinstance(view, SquareFrame)
    (faces,) = SquareDetector().detect([view.rgb()])
    np.testing.assert_allclose(to_stored(faces.boxes, view), [[60, 40, 100, 100]], atol=1)
    assert to_stored(faces.boxes, view.stored) is faces.boxes
