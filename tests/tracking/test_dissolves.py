"""Faces that stay visible after a cut."""

import numpy as np
import pytest

from app.tracking.dissolves import DissolveWatcher
from app.types import Boxes, Image
from tests.painted_faces import RED, Painted, paint

PLACE = (100, 80, 160, 140)
BOX = np.asarray([PLACE], np.float32)


def mixed(part: float) -> Image:
    """A face with weight ``part`` (0..1), blended with the noise of the next shot."""
    noise = np.random.default_rng(4).integers(0, 256, (240, 320, 3))
    return np.asarray(part * paint({PLACE: RED}) + (1 - part) * noise, np.uint8)


def watch(parts: list[float], *, boxes: Boxes = BOX, max_frames: int = 25) -> list[tuple[int, int]]:
    """Track and last frame of the faces that stay visible after frame 9."""
    tracks = range(5, 5 + len(boxes))
    watcher = DissolveWatcher(Painted(9, mixed(1)), tracks, boxes, max_frames)
    for number, part in enumerate(parts, start=10):
        watcher.push(Painted(number, mixed(part)))
    assert watcher.first_frame == 10
    return [(face.track, face.last_frame) for face in watcher.visible_faces]


def test_no_face_stays_visible_after_a_hard_cut() -> None:
    assert watch([0.0] * 5) == []


def test_a_fading_face_is_reported_up_to_its_last_visible_frame() -> None:
    ((track, last),) = watch([0.9, 0.8, 0.7, 0.0, 0.0])
    assert (track, last) == (5, 12)


def test_a_face_that_is_gone_does_not_return() -> None:
    assert watch([0.9, 0.0, 0.9, 0.9]) == [(5, 10)]


@pytest.mark.parametrize("max_frames", [1, 3])
def test_a_still_image_is_watched_for_the_maximum_number_of_frames(max_frames: int) -> None:
    assert watch([1.0] * 9, max_frames=max_frames) == [(5, 9 + max_frames)]


def test_a_flat_image_does_not_count_as_visible() -> None:
    flat = np.asarray([[10, 10, 50, 50]], np.float32)
    assert watch([1.0] * 5, boxes=flat) == []


def test_boxes_outside_the_frame_are_ignored() -> None:
    outside = np.asarray([[-90, 0, -30, 60]], np.float32)
    assert watch([1.0] * 5, boxes=np.concatenate([outside, BOX])) == [(6, 14)]


def test_without_faces_there_is_nothing_to_watch() -> None:
    assert watch([1.0] * 5, boxes=np.zeros((0, 4), np.float32)) == []
