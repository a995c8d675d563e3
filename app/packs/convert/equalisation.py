"""Channels of like range, so that 8 bits serve them all.

An activation is stored with one scale for all of its channels; those of CenterFace differ by
factors of hundreds, and the small ones would be rounded away. A ReLU passes positive factors
through, so the channels before it can be enlarged and the kernel behind it made smaller without
changing what the network computes (Nagel et al., "Data-Free Quantization Through Weight
Equalization and Bias Correction", https://arxiv.org/abs/1906.04721). Factors here are powers of
two: the result is the same to the last bit of float32.
"""

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, numpy_helper

from app.errors import PackError
from app.networks.onnx_graph import constants

Octaves = Mapping[str, str]
"""For each activation one digit per channel: the power of two to enlarge it by."""
LARGEST = 9


def links(model: ModelProto) -> Iterator[tuple[str, NodeProto, NodeProto, bool]]:
    """Activations between two convolutions, with a ReLU and nothing else between them.

    Yields:
        The activation's name, the convolution before, the one behind, and whether that one
        treats each channel on its own (depthwise).
    """
    makers = {node.output[0]: node for node in model.graph.node}
    users: dict[str, list[NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)
    weights = constants(model.graph)
    for relu in (node for node in model.graph.node if node.op_type == "Relu"):
        before, behind = makers[relu.input[0]], users.get(relu.output[0], [])
        if before.op_type == "Conv" and [node.op_type for node in behind] == ["Conv"]:
            depthwise = weights[behind[0].input[1]].shape[1] == 1
            yield relu.output[0], before, behind[0], depthwise


def factors(peaks: NDArray[np.float32], *, depthwise: bool) -> str:
    """The powers of two, as digits, for the largest values (C,) of an activation's channels.

    In front of a depthwise convolution channels are made alike; elsewhere half of the way is
    gone, because there they share the scale of a kernel.

    >>> factors(np.float32([8, 4, 0.5, 0]), depthwise=True)
    '0149'
    >>> factors(np.float32([8, 2]), depthwise=False)
    '01'
    """
    top = float(peaks.max())
    ratio = np.log2(top / np.maximum(peaks, max(top, 1e-9) * 2.0**-20)) if top > 0 else peaks * 0
    octaves = np.floor(ratio) if depthwise else np.rint(ratio / 2)
    return "".join(str(int(octave)) for octave in np.clip(octaves, 0, LARGEST))


def equalise(model: ModelProto, octaves: Octaves) -> ModelProto:
    """The model with channels enlarged by ``2 ** octave``; it computes the same as before.

    Raises:
        PackError: ``octaves`` does not fit the model.
    """
    weights = {name: values.copy() for name, values in constants(model.graph).items()}
    for name, before, behind, depthwise in links(model):
        kernel, bias, next_kernel = before.input[1], before.input[2], behind.input[1]
        digits = octaves.get(name, "")
        if len(digits) != len(weights[bias]) or not digits.isdigit():
            raise PackError(f"no calibrated channels for {name}: run bench/calibrate_detector.py")
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
