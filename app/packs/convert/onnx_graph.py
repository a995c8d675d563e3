"""Write ONNX graphs whose bytes depend on the input only, so that their hash can be pinned.

Nothing depends on the CPU: weights are computed with exactly rounded operations only, and files are
serialised deterministically.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

OPSET = 13
"""The first operator set with per-channel quantisation."""
IR_VERSION = 8
"""Supported by every ONNX Runtime since 1.10."""


@dataclass(slots=True)
class GraphWriter:
    """Collects nodes and weights in order and creates a model from them.

    >>> writer = GraphWriter()
    >>> _ = writer.node("Relu", ["images"], "out")
    >>> writer.model("tiny", ("images", TensorProto.FLOAT, ["n"]), ("out", ["n"])).graph.name
    'tiny'
    """

    nodes: list[NodeProto] = field(default_factory=list)
    weights: dict[str, TensorProto] = field(default_factory=dict)

    def constant(self, name: str, values: NDArray[Any]) -> str:
        """Add a constant unless the name exists; return the name."""
        self.weights.setdefault(name, numpy_helper.from_array(np.asarray(values, order="C"), name))
        return name

    def node(self, kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        """Add a node with one output, which also names the node; return that name."""
        self.nodes.append(helper.make_node(kind, list(inputs), [output], name=output, **attributes))
        return output

    def split(self, source: str, name: str, sizes: Sequence[int], axis: int) -> list[str]:
        """Add a node that splits ``source`` into parts of ``sizes``; return their names."""
        amounts = self.constant(f"{name}.sizes", np.array(sizes, np.int64))
        outputs = [f"{name}.{number}" for number in range(len(sizes))]
        node = helper.make_node("Split", [source, amounts], outputs, name=name, axis=axis)
        self.nodes.append(node)
        return outputs

    def model(
        self,
        name: str,
        source: tuple[str, int, Sequence[str | int]],
        result: tuple[str, Sequence[str | int]],
    ) -> ModelProto:
        """Create a model from one input (name, element type, shape) to one float output."""
        graph = helper.make_graph(
            self.nodes,
            name,
            [helper.make_tensor_value_info(source[0], source[1], source[2])],
            [helper.make_tensor_value_info(result[0], TensorProto.FLOAT, result[1])],
            list(self.weights.values()),
        )
        return _model(graph)


def _model(graph: GraphProto) -> ModelProto:
    """Create a model with our operator set and format version."""
    return helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="face-blur",
    )


def constants(graph: GraphProto) -> dict[str, NDArray[Any]]:
    """Return the weights of a graph by name."""
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}


def attributes(node: NodeProto) -> dict[str, Any]:
    """Return the attributes of a node as Python values."""
    return {item.name: helper.get_attribute_value(item) for item in node.attribute}


def serialise(model: ModelProto) -> bytes:
    """Return the bytes of a model, the same on every machine."""
    return bytes(model.SerializeToString(deterministic=True))
