"""Scores of different detectors on one scale, so that thresholds mean the same for all."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from app.packs.input_size import COMMON
from app.types import FaceDetector, Faces, Image, Scores, Size


class Rescaled:
    """A ``FaceDetector`` whose scores are those of another one on the common scale.

    Args:
        detector: whose scores are meant.
        own: the score that is as sure on its scale as ``COMMON`` is on the common one, 0..1.
    """

    def __init__(self, detector: FaceDetector, own: float) -> None:
        self._detector, self._own = detector, own

    def input_size(self, size: Size) -> Size:
        """The size in which whole pictures of ``size`` are best given."""
        return self._detector.input_size(size)

    def detect(self, images: Sequence[Image]) -> list[Faces]:
        """One ``Faces`` for each image, as the detector finds them."""
        found = self._detector.detect(images)
        return [replace(faces, scores=to_common(faces.scores, self._own)) for faces in found]


def to_common(scores: Scores, own: float) -> Scores:
    """Scores (N,) on the common scale, in a straight line on both sides of ``own``.

    >>> to_common(np.float32([0, 0.25, 0.5, 1]), 0.5).tolist() == [
    ...     0, np.float32(0.175), np.float32(0.35), 1
    ... ]
    True
    """
    return np.interp(scores, [0, own, 1], [0, COMMON, 1]).astype(np.float32)


def from_common(score: float, own: float) -> float:
    """A score of the common scale on a detector's own.

    >>> from_common(0.175, 0.5), from_common(0.675, 0.5)
    (0.25, 0.75)
    """
    return float(np.interp(score, [0, COMMON, 1], [0, own, 1]))
