"""Poses: faces come back to their place, and the search finds the pose that a video needs."""

import numpy as np
import pytest

from app.pipeline.pose_search import PoseSearch, clearest
from app.pipeline.poses import UPRIGHT, Pose, detect_in_poses
from app.types import Faces
from tests.painted_faces import RED, SquareDetector, landmarks_of, paint

SIDE, OVER = Pose(1), Pose(2)


def seen(*scores: float) -> Faces:
    count = len(scores)
    boxes = np.tile(np.asarray([0, 0, 9, 9], np.float32), (count, 1))
    return Faces(boxes, np.asarray(scores, np.float32), np.zeros((count, 5, 2), np.float32))


class Looks:
    """Looks in other poses, which find nothing."""

    count = 0

    def __call__(self, pose: Pose) -> Faces:
        self.count += 1
        return seen()


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("stretch", [1.0, 0.5, 2.0])
def test_faces_come_back_to_their_place(turns: int, stretch: float) -> None:
    image = paint({(40, 100, 80, 160): RED})
    ((faces,),) = detect_in_poses(SquareDetector(), [image], (Pose(turns, stretch),))
    np.testing.assert_allclose(faces.boxes, [[40, 100, 80, 160]], atol=2)


@pytest.mark.parametrize("turns", range(4))
def test_landmarks_say_which_way_is_up(turns: int) -> None:
    """The first landmark is the left eye of the upright face, so it lies elsewhere when turned."""
    image = paint({(40, 100, 80, 140): RED})
    pose = Pose(turns)
    ((faces,),) = detect_in_poses(SquareDetector(), [image], (pose,))
    upright = landmarks_of(np.asarray([-20, -20, 20, 20], np.float32))
    across, down = {0: (1, 1), 1: (1, -1), 2: (-1, -1), 3: (-1, 1)}[turns]
    x, y = upright.T if turns % 2 == 0 else upright.T[::-1]
    expected = np.stack([60 + across * x, 120 + down * y], axis=1)
    np.testing.assert_allclose(faces.landmarks[0], expected, atol=1)


def test_each_image_is_seen_in_each_pose() -> None:
    images = [paint({(40, 100, 80, 140): RED}), paint({})]
    results = detect_in_poses(SquareDetector(), images, (UPRIGHT, SIDE))
    assert [[len(faces) for faces in each] for each in results] == [[1, 1], [0, 0]]


def test_one_strong_face_decides() -> None:
    search = PoseSearch((SIDE, OVER))
    search.examine(seen(), lambda pose: seen(0.7) if pose == OVER else seen(0.5))
    assert search.found == (OVER,)


def test_a_weak_face_must_be_seen_twice_in_a_row() -> None:
    search = PoseSearch((SIDE, OVER))
    search.examine(seen(), lambda pose: seen(0.5) if pose == OVER else seen())
    assert not search.found
    search.examine_quick(seen(), lambda _: seen())
    search.examine(seen(), lambda pose: seen(0.5) if pose == OVER else seen())
    assert search.found == (OVER,)


def test_once_other_poses_were_worse_less_clear_faces_suffice() -> None:
    search, looks = PoseSearch((SIDE,)), Looks()
    for _ in range(31):
        search.examine(seen(0.7), looks)
    assert looks.count == 2, "without a clear face, and with one"


@pytest.mark.parametrize(
    ("upright", "turned", "is_found"),
    [
        ((0.82,), (0.8,), False),
        ((0.7,), (0.85,), True),
        ((0.8,), (0.8, 0.7), True),
        ((0.9, 0.9), (0.7, 0.7), False),
        ((), (0.44,), False),
    ],
)
def test_another_pose_needs_a_lead(
    upright: tuple[float, ...], turned: tuple[float, ...], is_found: bool
) -> None:
    search = PoseSearch((SIDE,))
    search.examine(seen(*upright), lambda _: seen(*turned))
    assert bool(search.found) == is_found


@pytest.mark.parametrize(("score", "most"), [(0.0, 1 / 12 + 1 / 200), (0.95, 1 / 32 + 1 / 200)])
def test_the_number_of_trials_is_bounded(score: float, most: float) -> None:
    search, looks = PoseSearch((SIDE,)), Looks()
    for _ in range(200):
        search.examine(seen(score), looks)
    assert 1 <= looks.count <= most * 200


def test_trials_are_saved_up_for_a_shot_that_needs_them() -> None:
    search, looks = PoseSearch((SIDE,)), Looks()
    for score in [0.95] * 64 + [0.0] * 4:
        search.examine(seen(score), looks)
    assert looks.count == 2 + 4


def test_quick_looks_are_tried_too() -> None:
    search = PoseSearch((SIDE,))
    search.examine_quick(seen(), lambda _: seen(0.8))
    assert search.found == (SIDE,)


def test_the_clearest_pose_of_an_image_is_taken() -> None:
    poses = tuple(Pose(turns) for turns in range(4))
    scores = {UPRIGHT: 0.6, SIDE: 0.85, OVER: 0.9, Pose(3): 0.8}
    assert clearest(poses, lambda pose: seen(scores[pose])) == OVER
    assert clearest(poses, lambda pose: seen(0.95) if pose == OVER else seen(0.92)) == UPRIGHT
