"""Static quantisation to 8 bits: uint8 activations, int8 weights per output channel.

This is not taken from a toolkit, because the result must have the same bytes on every machine and
with every version, and because the ranges of the activations come from a file, not from a run. The
scheme is the ONNX QDQ format (QuantizeLinear and DequantizeLinear around each operator):
``real = (stored - zero) * scale``.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto

from app.errors import PackError
from app.packs.convert.onnx_graph import GraphWriter, attributes, constants, serialise
from app.packs.convert import ConverterInput, Ranges, centerface
from app.packs.convert.weight_equalisation import equalise

CENTERFACE_FLOAT: Final = frozenset({"365", "maps"})
"""Activations of CenterFace that stay in float32. With 8 bits in the first activation or in the
heads, faces are missed and boxes are less precise."""


@dataclass(frozen=True, slots=True)
class Scale:
    """``real = (stored - zero) * step``."""

    step: np.float32
    zero: int


def convert_centerface(given: ConverterInput) -> bytes:
    """Return the file of CenterFace, rewritten, equalised and quantised."""
    model = equalise(centerface.convert(given.data), given.calibration.octaves)
    return serialise(quantise(model, given.calibration.ranges, CENTERFACE_FLOAT))


def quantised_activations(model: ModelProto, keep_float: frozenset[str] = frozenset()) -> list[str]:
    """Return the activations whose ranges ``quantise`` needs, in order."""
    followers = _relu_of(model)
    names = [
        followers.get(node.output[0], node.output[0])
        for node in model.graph.node
        if node.op_type in {"Conv", "Add"}
    ]
    return [name for name in dict.fromkeys(names) if name not in keep_float]


def quantise(
    model: ModelProto, ranges: Ranges, keep_float: frozenset[str] = frozenset()
) -> ModelProto:
    """Quantise every activation to 8 bits, except those in ``keep_float``.

    A convolution between two quantised activations gets an int8 kernel; the others stay the same.
    ``pixels``, the cast input, has 8 bits already and loses nothing.

    Raises:
        PackError: the range of an activation is missing.
    """
    quantiser = _Quantiser(model, ranges, keep_float)
    for node in model.graph.node:
        quantiser.add(node)
    source, result = model.graph.input[0], model.graph.output[0]
    return quantiser.writer.model(
        model.graph.name,
        (source.name, TensorProto.UINT8, _shape(source)),
        (result.name, _shape(result)),
    )


class _Quantiser:
    """Writes node after node, and keeps track of the activations that are in 8 bits."""

    def __init__(self, model: ModelProto, ranges: Ranges, keep_float: frozenset[str]) -> None:
        self.writer = GraphWriter()
        self._weights = constants(model.graph)
        self._relus = _relu_of(model)
        self._ranges = ranges
        self._keep_float = keep_float
        self._unrounded = keep_float | set(self._relus)
        self._scales: dict[str, Scale] = {"pixels": Scale(np.float32(1), 0)}
        self._real: dict[str, str] = {}

    def add(self, node: NodeProto) -> None:
        output = node.output[0]
        inputs = [self._real.get(name, name) for name in node.input]
        if output == "pixels":
            self._real[output] = self._dequantise(node.input[0], output)
            return
        rounded = self._relus.get(output, output) not in self._keep_float
        if node.op_type == "Conv" and rounded and node.input[0] in self._scales:
            self._convolution(node, inputs[0])
        else:
            for name in inputs:
                if name in self._weights:
                    self.writer.constant(name, self._weights[name])
            self.writer.node(node.op_type, inputs, output, **attributes(node))
        self._round(node)

    def _round(self, node: NodeProto) -> None:
        """Store the output of ``node`` in 8 bits, unless a ReLU follows it."""
        output = node.output[0]
        if node.op_type == "DepthToSpace":
            self._scales[output] = self._scales[node.input[0]]
        elif node.op_type in {"Conv", "Add", "Relu"} and output not in self._unrounded:
            self._scales[output] = _scale(self._ranges, output)
        else:
            return
        stored = self.writer.node(
            "QuantizeLinear", [output, *self._constants(output)], f"{output}.q"
        )
        self._real[output] = self._dequantise(stored, output)

    def _dequantise(self, source: str, name: str) -> str:
        inputs = [source, *self._constants(name)]
        return self.writer.node("DequantizeLinear", inputs, f"{name}.dq")

    def _constants(self, name: str) -> list[str]:
        scale = self._scales[name]
        return [
            self.writer.constant(f"{name}.scale", np.asarray(scale.step, np.float32)),
            self.writer.constant(f"{name}.zero", np.asarray(scale.zero, np.uint8)),
        ]

    def _convolution(self, node: NodeProto, source: str) -> None:
        """Write a convolution with int8 kernel and int32 bias, both scaled per output channel."""
        kernel, bias = (self._weights[name].astype(np.float64) for name in node.input[1:])
        input_step = float(self._scales[node.input[0]].step)
        peak = np.abs(kernel).reshape(len(kernel), -1).max(axis=1)
        # With a smaller step the int32 bias would overflow.
        floor = np.abs(bias) / (input_step * 2**30)
        step = np.maximum(np.maximum(peak / 127, floor), 1e-12).astype(np.float32)
        stored = np.rint(kernel / step.astype(np.float64)[:, None, None, None])
        bias_step = (step * np.float32(input_step)).astype(np.float32)
        offset = np.rint(bias / bias_step.astype(np.float64)).astype(np.int32)
        values = [
            self._per_channel(node.input[1], np.clip(stored, -127, 127).astype(np.int8), step),
            self._per_channel(node.input[2], offset, bias_step),
        ]
        self.writer.node("Conv", [source, *values], node.output[0], **attributes(node))

    def _per_channel(
        self, name: str, stored: NDArray[np.signedinteger[Any]], step: NDArray[np.float32]
    ) -> str:
        parts = [
            self.writer.constant(f"{name}.q", stored),
            self.writer.constant(f"{name}.scale", step),
            self.writer.constant(f"{name}.zero", np.zeros(len(step), stored.dtype)),
        ]
        return self.writer.node("DequantizeLinear", parts, f"{name}.dq", axis=0)


def _relu_of(model: ModelProto) -> dict[str, str]:
    """Map each activation that is used by a ReLU only to the output of that ReLU."""
    uses: dict[str, list[NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            uses.setdefault(name, []).append(node)
    return {
        name: nodes[0].output[0]
        for name, nodes in uses.items()
        if len(nodes) == 1 and nodes[0].op_type == "Relu"
    }


def _scale(ranges: Ranges, name: str) -> Scale:
    """Return the scale and zero point that map a range, including 0, to 0..255."""
    if name not in ranges:
        raise PackError(f"no calibrated range for {name}; run bench/calibrate_detector.py")
    low, high = min(0.0, ranges[name][0]), max(0.0, ranges[name][1])
    step = np.float32(max(high - low, 1e-6) / 255)
    return Scale(step, int(np.clip(np.rint(-low / float(step)), 0, 255)))


def _shape(item: ValueInfoProto) -> list[str | int]:
    return [dim.dim_param or dim.dim_value for dim in item.type.tensor_type.shape.dim]
