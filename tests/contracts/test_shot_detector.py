"""The contract of all shot detectors."""

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
def test_still_video_is_one_shot(make: Make) -> None:
    assert detect(make(), noise_frames((1, 10))) == []


@each_detector
def test_video_without_frames_has_no_cuts(make: Make) -> None:
    assert make().flush() == []


@each_detector
def test_detector_can_be_used_again_after_flush(make: Make) -> None:
    detector = make()
    first = detect(detector, noise_frames((1, 20), (2, 20)))
    # Frame 0 of the next video differs from the last frame of this one, but is not a cut.
    assert detect(detector, noise_frames((3, 20), (4, 20))) == first


@each_detector
@pytest.mark.parametrize("size", [(16, 16), (3, 200), (200, 1), (1920, 1080), (161, 91)])
def test_any_frame_size(make: Make, size: Size) -> None:
    assert set(detect(make(), noise_frames((1, 3), (2, 3), size=size))) <= {3}


@each_detector
def test_frames_are_not_changed(make: Make) -> None:
    frames = noise_frames((1, 2), (2, 2))
    before: Sequence[Image] = [frame.image.copy() for frame in frames]
    detect(make(), frames)
    assert all(np.array_equal(frame.image, old) for frame, old in zip(frames, before, strict=True))
