"""The contract of all recognisers."""

import numpy as np
import pytest

from app.faces import RECOGNISERS, load_detector, load_recogniser
from app.faces.chips import align
from app.types import FaceRecogniser, Image
from tests.faces import networks
from tests.faces_media import photograph, ready, scaled

TINY = {"arcface": 512, "insightface": 512, "sface": 128}
"""Kinds of large networks that tiny ones replace here, and the lengths of their embeddings."""


@pytest.fixture(scope="module", params=["open", "dlib", *TINY])
def recogniser(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> FaceRecogniser:
    kind = request.param
    if kind in {"open", "dlib"}:
        return load_recogniser(ready(kind))
    path = tmp_path_factory.mktemp("weights") / f"{kind}.onnx"
    path.write_bytes(networks.recogniser(TINY[kind]))
    return RECOGNISERS[kind](path)


def test_every_kind_is_tested() -> None:
    assert RECOGNISERS.keys() == {"dlib-resnet", "reidentification", *TINY}


def _noise(recogniser: FaceRecogniser, count: int) -> list[Image]:
    side = recogniser.chip_size
    generator = np.random.default_rng(3)
    return list(generator.integers(0, 256, (count, side, side, 3), np.uint8))


def test_embeddings_have_unit_length(recogniser: FaceRecogniser) -> None:
    embeddings = recogniser.embed(_noise(recogniser, 3))
    assert embeddings.shape == (3, recogniser.dimension)
    assert embeddings.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-5)


def test_no_chips(recogniser: FaceRecogniser) -> None:
    assert recogniser.embed([]).shape == (0, recogniser.dimension)


def test_chip_of_another_size_is_refused(recogniser: FaceRecogniser) -> None:
    side = recogniser.chip_size
    with pytest.raises(ValueError, match="chip"):
        recogniser.embed([np.zeros((side, side + 1, 3), np.uint8)])


def test_batch_gives_the_same_embeddings_as_single_chips(recogniser: FaceRecogniser) -> None:
    chips = _noise(recogniser, 18)
    together = recogniser.embed(chips)
    for index in (0, 15, 16, 17):
        np.testing.assert_allclose(together[index], recogniser.embed([chips[index]])[0], atol=1e-4)


def test_template_is_inside_the_chip(recogniser: FaceRecogniser) -> None:
    template = recogniser.template
    assert template.shape == (5, 2)
    assert (template > 0).all()
    assert (template < recogniser.chip_size).all()
    assert template[0, 0] < template[2, 0] < template[1, 0]


@pytest.mark.parametrize("name", ["open", "dlib"])
def test_photos_of_one_person_are_more_similar_than_photos_of_two(name: str) -> None:
    pack = ready(name)
    detector, recogniser = load_detector(pack, precision="float"), load_recogniser(pack)
    chips = []
    for name in ("obama", "obama2", "obama3", "biden"):
        image = scaled(photograph(f"{name}.jpg"), 480)
        faces = detector.detect([image])[0]
        chips += align(image, faces.landmarks[:1], recogniser.template, recogniser.chip_size)
    embeddings = recogniser.embed(chips)
    alike = embeddings @ embeddings.T
    same, other = alike[:3, :3].min(), alike[:3, 3].max()
    best = pack.scale.rows[-1]
    assert same > best.sure
    assert best.doubtful > other
