"""Face networks that MXNet exported, corrected so that ONNX Runtime runs them.

Those of the ONNX model zoo (``arcfaceresnet100-8.onnx``, Apache-2.0) and of OpenCV Zoo
(``face_recognition_sface_2021dec.onnx``, Apache-2.0) were exported by it. Its faults, of which a
file has some or none:

- weights are inputs too, which keeps a runtime from folding anything;
- normalisations are marked as not spatial (``spatial`` = 0), although their parameters are one for
  each channel, which contradicts the operator (https://github.com/onnx/models/issues/242);
- slopes of ``PRelu`` are one for each channel, but of a shape that matches columns
  (https://github.com/microsoft/onnxruntime/issues/3205).
"""

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from app.errors import PackError
from app.networks.onnx_graph import IR_VERSION

_PARAMETERS = 4
"""Of a normalisation: scale, bias, mean and variance."""


def convert(data: bytes) -> onnx.ModelProto:
    """The published file corrected; one that has no fault still computes the same.

    Raises:
        PackError: ``data`` is no ONNX file, or not a network from one picture to one vector.
    """
    try:
        model = onnx.load_model_from_string(data)
    except Exception as error:
        raise PackError(f"the face network is not an ONNX file: {error}") from error
    graph = model.graph
    weights = {tensor.name: tensor for tensor in graph.initializer}
    inputs = [item for item in graph.input if item.name not in weights]
    if len(inputs) != 1 or len(graph.output) != 1:
        raise PackError("the face network is not the published one: inputs or outputs differ")
    nodes = [_corrected(node, weights) for node in graph.node]
    return helper.make_model(
        helper.make_graph(nodes, graph.name, inputs, list(graph.output), list(weights.values())),
        opset_imports=list(model.opset_import),
        ir_version=IR_VERSION,
        producer_name="face-blur",
    )


def _corrected(node: NodeProto, weights: dict[str, TensorProto]) -> NodeProto:
    """The node, without its fault; slopes are replaced in ``weights``."""
    if node.op_type == "PRelu" and node.input[1] in weights:
        slopes = weights[node.input[1]]
        if len(slopes.dims) == 1:
            column = np.reshape(numpy_helper.to_array(slopes), (-1, 1, 1))
            weights[slopes.name] = numpy_helper.from_array(column, slopes.name)
    if node.op_type != "BatchNormalization":
        return node
    shapes = [weights[name].dims for name in node.input[1:] if name in weights]
    if len(shapes) != _PARAMETERS or any(len(shape) != 1 for shape in shapes):
        raise PackError(f"the face network is not the published one: {node.name} is not by channel")
    spatial = NodeProto()
    spatial.CopyFrom(node)
    del spatial.attribute[:]
    spatial.attribute.extend(item for item in node.attribute if item.name != "spatial")
    return spatial
