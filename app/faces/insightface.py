"""Networks in InsightFace's format, decoded by the ``insightface`` library.

The detector is SCRFD (Guo et al., "Sample and Computation Redistribution for Efficient Face
Detection", https://arxiv.org/abs/2105.04714), the recogniser ArcFace. Both run in our own sessions.
The library is optional, has a lock file of its own, and is imported when a part is created.
"""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np

from app.errors import ModelError, PackError
from app.faces.recognisers import ArcFaceChipRecogniser
from app.faces.resizing import enlarge_small, pad_image, to_original
from app.networks import CPU, Runtime, open_session
from app.packs.description import (
    COMMON_SCORE,
    DEFAULT_INPUT_SIZE,
    MAX_ENLARGEMENT,
    InputSize,
)
from app.types import Embeddings, Faces, Image, Size

_MAX_IOU: Final = 0.4
"""Boxes with a higher intersection over union are the same face; as published."""
_HAS_LANDMARKS: Final = {6: False, 9: True, 10: False, 15: True}
"""Whether an SCRFD network has landmarks, by its number of outputs."""


class InsightFaceDetector:
    """``FaceDetector`` over an SCRFD network with landmarks.

    Args:
        model: the path of an ONNX file.
        score: the lowest score of the faces to return, 0..1.
        runtime: the device and the threads.
        input_size: the size to which frames should be scaled.

    Raises:
        PackError: the library is not installed.
        ModelError: the file is not an SCRFD network with landmarks.
        DeviceError: a GPU was requested, but cannot be used.
    """

    def __init__(
        self,
        model: Path,
        *,
        score: float = COMMON_SCORE,
        runtime: Runtime = CPU,
        input_size: InputSize = DEFAULT_INPUT_SIZE,
    ) -> None:
        if not 0 < score < 1:
            raise ValueError(f"score: expected between 0 and 1, got {score}")
        # This must precede the library, which imports ONNX Runtime: it turns telemetry off.
        session = open_session(model, runtime)
        outputs = len(session.get_outputs())
        if outputs not in _HAS_LANDMARKS:
            raise ModelError(f"{model}: not an SCRFD network: it has {outputs} outputs")
        if not _HAS_LANDMARKS[outputs]:
            raise ModelError(
                f"{model}: has no landmarks; choose an SCRFD network with five landmarks"
            )
        # Otherwise the library would open and keep a session for every size.
        self._scrfd = _library("scrfd").SCRFD(str(model), session, static_shape_sessions=False)
        self._scrfd.nms_thresh = _MAX_IOU
        self._score, self._input_size = score, input_size

    def input_size(self, size: Size) -> Size:
        """Return the size to which frames of ``size`` should be scaled; see ``InputSize``.

        For networks with a fixed size it is the largest size that fits.

        Raises:
            ValueError: the size is not positive.
        """
        preferred = self._input_size.of(size)
        if self._fixed_size is None:
            return preferred
        fits = (limit / side for limit, side in zip(self._fixed_size, size, strict=True))
        scale = min(MAX_ENLARGEMENT, *fits)
        return max(1, int(size[0] * scale)), max(1, int(size[1] * scale))

    def detect(self, images: Sequence[Image]) -> list[Faces]:
        """Return the faces of each image, best first, in its pixels.

        Boxes may extend beyond the image. Images are run one by one, because the library has no
        batches. They are not scaled, except those smaller than 64 pixels, and those that do not fit
        into a network with a fixed size.

        Raises:
            ValueError: an image is not (h, w, 3) uint8, or is empty.
            ModelError: the runtime or the library fails.
        """
        ready = [enlarge_small(image) for image in images]
        return [
            to_original(self._detect(enlarged), enlarged, image)
            for enlarged, image in zip(ready, images, strict=True)
        ]

    @property
    def _fixed_size(self) -> Size | None:
        """The only size that the network accepts; None for any."""
        size: Size | None = self._scrfd.static_input_size
        return size

    def _detect(self, image: Image) -> Faces:
        height, width = image.shape[:2]
        fixed = self._fixed_size
        if fixed is None or (width <= fixed[0] and height <= fixed[1]):
            image = pad_image(image, fixed)
        size = fixed or (image.shape[1], image.shape[0])
        try:
            boxes, marks = self._scrfd.detect(
                np.ascontiguousarray(image[..., ::-1]), size, det_thresh=self._score
            )
        except Exception as error:
            raise ModelError(f"SCRFD failed on {image.shape}: {error}") from error
        return Faces(*(np.asarray(a, np.float32) for a in (boxes[:, :4], boxes[:, 4], marks)))


class InsightFaceRecogniser(ArcFaceChipRecogniser):
    """``FaceRecogniser`` over an ArcFace network in InsightFace's format.

    The library decides by the names of the first nodes whether the graph scales its input. If it
    does not, the library scales chips to -1..1.

    Args:
        model: the path of an ONNX file.
        runtime: the device and the threads.

    Raises:
        PackError: the library is not installed.
        ModelError: the file is not such a network.
        DeviceError: a GPU was requested, but cannot be used.
    """

    name = "ArcFace in InsightFace's format"

    def __init__(self, model: Path, *, runtime: Runtime = CPU) -> None:
        super().__init__(model, runtime=runtime)
        self._arcface = _library("arcface_onnx").ArcFaceONNX(str(model), self._session)

    def _run(self, chips: Sequence[Image]) -> Embeddings:
        """Return the output of the network for one batch."""
        bgr = [np.ascontiguousarray(chip[..., ::-1]) for chip in chips]
        return np.asarray(self._arcface.get_feat(bgr), np.float32)


def _library(module: str) -> Any:
    """Import a module of the library's ``model_zoo``.

    Raises:
        PackError: the library or one of its dependencies is not installed.
    """
    try:
        return import_module(f"insightface.model_zoo.{module}")
    except ImportError as error:
        lock = "pip install --no-deps --require-hashes -r requirements-insightface.txt"
        raise PackError(
            f"the insightface library cannot be imported ({error}); run: {lock}"
        ) from error
