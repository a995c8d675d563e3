"""One score scale for all detectors, so that a threshold means the same for each of them."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from app.packs.description import COMMON_SCORE
from app.types import FaceDetector, Faces, Image, Scores, Size


class CommonScoreDetector:
    """A ``FaceDetector`` that converts the scores of another one to the common scale.

    Args:
        detector: the detector with its own scale.
        own_score: the score on that scale (0..1) that means what ``COMMON_SCORE`` means.
    """

    def __init__(self, detector: FaceDetector, own_score: float) -> None:
        self._detector, self._own_score = detector, own_score

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
