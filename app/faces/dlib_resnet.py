"""dlib's face recognition ResNet, run by ONNX Runtime.

The chip is that of dlib (150 pixels, 0.25 padding around the face), but aligned by a detector's
five landmarks: the template is where they lie on average in chips that dlib itself aligned.
"""

from app.faces.mirrored import MirroredNetwork

CHIP = 150
DIMENSION = 128


class DlibResnet(MirroredNetwork):
    """``FaceRecogniser`` over the converted ResNet."""

    name = "dlib ResNet"
    chip = CHIP
    length = DIMENSION
    points = ((46.7, 50.2), (102.9, 48.5), (73.9, 77.3), (50.9, 104.5), (97.5, 103.4))
