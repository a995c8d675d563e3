"""The converted recogniser, compared with OpenVINO, and files of other networks."""

import re
from pathlib import Path

import numpy as np
import onnx
import pytest

from app.errors import PackError
from app.faces.recognisers import Reidentification
from app.networks import Runtime
from app.packs.convert.openvino import convert
from app.types import Image
from tests.faces_media import ready


def _chips() -> list[Image]:
    """Return two synthetic chips: gradients, and coloured squares."""
    y, x = np.mgrid[: Reidentification.chip_side, : Reidentification.chip_side]
    smooth = np.stack([x * 1.9, y * 1.9, (x + y) * 0.95], axis=-1).astype(np.uint8)
    chequered = ((x // 16 + y // 16) % 2 * 255)[..., None].repeat(3, axis=2).astype(np.uint8)
    chequered[..., 2] //= 2
    return [smooth, chequered]


REFERENCE = (
    (0.033605, -0.009896, -0.067180, -0.074993, 0.049900, 0.087081, -0.007420, -0.035753),
    (0.076803, 0.017282, -0.096434, -0.076310, 0.039564, 0.009192, 0.060520, -0.051538),
)
"""The first 8 of the 256 numbers for each of ``_chips()`` in BGR, at unit length. Computed by
OpenVINO 2026.4.1 on a CPU, with INFERENCE_PRECISION_HINT f32, from the published files."""


@pytest.fixture(scope="module")
def published(shared: Path) -> tuple[bytes, bytes]:
    """Return the IR: XML and weights."""
    path = shared / "weights" / "face-reidentification-retail-0095.xml"
    return path.read_bytes(), path.with_suffix(".bin").read_bytes()


def test_same_embeddings_as_recorded_from_openvino() -> None:
    pack = ready("open")
    plain = Reidentification(
        pack.checked("face-reidentification-retail-0095.onnx"),
        mirror=False,
        runtime=Runtime(threads=2),
    )
    np.testing.assert_allclose(plain.embed(_chips())[:, :8], REFERENCE, atol=2e-6)


def test_same_embeddings_as_openvino(published: tuple[bytes, bytes], tmp_path: Path) -> None:
    openvino = pytest.importorskip("openvino")
    for name, data in zip(("net.xml", "net.bin"), published, strict=True):
        (tmp_path / name).write_bytes(data)
    theirs = openvino.Core().compile_model(
        str(tmp_path / "net.xml"), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    ours = Reidentification(convert(*published).SerializeToString(), mirror=False)
    for chip in _chips():
        blob = np.ascontiguousarray(chip[..., ::-1].transpose(2, 0, 1)[None], np.float32)
        expected = next(iter(theirs(blob).values())).ravel()
        got = ours.embed([chip])[0]
        np.testing.assert_allclose(got, expected / np.linalg.norm(expected), atol=2e-6)


def test_converted_graph(published: tuple[bytes, bytes]) -> None:
    model = convert(*published)
    onnx.checker.check_model(model)
    kinds = [node.op_type for node in model.graph.node]
    assert kinds.count("Conv") == 63 + 17
    assert kinds.count("LeakyRelu") == 48
    assert (
        model.graph.output[0].type.tensor_type.shape.dim[1].dim_value
        == Reidentification.embedding_length
    )


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ('type="Sigmoid"', 'type="Softmax"'),
        ('auto_pad="explicit"', 'auto_pad="same_upper"'),
        ('rounding_type="floor"', 'rounding_type="ceil"'),
        ('element_type="f16"', 'element_type="i64"'),
        ('shape="1,3,128,128"', 'shape="1,4,128,128"'),
        ("<edge ", "<edgy "),
        ("</net>", ""),
    ],
)
def test_ir_of_another_network_is_refused(
    published: tuple[bytes, bytes], pattern: str, text: str
) -> None:
    xml, weights = published
    changed = re.sub(re.escape(pattern).encode(), text.encode(), xml)
    assert changed != xml
    with pytest.raises(PackError, match="the IR is not that of a known recogniser"):
        convert(changed, weights)


@pytest.mark.parametrize("keep", [0, 1000, 2_000_000])
def test_truncated_weights_are_refused(published: tuple[bytes, bytes], keep: int) -> None:
    xml, weights = published
    with pytest.raises(PackError, match="the IR is not that"):
        convert(xml, weights[:keep])
