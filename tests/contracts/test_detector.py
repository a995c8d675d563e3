"""The contract of all detectors: everything that the rest of the system relies on."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from app.errors import FaceBlurError
from app.faces import load_detector
from app.faces.insightface import InsightFaceDetector
from app.types import FaceDetector, Faces, Image
from tests.faces_media import photograph, ready, scaled, with_detector

VARIANTS = ("open-float", "open-int8", "arcface-mtcnn", "opencv", "insightface")


@pytest.fixture(scope="module", params=VARIANTS)
def detector(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> FaceDetector:
    name, root = request.param, tmp_path_factory.mktemp("models")
    if name == "arcface-mtcnn":
        return load_detector(with_detector(name, root))
    if name in {"opencv", "insightface"}:
        weights: Path = request.getfixturevalue("shared") / "weights"
        if name == "opencv":
            return load_detector(with_detector(name, root, weights))
        return InsightFaceDetector(weights / "scrfd_2.5g.onnx")
    return load_detector(ready("open", "detector"), precision=name.removeprefix("open-"))


@pytest.fixture(scope="module")
def image() -> Image:
    return scaled(photograph("obama.jpg"), 320)


@pytest.mark.parametrize("size", [(1, 1), (7, 300), (31, 33), (64, 64), (176, 144)])
def test_images_without_faces(detector: FaceDetector, size: tuple[int, int]) -> None:
    image = np.full((size[1], size[0], 3), 90, np.uint8)
    (faces,) = detector.detect([image])
    assert len(faces) == 0


def test_no_images(detector: FaceDetector) -> None:
    assert detector.detect([]) == []


@pytest.mark.parametrize(
    "wrong",
    [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 3), np.float32), np.zeros((0, 8, 3), np.uint8)],
)
def test_invalid_image_is_refused(detector: FaceDetector, wrong: Image) -> None:
    with pytest.raises(ValueError, match="expected"):
        detector.detect([wrong])


def test_face_of_a_portrait(detector: FaceDetector, image: Image) -> None:
    (faces,) = detector.detect([image])
    assert len(faces) == 1
    left, top, right, bottom = faces.boxes[0]
    # The position of the face in this photo, measured by eye.
    assert [left, right, bottom] == pytest.approx([129, 216, 155], abs=14)
    assert bottom - top > right - left
    assert faces.scores[0] > 0.7


def test_order_of_the_landmarks(detector: FaceDetector, image: Image) -> None:
    points = detector.detect([image])[0].landmarks[0]
    left_eye, right_eye, nose, left_mouth, right_mouth = points
    assert left_eye[0] < nose[0] < right_eye[0]
    assert left_mouth[0] < nose[0] < right_mouth[0]
    assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])


def test_every_face_of_a_group(detector: FaceDetector) -> None:
    faces = detector.detect([scaled(photograph("group.jpg"), 640)])[0]
    assert len(faces) == 6
    assert faces.scores.tolist() == sorted(faces.scores.tolist(), reverse=True)


def test_box_moves_with_the_face(detector: FaceDetector, image: Image) -> None:
    moved = cv2.copyMakeBorder(image, 64, 0, 32, 0, cv2.BORDER_REPLICATE)
    before, after = (detector.detect([one])[0] for one in (image, np.asarray(moved, np.uint8)))
    shift = (after.boxes - before.boxes)[0]
    np.testing.assert_allclose(shift, [32, 64, 32, 64], atol=6)
    np.testing.assert_allclose(
        (after.landmarks - before.landmarks)[0], np.tile([32, 64], (5, 1)), atol=6
    )


def test_batch_gives_the_same_faces_as_single_images(detector: FaceDetector, image: Image) -> None:
    mixed = [
        image,
        scaled(photograph("group.jpg"), 320),
        image[:, ::-1],
        image,
        np.zeros_like(image),
    ]
    for alone, together in zip(
        (detector.detect([one])[0] for one in mixed), detector.detect(mixed), strict=True
    ):
        _same(alone, together)


def _same(a: Faces, b: Faces) -> None:
    assert len(a) == len(b)
    np.testing.assert_allclose(a.boxes, b.boxes, atol=0.1)
    np.testing.assert_allclose(a.scores, b.scores, atol=0.01)


def test_boxes_extend_beyond_the_edge(detector: FaceDetector, image: Image) -> None:
    whole = detector.detect([image])[0].boxes[0]
    edges = []
    for part in (0.2, 0.25, 0.3, 0.35, 0.4, 0.45):
        cut = int(whole[0] + part * (whole[2] - whole[0]))
        (faces,) = detector.detect([np.ascontiguousarray(image[:, cut:])])
        assert len(faces) == 1
        edges.append(float(faces.boxes[0, 0]))
    assert max(edges) < 0.05 * (whole[2] - whole[0]), "the box must reach the edge of the image"
    assert min(edges) < -1, "the box must extend beyond the image"


@pytest.mark.parametrize("height", [28, 40])
def test_tiny_image_of_a_face(detector: FaceDetector, image: Image, height: int) -> None:
    box = detector.detect([image])[0].boxes[0]
    x1, y1, x2, y2 = (round(float(v)) for v in box)
    crop = image[max(0, y1 - 40) : y2 + 30, x1 - 40 : x2 + 40]
    tiny = scaled(crop, round(height * crop.shape[1] / crop.shape[0]))
    (faces,) = detector.detect([tiny])
    assert len(faces) == 1
    middle = (faces.boxes[0, :2] + faces.boxes[0, 2:]) / 2
    assert abs(middle[0] / tiny.shape[1] - 0.5) < 0.1


@pytest.mark.parametrize("size", [(1920, 1080), (1280, 720), (640, 360), (64, 48), (1080, 1920)])
def test_input_size_keeps_the_aspect_ratio_and_enlarges_small_images_only(
    detector: FaceDetector, size: tuple[int, int]
) -> None:
    width, height = detector.input_size(size)
    most = 2 if max(size) < 640 else 1
    assert width <= most * size[0]
    assert height <= most * size[1]
    assert width / height == pytest.approx(size[0] / size[1], rel=0.05)


def test_size_without_pixels_is_refused(detector: FaceDetector) -> None:
    with pytest.raises((ValueError, FaceBlurError)):
        detector.input_size((0, 100))
