"""Detector and recogniser of the insightface library, and a missing library."""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from app.errors import ModelError, PackError
from app.faces.insightface import InsightFaceDetector, InsightFaceRecogniser
from app.networks import Runtime
from app.types import Image
from tests.faces.networks import Map, chips, constant, detector, embedding, recogniser
from tests.faces_media import photograph, scaled

STRIDES = (8, 16, 32)
BOX = (1.0, 1.5, 1.0, 1.5)
"""Distances from the corner of a cell to the sides of the face, in cells."""
MARKS = (-0.5, -0.5, 0.5, -0.5, 0, 0, -0.5, 0.5, 0.5, 0.5)
"""Landmarks relative to the corner of the cell, in cells."""
ANY = ("width", "height")


def _tiny(size: tuple[int | str, int | str] = ANY, *, landmarks: bool = True) -> bytes:
    """Return a network with SCRFD's signature: red squares of 8 pixels are faces."""
    maps = {}
    for stride in STRIDES:
        kernel = np.zeros((2, 3))
        kernel[0, 0] = 128 / 255 if stride == 8 else 0.0
        maps[f"score_{stride}"] = Map(stride, (-1, 1), kernel, np.array([0.5, 0]) * (stride == 8))
    maps |= {f"bbox_{s}": constant(s, (-1, 4), BOX * 2) for s in STRIDES}
    if landmarks:
        maps |= {f"kps_{s}": constant(s, (-1, 10), MARKS * 2) for s in STRIDES}
    return detector("input.1", size, maps)


def _marked(size: tuple[int, int], square: int, *cells: tuple[int, int]) -> Image:
    image = np.zeros((size[1], size[0], 3), np.uint8)
    for column, row in cells:
        image[row * square :, column * square :][:square, :square] = (204, 0, 0)
    return image


@pytest.fixture
def saved(tmp_path: Path) -> Callable[[bytes], Path]:
    def save(data: bytes) -> Path:
        path = tmp_path / "model.onnx"
        path.write_bytes(data)
        return path

    return save


@pytest.fixture
def _library() -> None:
    pytest.importorskip("insightface")


def test_missing_library_says_how_to_install_it(
    saved: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    modules = ("insightface", "insightface.model_zoo.scrfd", "insightface.model_zoo.arcface_onnx")
    for name in modules:
        monkeypatch.setitem(sys.modules, name, None)
    for kind, data in (
        (InsightFaceDetector, _tiny()),
        (InsightFaceRecogniser, recogniser(512)),
    ):
        with pytest.raises(PackError, match=r"pip install .* -r requirements-insightface\.txt"):
            kind(saved(data))


def test_detector_without_landmarks_is_refused(saved: Callable[[bytes], Path]) -> None:
    with pytest.raises(ModelError, match=r"model\.onnx: has no landmarks"):
        InsightFaceDetector(saved(_tiny(landmarks=False)))


def test_another_network_is_refused(saved: Callable[[bytes], Path]) -> None:
    with pytest.raises(ModelError, match="not an SCRFD network"):
        InsightFaceDetector(saved(recogniser(512)))
    with pytest.raises(ModelError, match="the model is not ArcFace"):
        InsightFaceRecogniser(saved(_tiny()))


@pytest.mark.parametrize("score", [0.0, 1.0])
def test_score_out_of_range(saved: Callable[[bytes], Path], score: float) -> None:
    with pytest.raises(ValueError, match="score"):
        InsightFaceDetector(saved(_tiny()), score=score)


@pytest.mark.usefixtures("_library")
def test_active_cell_becomes_a_face(saved: Callable[[bytes], Path]) -> None:
    part = InsightFaceDetector(saved(_tiny()))
    images = [_marked(size, 8, (3, 2)) for size in ((64, 64), (200, 140), (65, 33))]
    for faces in part.detect(images):
        np.testing.assert_allclose(faces.boxes, [[16, 4, 32, 28]], atol=1e-3)
        np.testing.assert_allclose(faces.scores, [0.8], atol=0.002)
        marks = np.reshape(MARKS, (5, 2)) * 8 + [24, 16]
        np.testing.assert_allclose(faces.landmarks, [marks], atol=1e-3)


@pytest.mark.usefixtures("_library")
def test_best_face_comes_first(saved: Callable[[bytes], Path]) -> None:
    image = _marked((96, 96), 8, (2, 2), (7, 7))
    image[56:64, 56:64, 0] = 255
    (faces,) = InsightFaceDetector(saved(_tiny())).detect([image])
    np.testing.assert_allclose(faces.scores, [1.0, 0.8], atol=0.002)
    np.testing.assert_allclose(faces.boxes[0], [48, 44, 64, 68], atol=1e-3)


@pytest.mark.usefixtures("_library")
def test_faces_below_the_score_are_not_returned(saved: Callable[[bytes], Path]) -> None:
    image = _marked((96, 96), 8, (3, 3))
    for score, count in ((0.79, 1), (0.81, 0)):
        part = InsightFaceDetector(saved(_tiny()), score=score)
        assert len(part.detect([image])[0]) == count


@pytest.mark.usefixtures("_library")
def test_library_opens_no_session_of_its_own(
    saved: Callable[[bytes], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    import onnxruntime  # type: ignore[import-untyped]

    part = InsightFaceDetector(saved(_tiny()), runtime=Runtime(threads=1))
    monkeypatch.setattr(onnxruntime, "InferenceSession", None)
    for size in ((64, 64), (320, 96)):
        assert len(part.detect([_marked(size, 8, (3, 3))])[0]) == 1


@pytest.mark.usefixtures("_library")
@pytest.mark.parametrize(("size", "square"), [((90, 60), 8), ((256, 128), 16)])
def test_network_with_a_fixed_size(
    saved: Callable[[bytes], Path], size: tuple[int, int], square: int
) -> None:
    part = InsightFaceDetector(saved(_tiny((128, 96))))
    # Images that fit are not scaled; larger ones are reduced, here to half.
    (faces,) = part.detect([_marked(size, square, (3, 2))])
    scale = square / 8
    np.testing.assert_allclose(faces.boxes, np.array([[16, 4, 32, 28]]) * scale, atol=1e-3)
    assert part.input_size((1280, 720)) == (128, 72)
    assert part.input_size((40, 30)) == (80, 60)


@pytest.mark.usefixtures("_library")
@pytest.mark.parametrize("wrong", [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 3), np.float32)])
def test_invalid_image_is_refused(saved: Callable[[bytes], Path], wrong: Image) -> None:
    with pytest.raises(ValueError, match="image: expected"):
        InsightFaceDetector(saved(_tiny())).detect([wrong])


@pytest.mark.usefixtures("_library")
@pytest.mark.parametrize("batch", [1, "n"])
@pytest.mark.parametrize(("scaling", "divisor"), [(True, 128.0), (False, 127.5)])
def test_embeddings_of_rgb_chips(
    saved: Callable[[bytes], Path], batch: int | str, divisor: float, *, scaling: bool
) -> None:
    part = InsightFaceRecogniser(saved(recogniser(512, batch=batch, scaling=scaling)))
    shown = chips(19)
    wanted = [embedding(chip, 512, divisor) for chip in shown]
    np.testing.assert_allclose(part.embed(shown), wanted, atol=1e-5)
    assert part.embed([]).shape == (0, 512)


@pytest.mark.usefixtures("_library")
@pytest.mark.parametrize("name", ["scrfd_500m_bnkps", "scrfd_2.5g"])
def test_faces_of_a_group(shared: Path, name: str) -> None:
    path = shared / "weights" / f"{name}.onnx"
    if not path.is_file():
        pytest.skip(f"needs {name} of the shared material")
    (faces,) = InsightFaceDetector(path).detect([scaled(photograph("group.jpg"), 640)])
    assert len(faces) == 6
    marks = faces.landmarks
    assert (marks[:, 0, 0] < marks[:, 1, 0]).all()
    assert (marks[:, 3, 0] < marks[:, 4, 0]).all()
    corners = faces.boxes.reshape(-1, 2, 1, 2)
    inside = (marks[:, None] > corners[:, :1]) & (marks[:, None] < corners[:, 1:])
    assert inside.all()
