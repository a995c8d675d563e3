"""Static quantisation to 8 bits: uint8 activations, int8 weights per output channel.

This is not taken from a toolkit, because the result must have the same bytes on every machine and
with every version, and because the ranges of the activations come from a file, not from a run. The
scheme is the ONNX QDQ format (QuantizeLinear and DequantizeLinear around each operator):
``real = (stored - zero) * scale``.

Weight equalisation comes first: it gives the channels of an activation similar ranges. An 8-bit
activation has one scale for all of its channels. In CenterFace the ranges of channels differ by
factors of hundreds, and the small ones would be rounded to zero. A ReLU preserves positive factors,
so the channels before it can be enlarged, and the kernel after it reduced, without changing the
output of the network (Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias
Correction", https://arxiv.org/abs/1906.04721). The factors are powers of two, so the float32 result
is the same to the last bit.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, numpy_helper

from app.errors import PackError
from app.packs.convert import ConverterInput, Octaves, Ranges, centerface
from app.packs.convert.onnx_graph import GraphWriter, attributes, constants, serialise

_MAX_OCTAVE: Final = 9
"""The largest power of two: calibrations store one digit per channel."""
CENTERFACE_FLOAT: Final = frozenset({"365", "maps"})
"""Activations of CenterFace that stay in float32. With 8 bits in the first activation or in the
heads, faces are missed and boxes are less precise."""


def equalisable(model: ModelProto) -> Iterator[tuple[str, NodeProto, NodeProto, bool]]:
    """Find the activations that have only a ReLU between two convolutions.

    Yields:
        The activation's name, the convolution before it, the one after it, and whether the latter
        is depthwise (treats each channel separately).
    """
    makers = {node.output[0]: node for node in model.graph.node}
    users: dict[str, list[NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    weights = constants(model.graph)
    for relu in (node for node in model.graph.node if node.op_type == "Relu"):
        before, after = makers[relu.input[0]], users.get(relu.output[0], [])
        if before.op_type == "Conv" and [node.op_type for node in after] == ["Conv"]:
            depthwise = weights[after[0].input[1]].shape[1] == 1
            yield relu.output[0], before, after[0], depthwise


def factors(peaks: NDArray[np.float32], *, depthwise: bool) -> str:
    """Choose the power of two for each channel, as digits.

    Before a depthwise convolution the channels get the same range. Elsewhere they get half of the
    correction (in octaves), because there all channels share the scale of a kernel.

    Args:
        peaks: (C,) the largest value of each channel.
        depthwise: whether the next convolution is depthwise.

    >>> factors(np.float32([8, 4, 0.5, 0]), depthwise=True)
    '0149'
    >>> factors(np.float32([8, 2]), depthwise=False)
    '01'
    """
    top = float(peaks.max())
    ratio = np.log2(top / np.maximum(peaks, max(top, 1e-9) * 2.0**-20)) if top > 0 else peaks * 0
    octaves = np.floor(ratio) if depthwise else np.rint(ratio / 2)
    return "".join(str(int(octave)) for octave in np.clip(octaves, 0, _MAX_OCTAVE))


def equalise(model: ModelProto, octaves: Octaves) -> ModelProto:
    """Enlarge channels by ``2 ** octave``; the output of the model stays the same.

    Raises:
        PackError: ``octaves`` does not match the model.
    """
    weights = {name: values.copy() for name, values in constants(model.graph).items()}
    for name, before, after, depthwise in equalisable(model):
        kernel, bias, next_kernel = before.input[1], before.input[2], after.input[1]
        digits = octaves.get(name, "")
        if len(digits) != len(weights[bias]) or not digits.isdigit():
            raise PackError(f"no calibrated channels for {name}; run bench/calibrate_detector.py")
        factor = np.ldexp(np.float32(1), [int(digit) for digit in digits])
        weights[kernel] *= factor[:, None, None, None]
        weights[bias] *= factor
        shape = (-1, 1, 1, 1) if depthwise else (1, -1, 1, 1)
        weights[next_kernel] /= factor.reshape(shape)
    result = ModelProto()
    result.CopyFrom(model)
    for tensor in result.graph.initializer:
        tensor.CopyFrom(numpy_helper.from_array(weights[tensor.name], tensor.name))
    return result


@dataclass(frozen=True, slots=True)
class Scale:
    """``real = (stored - zero) * step``."""

    step: np.float32
    zero: int


def convert_centerface(published: ConverterInput) -> bytes:
    """Return the file of CenterFace, rewritten, equalised and quantised."""
    model = equalise(centerface.convert(published.data), published.calibration.octaves)
    return serialise(quantise(model, published.calibration.ranges, CENTERFACE_FLOAT))


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
