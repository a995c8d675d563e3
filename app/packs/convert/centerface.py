"""The published CenterFace network, rewritten to run much faster on a CPU.

The published file (MIT licence, https://github.com/Star-Clouds/CenterFace) uses opset 9, has a
fixed shape, and lists its weights as inputs, which prevents a runtime from folding constants. In
the rewritten network:

- Weights are constants, the batch and the sides are free, and the input is ``images``
  (n, h, w, 3) uint8 RGB.
- Each 2 x 2 transposed convolution with its batch normalisation becomes one 1 x 1 convolution and
  ``DepthToSpace``. The strides do not overlap, so the sum is the same, and it can be quantised.
- The four 1 x 1 heads become one, with the output ``maps`` (n, 15, h / 4, w / 4) float32: logit,
  log height, log width, offset y, x, then five landmarks as y, x.
"""

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto

from app.errors import PackError
from app.packs.convert import ConverterInput
from app.packs.convert.onnx_graph import GraphWriter, attributes, constants, serialise

HEADS = ("536", "538", "539", "540")
"""The outputs of the four head convolutions in the published graph."""
CHANNELS = 15

_Weights = dict[str, NDArray[Any]]


def convert_file(published: ConverterInput) -> bytes:
    """Return the file of the rewritten network; see ``convert``."""
    return serialise(convert(published.data))


def convert(data: bytes) -> onnx.ModelProto:
    """Rewrite the published network, in float32.

    Raises:
        PackError: ``data`` is not the published network.
    """
    try:
        graph = onnx.load_model_from_string(data).graph
    except Exception as error:
        raise PackError(f"centerface.onnx is not an ONNX file: {error}") from error
    weights = constants(graph)
    image = [item.name for item in graph.input if item.name not in weights]
    heads = {name for node in graph.node for name in node.output} & set(HEADS)
    if len(image) != 1 or len(heads) != len(HEADS):
        raise PackError("centerface.onnx is not the published network: inputs or heads differ")
    return _rewrite(list(graph.node), weights, image[0])


def _rewrite(nodes: list[NodeProto], weights: _Weights, image: str) -> onnx.ModelProto:
    writer = GraphWriter()
    writer.node("Transpose", ["images"], "planes", perm=[0, 3, 1, 2])
    writer.node("Cast", ["planes"], "pixels", to=TensorProto.FLOAT)
    names = {image: "pixels"}
    norms = {node.input[0]: node for node in nodes if node.op_type == "BatchNormalization"}
    normed = {node.output[0] for node in norms.values()}
    for node in nodes:
        inputs = [names.get(name, name) for name in node.input]
        if node.op_type == "ConvTranspose":
            norm = norms[node.output[0]]
            names[norm.output[0]] = _upsample(writer, inputs[0], node, norm, weights)
        elif node.op_type == "Relu" and node.input[0] in normed:
            names[node.output[0]] = inputs[0]  # applied before DepthToSpace
        elif node.op_type == "Conv" and node.output[0] not in HEADS:
            _convolution(writer, inputs, node, weights)
        elif node.op_type in {"Relu", "Add"}:
            writer.node(node.op_type, inputs, node.output[0])
    _heads(writer, nodes, weights, names)
    return writer.model(
        "centerface",
        ("images", TensorProto.UINT8, ["n", "h", "w", 3]),
        ("maps", ["n", CHANNELS, "map_h", "map_w"]),
    )


def _convolution(
    writer: GraphWriter, inputs: list[str], node: NodeProto, weights: _Weights
) -> None:
    values = [writer.constant(name, weights[name]) for name in node.input[1:]]
    writer.node("Conv", [inputs[0], *values], node.output[0], **attributes(node))


def _upsample(
    writer: GraphWriter, source: str, node: NodeProto, norm: NodeProto, weights: _Weights
) -> str:
    """Write a 2 x 2 transposed convolution of stride 2, its normalisation and its ReLU."""
    scale, bias, mean, variance = (weights[name].astype(np.float64) for name in norm.input[1:])
    factor = scale / np.sqrt(variance + attributes(norm)["epsilon"])
    kernel = weights[node.input[1]].astype(np.float64) * factor[None, :, None, None]
    # (in, out, 2, 2) to (2, 2, out, in): DepthToSpace reads channels as (row, column, channel)
    mixed = kernel.transpose(2, 3, 1, 0).reshape(-1, kernel.shape[0], 1, 1)
    shift = np.tile(bias - mean * factor, 4)
    name = node.output[0]
    values = [
        writer.constant(f"{name}.weight", mixed.astype(np.float32)),
        writer.constant(f"{name}.bias", shift.astype(np.float32)),
    ]
    writer.node("Conv", [source, *values], f"{name}.mixed", kernel_shape=[1, 1])
    writer.node("Relu", [f"{name}.mixed"], f"{name}.relu")
    return writer.node("DepthToSpace", [f"{name}.relu"], norm.output[0], blocksize=2)


def _heads(
    writer: GraphWriter, nodes: list[NodeProto], weights: _Weights, names: dict[str, str]
) -> None:
    by_output = {node.output[0]: node for node in nodes}
    heads = [by_output[name] for name in HEADS]
    source = heads[0].input[0]
    values = [
        writer.constant(f"heads.{part}", np.concatenate([weights[h.input[i]] for h in heads]))
        for i, part in ((1, "weight"), (2, "bias"))
    ]
    writer.node("Conv", [names.get(source, source), *values], "maps", kernel_shape=[1, 1])
