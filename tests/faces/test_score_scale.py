"""Conversion of scores to the common scale."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.faces import CommonScoreDetector, from_common, to_common
from app.packs.description import COMMON_SCORE
from app.types import Faces

score = st.floats(0.01, 0.99)


@given(score, score)
def test_conversion_is_reversible(value: float, own: float) -> None:
    there = np.asarray([from_common(value, own)], np.float32)
    assert to_common(there, own)[0] == pytest.approx(value, abs=1e-4)


@given(score)
def test_own_score_becomes_the_common_score(own: float) -> None:
    assert to_common(np.asarray([own], np.float32), own)[0] == pytest.approx(COMMON_SCORE, abs=1e-5)


@given(st.lists(score, min_size=2, max_size=9), score)
def test_order_of_scores_is_kept(values: list[float], own: float) -> None:
    assert np.all(np.diff(to_common(np.asarray(sorted(values), np.float32), own)) >= 0)


def test_only_scores_change() -> None:
    found = Faces(
        np.asarray([[1, 2, 3, 4]], np.float32),
        np.asarray([0.5], np.float32),
        np.ones((1, 5, 2), np.float32),
    )

    class Detector:
        def input_size(self, size: tuple[int, int]) -> tuple[int, int]:
            return size[0] // 2, size[1] // 2

        def detect(self, images: object) -> list[Faces]:
            return [found]

    detector = CommonScoreDetector(Detector(), 0.5)
    (faces,) = detector.detect([np.zeros((8, 8, 3), np.uint8)])
    assert faces.scores[0] == pytest.approx(COMMON_SCORE, abs=1e-5)
    assert faces.boxes is found.boxes
    assert faces.landmarks is found.landmarks
    assert detector.input_size((64, 48)) == (32, 24)
