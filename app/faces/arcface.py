"""ArcFace on a ResNet of 100 layers, from the ONNX model zoo, run by ONNX Runtime.

``arcfaceresnet100-8.onnx`` takes one chip at a time, RGB 0..255: the scaling is part of the graph.
Copies of it from before November 2021 must go through ``convert_arcface`` first: ONNX Runtime
loads them, and fails when they are run (https://github.com/onnx/models/pull/480).
"""

from app.faces.chip_network import ChipNetwork


class ArcFace(ChipNetwork):
    """``FaceRecogniser`` of 512 numbers over the network of the ONNX model zoo."""

    name = "ArcFace"
    length = 512
