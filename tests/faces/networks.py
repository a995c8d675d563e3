"""Tiny ONNX networks with the signatures of networks that are too large for tests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

from app.faces.recognisers import ARCFACE_CHIP
from app.packs.convert.onnx_graph import serialise
from app.types import Embeddings, Image

Shape = Sequence[int | str | None]


def network(
    nodes: Sequence[NodeProto],
    inputs: Mapping[str, Shape],
    outputs: Mapping[str, Shape],
    weights: Mapping[str, NDArray[Any]],
    *,
    opset: int = 11,
    ir_version: int = 6,
) -> bytes:
    """Return the bytes of an ONNX file. ``inputs`` may also list weights."""
    graph = helper.make_graph(
        list(nodes),
        "tiny",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in inputs.items()],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in outputs.items()],
        [numpy_helper.from_array(_stored(v), n) for n, v in weights.items()],
    )
    opsets = [helper.make_opsetid("", opset)]
    return serialise(helper.make_model(graph, opset_imports=opsets, ir_version=ir_version))


def _stored(values: NDArray[Any]) -> NDArray[Any]:
    """Convert floating-point numbers to single floats; keep integers."""
    return values if values.dtype.kind == "i" else values.astype(np.float32)


def recogniser(
    dimension: int,
    *,
    batch: int | str = 1,
    scaling: bool = True,
    names: tuple[str, str] = ("data", "fc1"),
    side: int = ARCFACE_CHIP,
) -> bytes:
    """Return a recogniser of a chip's mean colour; ``embedding`` computes its output.

    Args:
        dimension: length of the output.
        batch: the batch of the input, a number or a name.
        scaling: whether the network itself subtracts 127.5 and divides by 128, as with MXNet.
        names: the names of input and output.
        side: the side of a chip in pixels.
    """
    nodes = []
    source = names[0]
    if scaling:
        nodes.append(helper.make_node("Sub", [source, "mean"], ["centred"], name="_minusscalar0"))
        nodes.append(helper.make_node("Mul", ["centred", "std"], ["scaled"], name="_mulscalar0"))
        source = "scaled"
    nodes.append(helper.make_node("GlobalAveragePool", [source], ["pool"], name="pool0"))
    nodes.append(helper.make_node("Flatten", ["pool"], ["colours"], name="flatten0"))
    nodes.append(helper.make_node("Gemm", ["colours", "matrix", "bias"], [names[1]], name="fc"))
    weights = {"matrix": matrix(dimension), "bias": np.linspace(-0.1, 0.1, dimension)}
    if scaling:
        weights |= {"mean": np.array([127.5]), "std": np.array([1 / 128])}
    shapes: tuple[Shape, Shape] = ([batch, 3, side, side], [batch, dimension])
    return network(nodes, {names[0]: shapes[0]}, {names[1]: shapes[1]}, weights)


def matrix(dimension: int) -> NDArray[np.float64]:
    """Return the (3, dimension) weights of ``recogniser``, which differ for each colour."""
    return np.random.default_rng(8).normal(size=(3, dimension))


def embedding(chip: Image, dimension: int, divisor: float = 128.0) -> Embeddings:
    """Return the embedding of an RGB chip that is scaled to (x - 127.5) / ``divisor``."""
    colours = (chip.reshape(-1, 3).mean(axis=0) - 127.5) / divisor
    raw = colours @ matrix(dimension) + np.linspace(-0.1, 0.1, dimension)
    return np.asarray(raw / np.linalg.norm(raw), np.float32)


def chips(count: int) -> list[Image]:
    """Return chips of different colours with noise."""
    generator = np.random.default_rng(6)
    colours = generator.integers(40, 215, (count, 1, 1, 3))
    noise = generator.integers(-40, 40, (count, ARCFACE_CHIP, ARCFACE_CHIP, 3))
    return list((colours + noise).astype(np.uint8))


@dataclass(frozen=True, slots=True)
class Map:
    """An output of ``detector``: one or more rows of values for each square of an image.

    The values of a square of ``stride`` pixels are ``kernel`` (values, 3) times its mean colour,
    plus ``bias`` (values,). ``shape`` is that of the output, with -1 for the rows.
    """

    stride: int
    shape: tuple[int, ...]
    kernel: NDArray[np.float64]
    bias: NDArray[np.float64]


def constant(stride: int, shape: tuple[int, ...], values: Sequence[float]) -> Map:
    """Return a map with the same values everywhere."""
    return Map(stride, shape, np.zeros((len(values), 3)), np.asarray(values, np.float64))


def detector(source: str, size: tuple[int | str, int | str], maps: Mapping[str, Map]) -> bytes:
    """Return a detector from (1, 3, h, w) to maps.

    Args:
        source: the name of the input.
        size: the width and height of the input, numbers or names.
        maps: the outputs in order.
    """
    nodes: list[NodeProto] = []
    weights: dict[str, NDArray[Any]] = {}
    for name, one in maps.items():
        mean, kernel, bias, shape = (f"{name}.{part}" for part in ("mean", "kernel", "bias", "to"))
        weights |= {kernel: one.kernel[:, :, None, None], bias: one.bias}
        weights[shape] = np.array(one.shape, np.int64)
        square = [one.stride, one.stride]
        pool = helper.make_node(
            "AveragePool", [source], [mean], kernel_shape=square, strides=square
        )
        nodes += [
            pool,
            helper.make_node("Conv", [mean, kernel, bias], [f"{name}.planes"]),
            helper.make_node("Transpose", [f"{name}.planes"], [f"{name}.rows"], perm=[0, 2, 3, 1]),
            helper.make_node("Reshape", [f"{name}.rows", shape], [name]),
        ]
    shapes = {n: [None if side < 0 else side for side in one.shape] for n, one in maps.items()}
    return network(nodes, {source: [1, 3, size[1], size[0]]}, shapes, weights)
