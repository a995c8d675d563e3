"""YuNet, compared with OpenCV's implementation, and over tiny networks."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from app.errors import ModelError
from app.faces.yunet import STRIDES, YuNet
from app.types import Image
from tests.faces.networks import Map, constant, detector, recogniser
from tests.faces_media import photograph, scaled

WEIGHTS = "weights/face_detection_yunet_2026may.onnx"
BOX = (0.5, 0.25, np.log(2), np.log(3))
"""Centre relative to the cell, and logarithms of width and height, in cells."""
MARKS = (0.25, 0, 0.75, 0, 0.5, 0.5, 0.25, 1, 0.75, 1)
"""Landmarks relative to the corner of the cell, in cells."""


@pytest.fixture(scope="module")
def weights(shared: Path) -> Path:
    path = shared / WEIGHTS
    if not path.is_file():
        pytest.skip(f"needs {WEIGHTS} of the shared material")
    return path


@pytest.mark.parametrize("width", [640, 333, 1000])
@pytest.mark.parametrize("medium", ["group.jpg", "obama.jpg"])
def test_same_faces_as_opencv(weights: Path, medium: str, width: int) -> None:
    image = scaled(photograph(medium), width)
    theirs = cv2.FaceDetectorYN.create(str(weights), "", (image.shape[1], image.shape[0]), 0.5, 0.3)
    _, rows = theirs.detect(np.ascontiguousarray(image[..., ::-1]))
    expected = np.asarray(rows)
    (faces,) = YuNet(weights, score=0.5).detect([image])
    np.testing.assert_allclose(faces.scores, expected[:, 14], atol=1e-3)
    np.testing.assert_allclose(faces.boxes[:, :2], expected[:, :2], atol=0.1)
    np.testing.assert_allclose(faces.boxes[:, 2:] - faces.boxes[:, :2], expected[:, 2:4], atol=0.1)
    np.testing.assert_allclose(faces.landmarks.reshape(-1, 10), expected[:, 4:14], atol=0.1)


def _tiny(active: int, size: tuple[int | str, int | str] = ("width", "height")) -> bytes:
    """Return a network for which blue is a face and green its centre, at one stride."""
    maps = {}
    for name, colour in (("cls", 0), ("obj", 1)):
        kernel = np.zeros((1, 3))
        kernel[0, colour] = 1 / 255
        for stride in STRIDES:
            seen = kernel if stride == active else np.zeros((1, 3))
            maps[f"{name}_{stride}"] = Map(stride, (1, -1, 1), seen, np.zeros(1))
    maps |= {f"bbox_{stride}": constant(stride, (1, -1, 4), BOX) for stride in STRIDES}
    maps |= {f"kps_{stride}": constant(stride, (1, -1, 10), MARKS) for stride in STRIDES}
    return detector("input", size, maps)


def _marked(size: tuple[int, int], square: int, *cells: tuple[int, int]) -> Image:
    """Return a dark image with active cells (column, row) that have a probability of 0.8."""
    image = np.zeros((size[1], size[0], 3), np.uint8)
    for column, row in cells:
        image[row * square :, column * square :][:square, :square] = (0, 255, 204)
    return image


@pytest.mark.parametrize("stride", STRIDES)
def test_active_cell_becomes_a_face(stride: int) -> None:
    # The width is not a multiple of 32, so that decoding needs the padded width.
    image = _marked((200, 140), stride, (1, 2))
    (faces,) = YuNet(_tiny(stride)).detect([image])
    x, y = stride * 1.5, stride * 2.25
    box = [x - stride, y - stride * 1.5, x + stride, y + stride * 1.5]
    np.testing.assert_allclose(faces.boxes, [box], atol=1e-3)
    np.testing.assert_allclose(faces.scores, [np.sqrt(0.8)], atol=1e-5)
    marks = (np.reshape(MARKS, (5, 2)) + np.array([1, 2])) * stride
    np.testing.assert_allclose(faces.landmarks, [marks], atol=1e-3)


def test_overlapping_boxes_are_one_face() -> None:
    part = YuNet(_tiny(8))
    # Boxes are two cells wide: neighbours have an overlap of a third, others none.
    assert len(part.detect([_marked((96, 96), 8, (3, 3), (4, 3))])[0]) == 1
    assert len(part.detect([_marked((96, 96), 8, (3, 3), (5, 3))])[0]) == 2


def test_faces_below_the_score_are_not_returned() -> None:
    image = _marked((96, 96), 8, (3, 3))
    below, above = np.sqrt(0.8) - 0.01, np.sqrt(0.8) + 0.01
    assert len(YuNet(_tiny(8), score=below).detect([image])[0]) == 1
    assert len(YuNet(_tiny(8), score=above).detect([image])[0]) == 0


def test_images_of_different_sizes_in_one_call() -> None:
    part = YuNet(_tiny(8))
    images = [_marked(size, 8, (2, 1)) for size in ((64, 64), (300, 70), (65, 33))]
    for faces in part.detect(images):
        np.testing.assert_allclose(faces.boxes, [[12, -2, 28, 22]], atol=1e-3)


def test_tiny_image_is_enlarged() -> None:
    # It is enlarged four times: squares of 2 pixels become 8 pixels.
    (faces,) = YuNet(_tiny(8)).detect([_marked((16, 16), 2, (3, 3))])
    np.testing.assert_allclose((faces.boxes[0, :2] + faces.boxes[0, 2:]) / 2, [7, 6.5], atol=0.3)


@pytest.mark.parametrize("wrong", [np.zeros((8, 8), np.uint8), np.zeros((0, 8, 3), np.uint8)])
def test_invalid_image_is_refused(wrong: Image) -> None:
    with pytest.raises(ValueError, match="image: expected"):
        YuNet(_tiny(8)).detect([wrong])


@pytest.mark.parametrize(
    ("size", "expected"),
    [((1920, 1080), (1280, 704)), ((640, 360), (640, 360)), ((176, 144), (352, 288))],
)
def test_input_sizes(size: tuple[int, int], expected: tuple[int, int]) -> None:
    assert YuNet(_tiny(8)).input_size(size) == expected


def test_network_with_a_fixed_size_is_refused() -> None:
    with pytest.raises(ModelError, match="one image size only"):
        YuNet(_tiny(8, (640, 640)))


def test_another_network_is_refused() -> None:
    with pytest.raises(ModelError, match="not YuNet"):
        YuNet(recogniser(128))


@pytest.mark.parametrize("score", [0.0, 1.0])
def test_score_out_of_range(score: float) -> None:
    with pytest.raises(ValueError, match="score"):
        YuNet(_tiny(8), score=score)
