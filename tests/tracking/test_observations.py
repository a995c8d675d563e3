"""Observations, and the predictions of tracklets."""

import numpy as np
import pytest

from app.tracking.observations import Tracklet, boxes_of, observe
from app.types import Boxes, Faces
from tests.scripted_faces import tracklet


def middle(box: Boxes) -> float:
    return float((box[0] + box[2]) / 2)


def test_faces_become_observations_in_order() -> None:
    boxes = np.asarray([[0, 0, 9, 9], [20, 0, 30, 12]], np.float32)
    faces = Faces(boxes, np.asarray([0.5, 0.75], np.float32), np.ones((2, 5, 2), np.float32))
    seen = observe(4, faces)
    assert [(o.frame, o.score) for o in seen] == [(4, 0.5), (4, 0.75)]
    np.testing.assert_array_equal(boxes_of(seen), boxes)


def test_boxes_of_no_observations_have_the_right_shape() -> None:
    assert boxes_of([]).shape == (0, 4)


def test_observations_are_compared_by_identity() -> None:
    a, b = tracklet((0, 5, 5, 10)).observations[0], tracklet((0, 5, 5, 10)).observations[0]
    assert len({a, b}) == 2


def test_a_tracklet_has_first_and_last_frame_and_best_score() -> None:
    one, other = tracklet((3, 0, 0, 9), score=0.5), tracklet((8, 0, 0, 9), score=0.7)
    both = Tracklet(one.observations + other.observations)
    assert (both.first, both.last, both.score) == (3, 8, 0.7)


def test_a_single_observation_predicts_its_own_box() -> None:
    assert middle(tracklet((0, 50, 50, 20)).predict(9)) == 50


@pytest.mark.parametrize(("frame", "x"), [(4, 52), (6, 54), (12, 60)])
def test_a_prediction_keeps_half_the_speed(frame: int, x: float) -> None:
    assert middle(tracklet((0, 46, 50, 20), (2, 50, 50, 20)).predict(frame)) == x


def test_a_prediction_moves_by_one_face_at_most() -> None:
    fast = tracklet((0, 0, 50, 20), (1, 15, 50, 20))
    assert middle(fast.predict(100)) == 35


def test_a_prediction_keeps_the_size() -> None:
    box = tracklet((0, 50, 50, 20), (2, 50, 50, 30)).predict(6)
    assert (box[2] - box[0], box[3] - box[1]) == (30, 30)


def test_distant_observations_give_no_speed() -> None:
    assert middle(tracklet((0, 0, 50, 20), (13, 13, 50, 20)).predict(20)) == 13
