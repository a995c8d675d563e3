"""dlib's face recognition ResNet, converted from its .dat file to ONNX.

The file (CC0, https://github.com/davisking/dlib-models) is a dlib serialisation of the layers, from
input to output. Two encodings matter here:

- An integer is a control byte, whose low four bits are the number of bytes that follow and whose
  top bit is the sign, and then the bytes in little-endian order.
- A tensor is the version 2, the numbers of samples, channels, rows and columns, and then
  little-endian float32 values. It follows the name of its layer: ``con_4`` has the kernels and then
  the biases of a convolution, ``affine_`` the scales and then the shifts of its channels, and
  ``fc_2`` (after the numbers of outputs and inputs) a matrix.

The layers are those of dlib's example ``dnn_face_recognition_ex.cpp``, described in
http://blog.dlib.net/2017/02/high-quality-face-recognition-with-deep.html.
"""

import math
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto

from app.errors import PackError
from app.packs.convert import ConverterInput
from app.packs.convert.onnx_graph import GraphWriter, serialise

CHIP = 150
"""Side of the input chip in pixels."""
DIMENSION = 128
MEAN = (122.782, 117.001, 104.298)
"""The mean RGB that dlib's input layer subtracts before it divides by 256."""
BLOCKS = ((32, 3, False), (64, 4, True), (128, 3, True), (256, 3, True), (256, 1, True))
"""Residual stages: channels, blocks, and whether the first block halves the resolution."""
_CONVOLUTION, _AFFINE, _MATRIX = b"\x05con_4", b"\x07affine_", b"\x04fc_2"

_Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Layer:
    """A convolution with its affine layer folded in: kernel (out, in, k, k), bias (out,)."""

    kernel: _Array
    bias: _Array


def convert_file(published: ConverterInput) -> bytes:
    """Return the file of the converted network; see ``convert``."""
    return serialise(convert(published.data))


def convert(data: bytes) -> onnx.ModelProto:
    """Convert to a network from ``chips`` (n, 150, 150, 3) uint8 RGB to ``embeddings`` (n, 128).

    As in dlib, the embeddings are not of unit length.

    Raises:
        PackError: ``data`` is not the published network.
    """
    try:
        tensors = _tensors(data)
        matrix = tensors.pop()
        pairs = list(zip(tensors[::2], tensors[1::2], strict=True))
        layers = _layers(pairs)
        return _network(layers, matrix.reshape(layers[-1].bias.size, DIMENSION))
    except (ValueError, IndexError) as error:
        raise PackError(f"the dlib file is not the published face network: {error}") from error


def _integer(data: bytes, at: int) -> tuple[int, int]:
    """Return the integer at offset ``at``, and the offset after it."""
    end = at + 1 + (data[at] & 0x0F)
    value = int.from_bytes(data[at + 1 : end], "little")
    return (-value if data[at] & 0x80 else value), end


def _tensor(data: bytes, at: int) -> tuple[_Array, int]:
    """Return the tensor at offset ``at``, flat, and the offset after it."""
    fields = []
    for _ in range(5):
        value, at = _integer(data, at)
        fields.append(value)
    version, count = fields[0], int(np.prod(fields[1:]))
    if version != 2 or not 0 < count <= len(data) // 4:
        raise ValueError(f"tensor of version {version} with {count} values")
    values = np.frombuffer(data, "<f4", count, at).astype(np.float64)
    return values, at + 4 * count


def _tensors(data: bytes) -> list[_Array]:
    """Return every tensor in the order of the file: convolution, affine, ..., matrix."""
    tensors: list[_Array] = []
    at = 0
    while True:
        name = _AFFINE if len(tensors) % 2 else _CONVOLUTION
        start = data.find(name, at)
        if start < 0:
            break
        values, at = _tensor(data, start + len(name))
        tensors.append(values)
    at = data.index(_MATRIX, at) + len(_MATRIX)
    for _ in range(2):
        _, at = _integer(data, at)
    return [*tensors, _tensor(data, at)[0]]


def _layers(pairs: list[tuple[_Array, _Array]]) -> list[Layer]:
    """Fold affine layers into their convolutions, and the scaling of the input into the first."""
    layers: list[Layer] = []
    channels = 3
    for values, affine in pairs:
        count = affine.size // 2
        gain, shift = affine[:count], affine[count:]
        side = 7 if not layers else 3
        kernel = values[:-count].reshape(count, channels, side, side) * gain[:, None, None, None]
        bias = values[-count:] * gain + shift
        if not layers:  # it has no padding, so (x - mean) / 256 can be folded in
            kernel = kernel / 256
            products = (kernel * np.reshape(MEAN, (1, 3, 1, 1))).reshape(count, -1)
            # Exactly rounded: the order in which NumPy adds depends on the CPU.
            bias = bias - np.array([math.fsum(row) for row in products])
        layers.append(Layer(kernel, bias))
        channels = count
    return layers


def _network(layers: list[Layer], matrix: _Array) -> onnx.ModelProto:
    writer = GraphWriter()
    queue = iter(enumerate(layers))
    writer.node("Transpose", ["chips"], "planes", perm=[0, 3, 1, 2])
    writer.node("Cast", ["planes"], "pixels", to=TensorProto.FLOAT)
    _convolve(writer, next(queue), "pixels", "stem", stride=2)
    writer.node("Relu", ["stem"], "stem.relu")
    name = writer.node("MaxPool", ["stem.relu"], "stem.pool", kernel_shape=[3, 3], strides=[2, 2])
    side = ((CHIP - 7) // 2 + 1 - 3) // 2 + 1
    block = 0
    width = layers[0].bias.size
    for channels, count, down in BLOCKS:
        for index in range(count):
            halve = down and index == 0
            prefix = f"block{block}"
            first = _convolve(writer, next(queue), name, f"{prefix}.a", 2 if halve else 1)
            writer.node("Relu", [first], f"{prefix}.relu")
            second = _convolve(writer, next(queue), f"{prefix}.relu", f"{prefix}.b", 1)
            skip = name
            if halve:
                skip, second, side = _halve(writer, prefix, (name, second), side, channels - width)
            writer.node("Add", [second, skip], f"{prefix}.sum")
            name = writer.node("Relu", [f"{prefix}.sum"], f"{prefix}.out")
            block, width = block + 1, channels
    if next(queue, None) is not None:
        raise ValueError(f"{len(layers)} convolutions")
    writer.node("GlobalAveragePool", [name], "pool")
    writer.node("Flatten", ["pool"], "features")
    writer.constant("matrix", matrix.astype(np.float32))
    writer.node("MatMul", ["features", "matrix"], "embeddings")
    return writer.model(
        "dlib_resnet",
        ("chips", TensorProto.UINT8, ["n", CHIP, CHIP, 3]),
        ("embeddings", ["n", DIMENSION]),
    )


def _convolve(
    writer: GraphWriter, numbered: tuple[int, Layer], source: str, name: str, stride: int
) -> str:
    """Write a convolution. As in dlib, only those with stride 1 are padded, to keep the size."""
    index, layer = numbered
    side = layer.kernel.shape[-1]
    values = [
        writer.constant(f"conv{index}.weight", layer.kernel.astype(np.float32)),
        writer.constant(f"conv{index}.bias", layer.bias.astype(np.float32)),
    ]
    pad = 0 if stride > 1 else side // 2
    return writer.node(
        "Conv",
        [source, *values],
        name,
        kernel_shape=[side, side],
        strides=[stride, stride],
        pads=[pad] * 4,
    )


def _halve(
    writer: GraphWriter, prefix: str, names: tuple[str, str], side: int, new_channels: int
) -> tuple[str, str, int]:
    """Halve the skip connection, and pad it and the branch with zeros to the same shape."""
    skip, branch = names
    branch_side, skip_side = (side - 3) // 2 + 1, side // 2
    writer.node("AveragePool", [skip], f"{prefix}.skip", kernel_shape=[2, 2], strides=[2, 2])
    skip = _pad(writer, f"{prefix}.skip", new_channels, max(0, branch_side - skip_side))
    branch = _pad(writer, branch, 0, max(0, skip_side - branch_side))
    return skip, branch, max(branch_side, skip_side)


def _pad(writer: GraphWriter, name: str, channels: int, pixels: int) -> str:
    """Append channels of zeros, and zeros at the right and at the bottom."""
    if not channels and not pixels:
        return name
    amounts = np.array([0, 0, 0, 0, 0, channels, pixels, pixels], np.int64)
    return writer.node("Pad", [name, writer.constant(f"{name}.amounts", amounts)], f"{name}.padded")
