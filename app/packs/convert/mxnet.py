"""Corrections to face networks that MXNet exported, without which ONNX Runtime cannot run them.

The networks of the ONNX model zoo (``arcfaceresnet100-8.onnx``, Apache-2.0) and of OpenCV Zoo
(``face_recognition_sface_2021dec.onnx``, Apache-2.0) were exported by MXNet. A file may have these
faults:

- Weights are listed as inputs, which prevents a runtime from folding constants.
- Normalisations are marked as not spatial (``spatial`` = 0), although they have one parameter per
  channel, which contradicts the operator (https://github.com/onnx/models/issues/242).
- Slopes of ``PRelu`` are one per channel, but have a shape that matches columns
  (https://github.com/microsoft/onnxruntime/issues/3205).
"""

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from app.errors import PackError
from app.packs.convert import ConverterInput
from app.packs.convert.onnx_graph import IR_VERSION, serialise

_NORMALISATION_PARAMETERS = 4
"""Scale, bias, mean and variance."""


def convert_file(published: ConverterInput) -> bytes:
    """Return the corrected file; see ``convert``."""
    return serialise(convert(published.data))


def convert(data: bytes) -> onnx.ModelProto:
    """Correct a published network. A network without faults still computes the same.

    Raises:
        PackError: ``data`` is not an ONNX network from one image to one vector.
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
    """Return the corrected node; slopes are replaced in ``weights``."""
    if node.op_type == "PRelu" and node.input[1] in weights:
        slopes = weights[node.input[1]]
        if len(slopes.dims) == 1:
            column = np.reshape(numpy_helper.to_array(slopes), (-1, 1, 1))
            weights[slopes.name] = numpy_helper.from_array(column, slopes.name)
    if node.op_type != "BatchNormalization":
        return node
    shapes = [weights[name].dims for name in node.input[1:] if name in weights]
    if len(shapes) != _NORMALISATION_PARAMETERS or any(len(shape) != 1 for shape in shapes):
        raise PackError(
            f"the face network is not the published one: {node.name} is not per channel"
        )
    spatial = NodeProto()
    spatial.CopyFrom(node)
    del spatial.attribute[:]
    spatial.attribute.extend(item for item in node.attribute if item.name != "spatial")
    return spatial
