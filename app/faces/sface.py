"""SFace on a MobileFaceNet, from OpenCV Zoo, run by ONNX Runtime.

Method: Zhong et al., "SFace: Sigmoid-Constrained Hypersphere Loss for Robust Face Recognition",
https://arxiv.org/abs/2205.12010. ``face_recognition_sface_2021dec.onnx`` takes one chip at a time,
RGB 0..255: the scaling is part of the graph.
"""

from app.faces.chip_network import ChipNetwork


class SFace(ChipNetwork):
    """``FaceRecogniser`` of 128 numbers over the network of OpenCV Zoo."""

    name = "SFace"
    length = 128
