"""Measures of chip quality."""

import cv2
import numpy as np
import pytest

from app.faces import load_detector
from app.faces.chips import align, chip_quality, frontality, sharpness
from app.faces.recognisers import DlibResnet
from app.packs.catalogue import load_pack
from app.types import Faces, Image
from tests.faces_media import photograph, scaled

CHIP = DlibResnet.chip_side
MARKS = np.array(DlibResnet.template_points, np.float32)


@pytest.fixture(scope="module")
def portrait() -> tuple[Faces, Image]:
    image = scaled(photograph("obama.jpg"), 480)
    faces = load_detector(load_pack("open"), precision="float").detect([image])[0]
    return faces, align(image, faces.landmarks, MARKS, CHIP)[0]


def test_sharp_frontal_face(portrait: tuple[Faces, Image]) -> None:
    faces, chip = portrait
    quality = chip_quality(faces, [chip])
    assert quality.frontality[0] > 0.7
    assert 90 < quality.size[0] < 220
    assert 0.25 < quality.eyes[0] / quality.size[0] < 0.6
    assert 0.2 < quality.brightness[0] < 0.8
    assert quality.contrast[0] > 0.1


def _of(faces: Faces, chip: Image, size: float | None = None) -> float:
    """Return the sharpness of a chip of the first of ``faces``, or of a face of ``size`` pixels."""
    if size is not None:
        box = np.array([[0, 0, size, size]], np.float32)
        faces = Faces(box, faces.scores, faces.landmarks)
    return float(chip_quality(faces, [chip]).sharpness[0])


def test_sharpness_falls_with_blur(portrait: tuple[Faces, Image]) -> None:
    faces, chip = portrait
    plain, soft, softer = (
        _of(faces, chip if not sigma else np.asarray(cv2.GaussianBlur(chip, (0, 0), sigma)))
        for sigma in (0, 2, 4)
    )
    assert plain > 1.3 * soft > 1.6 * softer


def test_small_sharp_face_is_not_soft_when_enlarged(portrait: tuple[Faces, Image]) -> None:
    faces, chip = portrait
    small = cv2.resize(chip, (40, 40), interpolation=cv2.INTER_AREA)
    enlarged = np.asarray(cv2.resize(small, (CHIP, CHIP)), np.uint8)
    assert _of(faces, enlarged, 28) > 1.5 * _of(faces, enlarged)


def test_sharpness_hardly_depends_on_brightness(portrait: tuple[Faces, Image]) -> None:
    faces, chip = portrait
    dark = (chip * 0.5).astype(np.uint8)
    assert _of(faces, dark) == pytest.approx(_of(faces, chip), rel=0.2)
    bright, dim = (chip_quality(faces, [one]).brightness[0] for one in (chip, dark))
    assert dim == pytest.approx(0.5 * bright, rel=0.05)


def test_flat_chip_has_no_sharpness() -> None:
    assert sharpness(np.full((50, 50), 0.5, np.float32), 40) == 0


def test_frontality_falls_as_the_head_turns() -> None:
    # A head of five points in space, turned about its vertical axis.
    head = np.array([[-1, 0, 0], [1, 0, 0], [0, 1, 0.9], [-0.8, 2, 0.2], [0.8, 2, 0.2]])
    values = []
    for degrees in (0, 20, 40, 60, 85):
        angle = np.radians(degrees)
        x = head[:, 0] * np.cos(angle) + head[:, 2] * np.sin(angle)
        marks = np.stack([x, head[:, 1]], axis=1).astype(np.float32)
        values.append(float(frontality(marks[None])[0]))
    assert values[0] == pytest.approx(1, abs=0.01)
    assert values == sorted(values, reverse=True)
    assert values[-1] == 0


def test_frontality_does_not_depend_on_rotation_and_scale() -> None:
    turn = np.array([[0.6, -0.8], [0.8, 0.6]]) * 3
    plain, turned = (frontality(m[None].astype(np.float32)) for m in (MARKS, MARKS @ turn.T + 40))
    np.testing.assert_allclose(plain, turned, atol=1e-3)


def test_landmarks_at_one_point_and_no_faces() -> None:
    assert frontality(np.zeros((1, 5, 2), np.float32)).tolist() == [0.0]
    assert len(chip_quality(Faces.empty(), []).size) == 0
    with pytest.raises(ValueError, match="expected 0"):
        chip_quality(Faces.empty(), [np.zeros((CHIP, CHIP, 3), np.uint8)])
