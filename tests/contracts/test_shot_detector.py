"""What every shot detector promises."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from app.shots import SHOT_DETECTORS
from app.shots.transnet import TransNetShots
from app.types import Image, ShotDetector, Size
from testmedia.images import detect, noise_frames
from testmedia.transnet_weights import converted

Make = Callable[[], ShotDetector]
MAKERS: dict[str, Make] = {**SHOT_DETECTORS, "transnet": lambda: TransNetShots(converted())}
each_detector = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)


@each_detector
def test_a_still_picture_is_one_shot(make: Make) -> None:
    assert detect(make(), noise_frames((1, 10))) == []


@each_detector
def test_no_frames_are_no_cuts(make: Make) -> None:
    assert make().flush() == []


@each_detector
def test_after_a_flush_another_video_can_come(make: Make) -> None:
    detector = make()
    first = detect(detector, noise_frames((1, 20), (2, 20)))
    # Frame 0 of another video differs from the last frame of this one, and is no cut.
    assert detect(detector, noise_frames((3, 20), (4, 20))) == first


@each_detector
@pytest.mark.parametrize("size", [(16, 16), (3, 200), (200, 1), (1920, 1080), (161, 91)])
def test_any_size_is_taken(make: Make, size: Size) -> None:
    assert set(detect(make(), noise_frames((1, 3), (2, 3), size=size))) <= {3}


@each_detector
def test_frames_are_only_read(make: Make) -> None:
    frames = noise_frames((1, 2), (2, 2))
    before: Sequence[Image] = [frame.image.copy() for frame in frames]
    detect(make(), frames)
    assert all(np.array_equal(frame.image, old) for frame, old in zip(frames, before, strict=True))
