"""Networks of InsightFace's format, read by the ``insightface`` library, run by our sessions.

The library decodes: SCRFD (Guo et al., "Sample and Computation Redistribution for Efficient Face
Detection", https://arxiv.org/abs/2105.04714) finds faces, ArcFace tells them apart. It is not
among what this package needs, but in a lock of its own, and is loaded by the first part that is
made here.
"""

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from app.errors import ModelError, PackError
from app.faces.chip_network import ChipNetwork
from app.networks.sessions import Device, open_session
from app.packs.input_size import ENLARGED, WHOLE, InputSize, enlarged, on_canvas, restored
from app.types import Embeddings, Faces, Image, Size

SMALLEST = 64
"""Pictures whose longer side is less are enlarged: the networks do not see tiny faces."""
SCORE = 0.35
OVERLAP = 0.4
"""Two boxes of higher intersection over union are one face; as published."""
OUTPUTS = {6: False, 9: True, 10: False, 15: True}
"""How many outputs SCRFD networks have, and whether landmarks are among them."""


class InsightFaceDetector:
    """``FaceDetector`` over an SCRFD network with landmarks.

    Args:
        model: the file of weights.
        threads: at most; default: the CPUs this process may use.
        score: faces of lower score are not returned, 0..1.
        device: where to run.
        whole: in which size whole pictures are looked at.

    Raises:
        PackError: the library is not installed.
        ModelError: the file is not such a network, or has no landmarks.
        DeviceError: the GPU that was asked for cannot be used.
    """

    def __init__(
        self,
        model: Path,
        *,
        threads: int | None = None,
        score: float = SCORE,
        device: Device = "cpu",
        whole: InputSize = WHOLE,
    ) -> None:
        if not 0 < score < 1:
            raise ValueError(f"score: expected between 0 and 1, got {score}")
        # before the library, which loads ONNX Runtime too: this switches telemetry off
        session = open_session(model, threads, device)
        outputs = len(session.get_outputs())
        if outputs not in OUTPUTS:
            raise ModelError(f"{model}: not an SCRFD network: it has {outputs} outputs")
        if not OUTPUTS[outputs]:
            raise ModelError(f"{model}: finds no landmarks; five for each face are needed")
        # else it would make, and keep, a session of its own for every size
        self._scrfd = library("scrfd").SCRFD(str(model), session, static_shape_sessions=False)
        self._scrfd.nms_thresh = OVERLAP
        self._score, self._whole = score, whole

    def input_size(self, size: Size) -> Size:
        """The size to give whole pictures of ``size`` in: see ``InputSize``.

        Networks of one size get what just fits into it.

        Raises:
            ValueError: the size is not positive.
        """
        wanted = self._whole.of(size)
        if self._fixed is None:
            return wanted
        scale = min(ENLARGED, *(most / side for most, side in zip(self._fixed, size, strict=True)))
        return max(1, int(size[0] * scale)), max(1, int(size[1] * scale))

    def detect(self, images: Sequence[Image]) -> list[Faces]:
        """Faces of each picture, best first, in its own pixels; boxes may overhang it.

        Pictures of any sizes, run one by one, as the library has no batches. Content is never
        rescaled, but in pictures that are smaller than 64 pixels, and in those that do not fit into
        a network of one size.

        Raises:
            ValueError: a picture is not (h, w, 3) uint8, or empty.
            ModelError: the runtime or the library fails.
        """
        ready = [enlarged(image, SMALLEST) for image in images]
        return [
            restored(self._look(seen), seen, image)
            for seen, image in zip(ready, images, strict=True)
        ]

    @property
    def _fixed(self) -> Size | None:
        """The only size that the network takes; None: any."""
        size: Size | None = self._scrfd.static_input_size
        return size

    def _look(self, image: Image) -> Faces:
        height, width = image.shape[:2]
        if self._fixed is None or (width <= self._fixed[0] and height <= self._fixed[1]):
            image = on_canvas(image, self._fixed)
        size = self._fixed or (image.shape[1], image.shape[0])
        try:
            boxes, marks = self._scrfd.detect(
                np.ascontiguousarray(image[..., ::-1]), size, det_thresh=self._score
            )
        except Exception as error:
            raise ModelError(f"SCRFD failed on {image.shape}: {error}") from error
        return Faces(*(np.asarray(a, np.float32) for a in (boxes[:, :4], boxes[:, 4], marks)))


class InsightFaceRecogniser(ChipNetwork):
    """``FaceRecogniser`` over an ArcFace network of InsightFace's format.

    The library decides by the names of the first nodes whether the graph itself scales its input;
    where it does not, chips are scaled to -1..1.

    Args:
        model: the file of weights.
        threads: at most; default: the CPUs this process may use.
        device: where to run.

    Raises:
        PackError: the library is not installed.
        ModelError: the file is not such a network.
        DeviceError: the GPU that was asked for cannot be used.
    """

    name = "ArcFace of InsightFace's format"

    def __init__(self, model: Path, *, threads: int | None = None, device: Device = "cpu") -> None:
        super().__init__(model, threads=threads, device=device)
        self._arcface = library("arcface_onnx").ArcFaceONNX(str(model), self._session)

    def _run(self, chips: Sequence[Image]) -> Embeddings:
        """Embeddings of one batch as the network gives them."""
        blue_first = [np.ascontiguousarray(chip[..., ::-1]) for chip in chips]
        return np.asarray(self._arcface.get_feat(blue_first), np.float32)


def library(module: str) -> Any:
    """A module of the library's ``model_zoo``.

    Raises:
        PackError: the library, or something that it needs, is not installed.
    """
    try:
        return import_module(f"insightface.model_zoo.{module}")
    except ImportError as error:
        lock = "pip install --no-deps --require-hashes -r requirements-insightface.txt"
        raise PackError(f"the insightface library cannot be used ({error}): {lock}") from error
