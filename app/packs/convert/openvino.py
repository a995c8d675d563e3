"""A recogniser in OpenVINO's intermediate representation (IR), converted to ONNX.

An IR is two files. The XML file lists the layers and the edges between their ports; the binary file
has the constants, at offsets that the XML file states. Format:
https://docs.openvino.ai/2023.3/openvino_ir.html; layers:
https://docs.openvino.ai/2023.3/openvino_docs_ops_opset1.html.

Only the layers of ``face-reidentification-retail-0095`` are supported. Its weights are half floats;
they become single floats with the same values.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto

from app.errors import PackError
from app.packs.convert import ConverterInput
from app.packs.convert.onnx_graph import GraphWriter, serialise

_Array = NDArray[np.float32]
_TYPES = {"f16": "<f2", "f32": "<f4"}
_ELEMENTWISE = {"Add": "Add", "Multiply": "Mul", "Sigmoid": "Sigmoid"}
"""Layers without attributes, and the equivalent ONNX operators."""


@dataclass(frozen=True, slots=True)
class _Layer:
    """A layer: its ``data`` attributes, and the ids of the layers that feed its inputs."""

    id: str
    kind: str
    data: Mapping[str, str]
    inputs: tuple[str, ...]


def convert_file(published: ConverterInput) -> bytes:
    """Return the file of the converted network; see ``convert``."""
    return serialise(convert(published.data, published.companion))


def convert(xml: bytes, weights: bytes) -> onnx.ModelProto:
    """Convert to a network from ``chips`` (n, h, w, 3) uint8 RGB to ``embeddings`` (n, dimension).

    The IR takes one BGR image (1, 3, h, w) in 0..255. In the result the batch is free, and the
    graph reverses the channels. Embeddings are not of unit length.

    Raises:
        PackError: the files are not an IR of a recogniser, or have unsupported layers.
    """
    try:
        return _Conversion(_layers(xml), weights).model()
    except (ET.ParseError, KeyError, ValueError, IndexError) as error:
        raise PackError(f"the IR is not that of a known recogniser: {error}") from error


def _layers(xml: bytes) -> list[_Layer]:
    """Return the layers in the order of the file, in which inputs come first."""
    root = ET.fromstring(xml)  # noqa: S314 - its hash was checked
    sources: dict[str, dict[int, str]] = {}
    for edge in root.iterfind("edges/edge"):
        ports = sources.setdefault(edge.attrib["to-layer"], {})
        ports[int(edge.attrib["to-port"])] = edge.attrib["from-layer"]
    return [
        _Layer(
            id=layer.attrib["id"],
            kind=layer.attrib["type"],
            data=dict(found.attrib) if (found := layer.find("data")) is not None else {},
            inputs=tuple(
                source for _, source in sorted(sources.get(layer.attrib["id"], {}).items())
            ),
        )
        for layer in root.iterfind("layers/layer")
    ]


class _Conversion:
    """The conversion of one IR."""

    def __init__(self, layers: list[_Layer], weights: bytes) -> None:
        self._layers = layers
        self._weights = weights
        self._writer = GraphWriter()
        self._constants: dict[str, _Array] = {}
        self._names: dict[str, str] = {}
        self._shape, self._dimension = (0, 0), 0
        self._writers: dict[str, Callable[[_Layer], None]] = {
            "Parameter": self._parameter,
            "Const": self._const,
            "Convert": self._convert,
            "Convolution": self._convolution,
            "GroupConvolution": self._convolution,
            "AvgPool": self._pool,
            "PReLU": self._prelu,
            "Result": self._result,
            **dict.fromkeys(_ELEMENTWISE, self._elementwise),
        }

    def model(self) -> onnx.ModelProto:
        for layer in self._layers:
            if layer.kind not in self._writers:
                raise ValueError(f"layer {layer.id} is a {layer.kind}")
            self._writers[layer.kind](layer)
        height, width = self._shape
        return self._writer.model(
            "reidentification",
            ("chips", TensorProto.UINT8, ["n", height, width, 3]),
            ("embeddings", ["n", self._dimension]),
        )

    def _parameter(self, layer: _Layer) -> None:
        batch, channels, height, width = _numbers(layer.data["shape"])
        if self._names or (batch, channels) != (1, 3):
            raise ValueError("one input (1, 3, h, w) is expected")
        self._shape = height, width
        writer = self._writer
        order = writer.constant("blue_first", np.array([2, 1, 0], np.int64))
        writer.node("Transpose", ["chips"], "planes", perm=[0, 3, 1, 2])
        writer.node("Gather", ["planes", order], "turned", axis=1)
        self._names[layer.id] = writer.node("Cast", ["turned"], "pixels", to=TensorProto.FLOAT)

    def _const(self, layer: _Layer) -> None:
        kind = np.dtype(_TYPES[layer.data["element_type"]])
        start, size = int(layer.data["offset"]), int(layer.data["size"])
        values = np.frombuffer(self._weights[start : start + size], kind)
        shape = _numbers(layer.data["shape"])
        self._constants[layer.id] = values.reshape(shape).astype(np.float32)

    def _convert(self, layer: _Layer) -> None:
        """Do nothing: constants are read as single floats already."""
        self._constants[layer.id] = self._constants[layer.inputs[0]]

    def _named(self, source: str) -> str:
        """Return the name of a layer's output, writing it first if it is a constant."""
        if source in self._constants:
            return self._writer.constant(f"constant{source}", self._constants[source])
        return self._names[source]

    def _elementwise(self, layer: _Layer) -> None:
        inputs = [self._named(source) for source in layer.inputs]
        kind = _ELEMENTWISE[layer.kind]
        self._names[layer.id] = self._writer.node(kind, inputs, f"layer{layer.id}")

    def _prelu(self, layer: _Layer) -> None:
        """Write a LeakyRelu, which ONNX Runtime fuses well: all channels share one slope."""
        source, slopes = layer.inputs
        (slope,) = self._constants[slopes].ravel().tolist()
        self._names[layer.id] = self._writer.node(
            "LeakyRelu", [self._names[source]], f"layer{layer.id}", alpha=slope
        )

    def _convolution(self, layer: _Layer) -> None:
        source, kernel = layer.inputs
        values = self._constants[kernel]
        groups = 1
        if layer.kind == "GroupConvolution":  # (groups, out / groups, in / groups, h, w)
            groups = values.shape[0]
            values = values.reshape(-1, *values.shape[2:])
        self._names[layer.id] = self._writer.node(
            "Conv",
            [self._names[source], self._writer.constant(f"constant{kernel}", values)],
            f"layer{layer.id}",
            kernel_shape=list(values.shape[2:]),
            group=groups,
            dilations=_numbers(layer.data["dilations"]),
            **_window(layer),
        )

    def _pool(self, layer: _Layer) -> None:
        if layer.data["rounding_type"] != "floor" or any(_window(layer)["pads"]):
            raise ValueError(f"layer {layer.id} has an unsupported kind of pooling")
        self._names[layer.id] = self._writer.node(
            "AveragePool",
            [self._names[layer.inputs[0]]],
            f"layer{layer.id}",
            kernel_shape=_numbers(layer.data["kernel"]),
            **_window(layer),
        )

    def _result(self, layer: _Layer) -> None:
        (source,) = layer.inputs
        kernel = self._last_kernel(source)
        self._dimension = len(kernel)
        self._writer.node("Flatten", [self._names[source]], "embeddings")

    def _last_kernel(self, source: str) -> _Array:
        """Return the kernel of the nearest convolution before a layer."""
        by_id = {layer.id: layer for layer in self._layers}
        while by_id[source].kind not in {"Convolution", "GroupConvolution"}:
            source = by_id[source].inputs[0]
        return self._constants[by_id[source].inputs[1]]


def _window(layer: _Layer) -> dict[str, Any]:
    """Return the strides and pads of a convolution or a pool."""
    if layer.data["auto_pad"] != "explicit":
        raise ValueError(f"layer {layer.id} has automatic padding")
    pads = _numbers(layer.data["pads_begin"]) + _numbers(layer.data["pads_end"])
    return {"strides": _numbers(layer.data["strides"]), "pads": pads}


def _numbers(text: str) -> list[int]:
    """Parse whole numbers separated by commas.

    >>> _numbers("1, 3")
    [1, 3]
    """
    return [int(part) for part in text.split(",")]
