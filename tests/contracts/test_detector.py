"""One contract for every detector: what the rest of the system relies on."""

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
def picture() -> Image:
    return scaled(photograph("obama.jpg"), 320)


@pytest.mark.parametrize("size", [(1, 1), (7, 300), (31, 33), (64, 64), (176, 144)])
def test_pictures_without_faces_of_any_size(detector: FaceDetector, size: tuple[int, int]) -> None:
    picture = np.full((size[1], size[0], 3), 90, np.uint8)
    (faces,) = detector.detect([picture])
    assert len(faces) == 0


def test_no_pictures(detector: FaceDetector) -> None:
    assert detector.detect([]) == []


@pytest.mark.parametrize(
    "wrong",
    [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 3), np.float32), np.zeros((0, 8, 3), np.uint8)],
)
def test_what_is_no_picture_is_refused(detector: FaceDetector, wrong: Image) -> None:
    with pytest.raises(ValueError, match="expected"):
        detector.detect([wrong])


def test_the_face_of_a_portrait(detector: FaceDetector, picture: Image) -> None:
    (faces,) = detector.detect([picture])
    assert len(faces) == 1
    left, top, right, bottom = faces.boxes[0]
    # where the face is in this photograph, by eye
    assert [left, right, bottom] == pytest.approx([129, 216, 155], abs=14)
    assert bottom - top > right - left
    assert faces.scores[0] > 0.7


def test_the_order_of_the_landmarks(detector: FaceDetector, picture: Image) -> None:
    points = detector.detect([picture])[0].landmarks[0]
    left_eye, right_eye, nose, left_mouth, right_mouth = points
    assert left_eye[0] < nose[0] < right_eye[0]
    assert left_mouth[0] < nose[0] < right_mouth[0]
    assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])


def test_every_face_of_a_group(detector: FaceDetector) -> None:
    faces = detector.detect([scaled(photograph("group.jpg"), 640)])[0]
    assert len(faces) == 6
    assert faces.scores.tolist() == sorted(faces.scores.tolist(), reverse=True)


def test_a_moved_face_moves_its_box(detector: FaceDetector, picture: Image) -> None:
    moved = cv2.copyMakeBorder(picture, 64, 0, 32, 0, cv2.BORDER_REPLICATE)
    before, after = (detector.detect([one])[0] for one in (picture, np.asarray(moved, np.uint8)))
    shift = (after.boxes - before.boxes)[0]
    np.testing.assert_allclose(shift, [32, 64, 32, 64], atol=6)
    np.testing.assert_allclose(
        (after.landmarks - before.landmarks)[0], np.tile([32, 64], (5, 1)), atol=6
    )


def test_a_batch_is_what_its_pictures_are_alone(detector: FaceDetector, picture: Image) -> None:
    mixed = [
        picture,
        scaled(photograph("group.jpg"), 320),
        picture[:, ::-1],
        picture,
        np.zeros_like(picture),
    ]
    for alone, together in zip(
        (detector.detect([one])[0] for one in mixed), detector.detect(mixed), strict=True
    ):
        _same(alone, together)


def _same(a: Faces, b: Faces) -> None:
    assert len(a) == len(b)
    np.testing.assert_allclose(a.boxes, b.boxes, atol=0.1)
    np.testing.assert_allclose(a.scores, b.scores, atol=0.01)


def test_boxes_of_faces_over_the_edge_are_not_cut_there(
    detector: FaceDetector, picture: Image
) -> None:
    whole = detector.detect([picture])[0].boxes[0]
    edges = []
    for part in (0.2, 0.25, 0.3, 0.35, 0.4, 0.45):
        cut = int(whole[0] + part * (whole[2] - whole[0]))
        (faces,) = detector.detect([np.ascontiguousarray(picture[:, cut:])])
        assert len(faces) == 1
        edges.append(float(faces.boxes[0, 0]))
    assert max(edges) < 0.05 * (whole[2] - whole[0]), "the box must reach the edge of the picture"
    assert min(edges) < -1, "the box must overhang the picture"


@pytest.mark.parametrize("height", [28, 40])
def test_a_tiny_picture_of_a_face(detector: FaceDetector, picture: Image, height: int) -> None:
    box = detector.detect([picture])[0].boxes[0]
    x1, y1, x2, y2 = (round(float(v)) for v in box)
    crop = picture[max(0, y1 - 40) : y2 + 30, x1 - 40 : x2 + 40]
    tiny = scaled(crop, round(height * crop.shape[1] / crop.shape[0]))
    (faces,) = detector.detect([tiny])
    assert len(faces) == 1
    middle = (faces.boxes[0, :2] + faces.boxes[0, 2:]) / 2
    assert abs(middle[0] / tiny.shape[1] - 0.5) < 0.1


@pytest.mark.parametrize("size", [(1920, 1080), (1280, 720), (640, 360), (64, 48), (1080, 1920)])
def test_input_sizes_keep_the_shape_and_enlarge_only_small_pictures(
    detector: FaceDetector, size: tuple[int, int]
) -> None:
    width, height = detector.input_size(size)
    most = 2 if max(size) < 640 else 1
    assert width <= most * size[0]
    assert height <= most * size[1]
    assert width / height == pytest.approx(size[0] / size[1], rel=0.05)


def test_a_size_without_pixels_is_refused(detector: FaceDetector) -> None:
    with pytest.raises((ValueError, FaceBlurError)):
        detector.input_size((0, 100))
