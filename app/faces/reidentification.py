"""face-reidentification-retail-0095 of Intel's Open Model Zoo, run by ONNX Runtime.

A MobileNetV2 with squeeze-excitation and 256 outputs, compared by cosine. Description, and the
landmarks of its chips: https://docs.openvino.ai/2023.3/omz_models_model_face_reidentification_retail_0095.html
"""

from app.faces.mirrored import MirroredNetwork

CHIP = 128
DIMENSION = 256
_TEMPLATE = (
    (0.31556875, 0.46157411), (0.68262292, 0.46157411), (0.5002625, 0.64050536),
    (0.34947187, 0.82469196), (0.65343646, 0.82469196),
)  # fmt: skip
"""In parts of the chip's side, as its publishers give them."""


class Reidentification(MirroredNetwork):
    """``FaceRecogniser`` over the converted network."""

    name = "face-reidentification-retail-0095"
    chip = CHIP
    length = DIMENSION
    points = tuple((x * CHIP, y * CHIP) for x, y in _TEMPLATE)
