"""Alignment of faces with known transforms, and aliasing."""

import math

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.faces.chips import align, similarities
from app.faces.recognisers import DlibResnet
from app.types import Image, Landmarks

SIZE = 150
MARKS = np.array(DlibResnet.template_points, np.float32)


def _placed(scale: float, angle: float, x: float, y: float) -> Landmarks:
    """Return the template, scaled, rotated and moved, as landmarks of an image."""
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return (MARKS @ (scale * turn).T + [x, y]).astype(np.float32)


@given(
    st.floats(0.05, 20), st.floats(-math.pi, math.pi), st.floats(-500, 500), st.floats(-500, 500)
)
def test_known_transform_is_recovered(scale: float, angle: float, x: float, y: float) -> None:
    marks = _placed(scale, angle, x, y)
    (matrix,) = similarities(marks[None], MARKS)
    np.testing.assert_allclose(marks @ matrix[:, :2].T + matrix[:, 2], MARKS, atol=0.05)
    assert math.hypot(matrix[0, 0], matrix[1, 0]) == pytest.approx(1 / scale, rel=1e-3)


def test_fit_is_least_squares() -> None:
    generator = np.random.default_rng(1)
    marks = MARKS + generator.normal(0, 8, (5, 2)).astype(np.float32)
    # The same problem as linear equations in (a, b, tx, ty).
    rows = [[x, -y, 1, 0] for x, y in marks] + [[y, x, 0, 1] for x, y in marks]
    a, b, tx, ty = np.linalg.lstsq(np.array(rows), MARKS.T.reshape(-1), rcond=None)[0]
    expected = [[a, -b, tx], [b, a, ty]]
    np.testing.assert_allclose(similarities(marks[None], MARKS)[0], expected, atol=1e-4)


def test_mirrored_face_is_rotated_not_reflected() -> None:
    mirrored = MARKS * [-1, 1]
    (matrix,) = similarities(mirrored[None].astype(np.float32), MARKS)
    assert np.linalg.det(matrix[:, :2]) > 0


@pytest.mark.parametrize("count", [0, 1, 3])
def test_one_chip_per_face(count: int) -> None:
    image = np.zeros((200, 300, 3), np.uint8)
    chips = align(image, np.repeat(MARKS[None], count, axis=0), MARKS, SIZE)
    assert [chip.shape for chip in chips] == [(SIZE, SIZE, 3)] * count


def test_landmarks_on_the_template_change_nothing() -> None:
    image = np.random.default_rng(2).integers(0, 256, (SIZE, SIZE, 3), np.uint8)
    (chip,) = align(image, MARKS[None], MARKS, SIZE)
    np.testing.assert_array_equal(chip, image)


def _dots(marks: Landmarks, size: tuple[int, int], radius: int) -> Image:
    image = np.zeros((size[1], size[0], 3), np.uint8)
    for x, y in marks:
        cv2.circle(image, (round(float(x)), round(float(y))), radius, (255, 255, 255), -1)
    return image


@pytest.mark.parametrize(
    ("scale", "angle"), [(0.4, 0.0), (1.0, 0.5), (1.9, -0.6), (2.2, 0.3), (5.0, 0.2), (8.3, -0.4)]
)
def test_landmarks_are_moved_to_the_template(scale: float, angle: float) -> None:
    marks = _placed(scale, angle, 700, 500)
    image = _dots(marks, (2000, 1900), max(2, round(3 * scale)))
    (chip,) = align(image, marks[None], MARKS, SIZE)
    _, _, _, centroids = cv2.connectedComponentsWithStats((chip[..., 0] > 100).astype(np.uint8))
    found = np.asarray(centroids)[1:]
    assert len(found) == 5
    distances = np.linalg.norm(found[:, None] - MARKS[None], axis=2)
    # Dots are at whole pixels of the image, which may be large in the chip.
    assert distances.min(axis=0).max() < 0.5 + 0.5 * math.sqrt(2) / scale


def test_large_faces_do_not_alias() -> None:
    marks = _placed(6.0, 0.0, 0, 0)
    # Stripes of one pixel must become grey.
    image = np.zeros((900, 900, 3), np.uint8)
    image[:, ::2] = 255
    (chip,) = align(image, marks[None], MARKS, SIZE)
    assert chip[20:130, 20:130].std() < 6


@pytest.mark.parametrize("scale", [1.0, 6.0])
def test_area_outside_the_image_is_black(scale: float) -> None:
    marks = _placed(scale, 0.0, -75 * scale, 0)
    image = np.full((1000, 1000, 3), 200, np.uint8)
    (chip,) = align(image, marks[None], MARKS, SIZE)
    assert chip[:, :70].max() == 0
    assert chip[10:140, 80:].min() == 200


@pytest.mark.parametrize("offset", [-5000, 5000])
def test_face_outside_the_image_gives_a_black_chip(offset: float) -> None:
    marks = _placed(6.0, 0.0, offset, offset)
    (chip,) = align(np.full((100, 100, 3), 200, np.uint8), marks[None], MARKS, SIZE)
    assert chip.max() == 0


def test_landmarks_at_one_point_give_a_chip() -> None:
    marks = np.full((1, 5, 2), 50, np.float32)
    (chip,) = align(np.full((100, 100, 3), 9, np.uint8), marks, MARKS, SIZE)
    assert chip.shape == (SIZE, SIZE, 3)


@pytest.mark.parametrize("wrong", [np.full((1, 5, 2), np.nan), np.zeros((1, 4, 2))])
def test_invalid_landmarks_are_refused(wrong: Landmarks) -> None:
    with pytest.raises(ValueError, match="landmarks"):
        align(np.zeros((9, 9, 3), np.uint8), wrong.astype(np.float32), MARKS, SIZE)
