"""The correction of networks that MXNet exported, with a tiny network that has every fault."""

from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import helper

from app.errors import ModelError, PackError
from app.faces.recognisers import ARCFACE_CHIP, ArcFace
from app.packs.convert.mxnet import convert
from app.packs.convert.onnx_graph import serialise
from app.types import Image
from tests.faces.networks import network

DIMENSION = 512
GENERATOR = np.random.default_rng(9)
WEIGHTS: dict[str, NDArray[np.float64]] = {
    "bn_gamma": np.array([0.5, 1.0, 2.0]),
    "bn_beta": np.array([0.1, 0.0, -0.2]),
    "bn_mean": np.array([100.0, 120.0, 140.0]),
    "bn_var": np.array([900.0, 1600.0, 2500.0]),
    "relu_gamma": np.array([0.1, 0.25, 0.5]),
    "fc_weight": GENERATOR.normal(size=(3, DIMENSION)),
    "fc_bias": GENERATOR.normal(size=DIMENSION) * 0.1,
}
EPSILON = 2e-5


def _exported(
    *, spatial: int | None = 0, ir_version: int = 4, bn_gamma: NDArray[np.float64] | None = None
) -> bytes:
    """Return a network of a normalisation, a PReLU and a matrix, as MXNet writes them."""
    weights = WEIGHTS | ({} if bn_gamma is None else {"bn_gamma": bn_gamma})
    extra: dict[str, Any] = {} if spatial is None else {"spatial": spatial}
    parameters = ["data", "bn_gamma", "bn_beta", "bn_mean", "bn_var"]
    nodes = [
        helper.make_node(
            "BatchNormalization", parameters, ["bn"], name="bn", epsilon=EPSILON, **extra
        ),
        helper.make_node("PRelu", ["bn", "relu_gamma"], ["relu"], name="relu0"),
        helper.make_node("GlobalAveragePool", ["relu"], ["pool"], name="pool0"),
        helper.make_node("Flatten", ["pool"], ["flat"], name="flatten0"),
        helper.make_node("Gemm", ["flat", "fc_weight", "fc_bias"], ["fc1"], name="fc1"),
    ]
    shapes = {name: list(values.shape) for name, values in weights.items()}
    inputs = {"data": [1, 3, ARCFACE_CHIP, ARCFACE_CHIP], **shapes}
    return network(nodes, inputs, {"fc1": [1, DIMENSION]}, weights, opset=8, ir_version=ir_version)


def _expected(chip: Image) -> NDArray[np.float64]:
    """Return the embedding, computed from the definitions of the layers."""
    w = WEIGHTS
    deviation = np.sqrt(w["bn_var"] + EPSILON)
    normed = (chip - w["bn_mean"]) / deviation * w["bn_gamma"] + w["bn_beta"]
    rectified = np.where(normed > 0, normed, normed * w["relu_gamma"])
    raw = rectified.reshape(-1, 3).mean(axis=0) @ w["fc_weight"] + w["fc_bias"]
    return np.asarray(raw / np.linalg.norm(raw))


def _chip() -> Image:
    return np.random.default_rng(2).integers(0, 256, (ARCFACE_CHIP, ARCFACE_CHIP, 3), np.uint8)


@pytest.mark.parametrize("ir_version", [3, 4])
@pytest.mark.parametrize("spatial", [0, 1, None])
def test_corrected_network_computes_its_layers(spatial: int | None, ir_version: int) -> None:
    model = convert(_exported(spatial=spatial, ir_version=ir_version))
    onnx.checker.check_model(model, full_check=True)
    (embedding,) = ArcFace(serialise(model)).embed([_chip()])
    np.testing.assert_allclose(embedding, _expected(_chip()), atol=1e-5)


def test_runtime_fails_without_the_correction() -> None:
    with pytest.raises(ModelError, match="ArcFace failed on 1 chips"):
        ArcFace(_exported()).embed([_chip()])


def test_only_the_image_is_an_input() -> None:
    graph = convert(_exported()).graph
    assert [item.name for item in graph.input] == ["data"]
    assert {tensor.name for tensor in graph.initializer} == WEIGHTS.keys()


def test_corrected_file_does_not_change() -> None:
    once = convert(_exported())
    assert serialise(convert(serialise(once))) == serialise(once)


def test_normalisation_that_is_not_per_channel_is_refused() -> None:
    with pytest.raises(PackError, match="bn is not per channel"):
        convert(_exported(bn_gamma=np.ones((3, ARCFACE_CHIP, ARCFACE_CHIP))))


@pytest.mark.parametrize("data", [b"no model", b""])
def test_file_that_is_not_such_a_network(data: bytes) -> None:
    with pytest.raises(PackError, match="face network is not"):
        convert(data)
