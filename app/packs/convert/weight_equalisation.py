"""Weight equalisation: give the channels of an activation similar ranges before quantisation.

An 8-bit activation has one scale for all of its channels. In CenterFace the ranges of channels
differ by factors of hundreds, and the small ones would be rounded to zero. A ReLU preserves
positive factors, so the channels before it can be enlarged, and the kernel after it reduced,
without changing the output of the network (Nagel et al., "Data-Free Quantization Through Weight
Equalization and Bias Correction", https://arxiv.org/abs/1906.04721). The factors are powers of two,
so the float32 result is the same to the last bit.
"""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, numpy_helper

from app.errors import PackError
from app.packs.convert.onnx_graph import constants
from app.packs.convert import Octaves

_MAX_OCTAVE: Final = 9
"""The largest power of two: calibrations store one digit per channel."""


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
