"""SFace and ArcFace over tiny networks with known outputs."""

import numpy as np
import pytest

from app.errors import ModelError
from app.faces.chips import align
from app.faces.recognisers import ARCFACE_CHIP, ArcFace, ArcFaceChipRecogniser, SFace
from app.types import Image
from tests.faces.networks import chips, embedding, recogniser

KINDS = [(SFace, 128), (ArcFace, 512)]


@pytest.mark.parametrize("batch", [1, "n"])
@pytest.mark.parametrize(("kind", "dimension"), KINDS)
def test_embeddings_of_rgb_chips(
    kind: type[ArcFaceChipRecogniser], dimension: int, batch: int | str
) -> None:
    part = kind(recogniser(dimension, batch=batch))
    # More than one batch, so that the order of the batches matters.
    shown = chips(19)
    embeddings = part.embed(shown)
    assert part.dimension == dimension
    assert embeddings.dtype == np.float32
    wanted = [embedding(chip, dimension) for chip in shown]
    np.testing.assert_allclose(embeddings, wanted, atol=1e-5)
    # BGR instead of RGB must give another embedding.
    assert np.abs(part.embed([shown[0][..., ::-1]]) - wanted[0]).max() > 0.01


@pytest.mark.parametrize(("kind", "dimension"), KINDS)
def test_no_chips(kind: type[ArcFaceChipRecogniser], dimension: int) -> None:
    assert kind(recogniser(dimension)).embed([]).shape == (0, dimension)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((ARCFACE_CHIP, ARCFACE_CHIP + 1, 3), np.uint8),
        np.zeros((ARCFACE_CHIP, ARCFACE_CHIP, 3), np.float32),
    ],
)
def test_invalid_chip_is_refused(wrong: Image) -> None:
    with pytest.raises(ValueError, match="chip: expected"):
        SFace(recogniser(128)).embed([chips(1)[0], wrong])


def test_names_of_input_and_output_do_not_matter() -> None:
    part = ArcFace(recogniser(512, names=("input.1", "683")))
    (shown,) = chips(1)
    np.testing.assert_allclose(part.embed([shown])[0], embedding(shown, 512), atol=1e-5)


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (SFace, recogniser(512)),
        (ArcFace, recogniser(128)),
        (ArcFace, recogniser(512, side=96)),
        (ArcFace, recogniser(512, batch=4)),
    ],
)
def test_another_network_is_refused(kind: type[ArcFaceChipRecogniser], data: bytes) -> None:
    with pytest.raises(ModelError, match=f"the model is not {kind.name}"):
        kind(data)


def test_file_that_is_not_a_model() -> None:
    with pytest.raises(ModelError, match="cannot load"):
        SFace(b"damaged")


def test_template_is_upright() -> None:
    part = SFace(recogniser(128))
    template = part.template
    assert template.shape == (5, 2)
    left_eye, right_eye, nose, left_mouth, right_mouth = template
    assert left_eye[0] < nose[0] < right_eye[0]
    assert left_mouth[0] < nose[0] < right_mouth[0]
    # Landmarks on the template change nothing.
    image = chips(1)[0]
    (chip,) = align(image, template[None], template, part.chip_size)
    np.testing.assert_array_equal(chip, image)
