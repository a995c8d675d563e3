"""Layers of TransNet V2 as ONNX: products, and how each frame compares with those around it."""

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from app.networks.onnx_graph import GraphWriter

REACH = 50
"""Each frame is compared with so many before and after it."""
FACTS = 128
"""What each comparison is reduced to, and each frame before its content is compared."""
_LEAST_LENGTH = 1e-12
_LEVELS = 8
"""Parts that each colour is divided into: 512 colours in all."""

Array: TypeAlias = NDArray[np.float64]
Tensors: TypeAlias = Mapping[str, NDArray[Any]]


def get(tensors: Tensors, name: str, *shape: int) -> Array:
    """A tensor, which must have this shape.

    Raises:
        KeyError: there is none of this name.
        ValueError: it has another shape.
    """
    found = tensors[name]
    if found.shape != shape:
        raise ValueError(f"{name}: expected shape {shape}, got {found.shape}")
    return np.asarray(found, np.float64)


def convolve(writer: GraphWriter, source: str, name: str, kernel: Array, **attributes: Any) -> str:
    """A convolution without bias: kernel (out, in, h, w)."""
    weight = writer.constant(f"{name}.weight", kernel.astype(np.float32))
    sides = list(kernel.shape[2:])
    return writer.node("Conv", [source, weight], name, kernel_shape=sides, **attributes)


def multiply(writer: GraphWriter, source: str, name: str, weight: Array, bias: Array) -> str:
    """A dense layer: weight (out, in), bias (out,)."""
    values = [
        writer.constant(f"{name}.weight", weight.astype(np.float32)),
        writer.constant(f"{name}.bias", bias.astype(np.float32)),
    ]
    return writer.node("Gemm", [source, *values], name, transB=1)


def histogram(writer: GraphWriter) -> str:
    """How often each of 512 colours is in each frame, (n, 512).

    A product of matrices counts: pixels by red and green (64) with pixels by blue (8).
    """
    eighth = writer.constant("eighth", np.array(_LEVELS / 256, np.float32))
    writer.node("Mul", ["pixels", eighth], "levels.exact")
    writer.node("Floor", ["levels.exact"], "levels")
    numbers = np.array([[_LEVELS, 1, 0], [0, 0, 1]], np.float64)[:, :, None, None]
    convolve(writer, "levels", "numbers", numbers)
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


def compared(writer: GraphWriter, tensors: Tensors, source: str, layer: str, name: str) -> str:
    """Cosines of each frame of ``source`` with those around it, reduced to (n, 128)."""
    writer.node("ReduceL2", [source], f"{name}.length", axes=[1])
    least = writer.constant("least", np.array(_LEAST_LENGTH, np.float32))
    writer.node("Max", [f"{name}.length", least], f"{name}.safe")
    writer.node("Div", [source, f"{name}.safe"], f"{name}.unit")
    writer.node("Transpose", [f"{name}.unit"], f"{name}.turned", perm=[1, 0])
    writer.node("MatMul", [f"{name}.unit", f"{name}.turned"], f"{name}.cosines")
    around = _diagonals(writer, f"{name}.cosines", name)
    weight = get(tensors, f"{layer}.weight", FACTS, 2 * REACH + 1)
    multiply(writer, around, f"{name}.dense", weight, get(tensors, f"{layer}.bias", FACTS))
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
