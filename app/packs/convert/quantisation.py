"""Static quantisation to 8 bits: uint8 activations, int8 weights per output channel.

Written here rather than taken from a toolkit because the result must be the same bytes on every
machine and version, and because the ranges of the activations come from a file, not from a run.
The scheme is that of the ONNX QDQ format (QuantizeLinear / DequantizeLinear around each operator):
``real = (stored - zero) * scale``.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto

from app.errors import PackError
from app.networks.onnx_graph import GraphWriter, attributes, constants

KEEP_FLOAT = frozenset({"365", "maps"})
"""CenterFace: the first activation and the heads lose faces and precision in 8 bits."""
Ranges = Mapping[str, tuple[float, float]]
"""Smallest and largest value of each activation."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """What was measured on pictures: ``octaves`` for ``equalise``, then ``ranges``."""

    ranges: Ranges
    octaves: Mapping[str, str]

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what ``to_json`` wrote.

        Raises:
            ValueError: it is something else.
        """
        table = json.loads(text)
        try:
            ranges = {
                name: (float(low), float(high)) for name, (low, high) in table["ranges"].items()
            }
            return cls(ranges, {name: str(digits) for name, digits in table["octaves"].items()})
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"expected tables of ranges and octaves: {error!r}") from error

    def to_json(self) -> str:
        """As text, one activation per line."""
        tables = (
            (key, ",\n".join(f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in table.items()))
            for key, table in (("octaves", self.octaves), ("ranges", self.ranges))
        )
        return "{\n" + ",\n".join(f'"{key}": {{\n{lines}\n}}' for key, lines in tables) + "\n}\n"


NO_CALIBRATION = Calibration({}, {})


@dataclass(frozen=True, slots=True)
class Scale:
    """``real = (stored - zero) * step``."""

    step: np.float32
    zero: int


def observed(model: ModelProto, keep_float: frozenset[str] = frozenset()) -> list[str]:
    """The activations whose ranges ``quantise`` needs: one for each place that is rounded."""
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
    """The model with every activation rounded to 8 bits, except those of ``keep_float``.

    A convolution between two rounded activations gets an int8 kernel; every other one stays as it
    is. ``pixels``, the cast input, is 8 bits already and loses nothing.

    Raises:
        PackError: a range is missing.
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
    """Writes one node after the other; knows which activations are stored in 8 bits by then."""

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
        """Store the output of ``node`` in 8 bits, where it is final: after its ReLU, if any."""
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
        """A convolution over an int8 kernel and an int32 bias, both scaled per output channel."""
        kernel, bias = (self._weights[name].astype(np.float64) for name in node.input[1:])
        input_step = float(self._scales[node.input[0]].step)
        peak = np.abs(kernel).reshape(len(kernel), -1).max(axis=1)
        # a step that is too small would let the int32 bias overflow
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
    """Which activations go into a ReLU and nowhere else, and what it gives."""
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
    """Scale and zero point that put a range, and zero, into 0..255."""
    if name not in ranges:
        raise PackError(f"no calibrated range for {name}: run bench/calibrate_detector.py")
    low, high = min(0.0, ranges[name][0]), max(0.0, ranges[name][1])
    step = np.float32(max(high - low, 1e-6) / 255)
    return Scale(step, int(np.clip(np.rint(-low / float(step)), 0, 255)))


def _shape(item: ValueInfoProto) -> list[str | int]:
    return [dim.dim_param or dim.dim_value for dim in item.type.tensor_type.shape.dim]
