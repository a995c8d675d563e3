"""Face detectors and recognisers, loaded from model packs, with one score scale for detectors."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from app.errors import ConfigError, PackError
from app.faces.centerface import CenterFace
from app.faces.insightface import InsightFaceDetector, InsightFaceRecogniser
from app.faces.mtcnn import Mtcnn
from app.faces.recognisers import ArcFace, DlibResnet, Reidentification, SFace
from app.faces.yunet import YuNet
from app.networks import CPU, Runtime, prefers_int8
from app.packs.catalogue import Pack
from app.packs.convert import CONVERTERS, ConverterInput
from app.packs.description import COMMON_SCORE, Part
from app.types import FaceDetector, FaceRecogniser, Faces, Image, Scores, Size

Precision: TypeAlias = Literal["auto", "float", "int8"]

DETECTORS: dict[str, Callable[..., FaceDetector]] = {
    "centerface": CenterFace,
    "insightface": InsightFaceDetector,
    "mtcnn": Mtcnn,
    "yunet": YuNet,
}
"""Detectors by the ``kind`` in a pack. They take the files, ``score``,
``runtime`` and ``input_size``."""


def _arcface(file: Path, **options: Any) -> FaceRecogniser:
    """Load ArcFace; its published file must be corrected first."""
    return ArcFace(CONVERTERS["mxnet"](ConverterInput(file.read_bytes())), **options)


RECOGNISERS: dict[str, Callable[..., FaceRecogniser]] = {
    "arcface": _arcface,
    "dlib-resnet": DlibResnet,
    "insightface": InsightFaceRecogniser,
    "reidentification": Reidentification,
    "sface": SFace,
}
"""Recognisers by the ``kind`` in a pack. They take the file, and ``runtime``."""


def load_detector(
    pack: Pack,
    *,
    precision: Precision = "auto",
    score: float = COMMON_SCORE,
    runtime: Runtime = CPU,
) -> FaceDetector:
    """Load the detector of a pack, after checking its weights.

    Args:
        pack: a pack whose weights have been fetched.
        precision: ``auto`` uses the 8-bit file if the CPU is faster with it.
        score: the lowest score of the faces to return, 0..1 on the common scale.
        runtime: the device and the threads. On a GPU 8-bit files are not faster.

    Raises:
        PackError: weights are missing or damaged, or the kind of detector is unknown.
        DeviceError: a GPU was requested, but cannot be used.
        ModelError: the runtime cannot load the weights.
    """
    part = pack.part("detector")
    if part.kind not in DETECTORS:
        raise PackError(f"{pack.name}: there is no detector {part.kind!r}")
    files = [pack.checked(file) for file in detector_files(part, precision)]
    detector = DETECTORS[part.kind](
        *files,
        score=from_common(score, part.score),
        runtime=runtime,
        input_size=part.input_size,
    )
    return detector if part.score == COMMON_SCORE else CommonScoreDetector(detector, part.score)


def load_recogniser(pack: Pack, *, runtime: Runtime = CPU) -> FaceRecogniser:
    """Load the recogniser of a pack, after checking its weights.

    Raises:
        PackError: weights are missing or damaged, or the kind of recogniser is unknown.
        DeviceError: a GPU was requested, but cannot be used.
        ModelError: the runtime cannot load the weights.
    """
    part = pack.part("recogniser")
    if part.kind not in RECOGNISERS:
        raise PackError(f"{pack.name}: there is no recogniser {part.kind!r}")
    files = [pack.checked(file) for file in part.files["float"]]
    return RECOGNISERS[part.kind](*files, runtime=runtime)


def detector_files(part: Part, precision: Precision = "auto") -> tuple[str, ...]:
    """Return the names of the files from which a detector of this precision is loaded.

    Raises:
        ConfigError: the pack has no files of this precision.
    """
    if precision == "auto":
        precision = "int8" if "int8" in part.files and prefers_int8() else "float"
    if precision not in part.files:
        raise ConfigError(f"detector {part.kind}: the pack has no {precision} file")
    return part.files[precision]


class CommonScoreDetector:
    """A ``FaceDetector`` that converts the scores of another one to the common scale.

    Args:
        detector: the detector with its own scale.
        own_score: the score on that scale (0..1) that means what ``COMMON_SCORE`` means.
    """

    def __init__(self, detector: FaceDetector, own_score: float) -> None:
        self._detector, self._own_score = detector, own_score
        self.is_reentrant = bool(getattr(detector, "is_reentrant", False))

    def input_size(self, size: Size) -> Size:
        """Return the size to which frames of ``size`` should be scaled."""
        return self._detector.input_size(size)

    def detect(self, images: Sequence[Image]) -> list[Faces]:
        """Return the faces of each image, as the detector finds them."""
        results = self._detector.detect(images)
        return [replace(one, scores=to_common(one.scores, self._own_score)) for one in results]


def to_common(scores: Scores, own_score: float) -> Scores:
    """Convert scores (N,) to the common scale, linearly on both sides of ``own_score``.

    >>> to_common(np.float32([0, 0.25, 0.5, 1]), 0.5).tolist() == [
    ...     0, np.float32(0.175), np.float32(0.35), 1
    ... ]
    True
    """
    return np.interp(scores, [0, own_score, 1], [0, COMMON_SCORE, 1]).astype(np.float32)


def from_common(score: float, own_score: float) -> float:
    """Convert a score of the common scale to a detector's own scale.

    >>> from_common(0.175, 0.5), from_common(0.675, 0.5)
    (0.25, 0.75)
    """
    return float(np.interp(score, [0, COMMON_SCORE, 1], [0, own_score, 1]))
