"""Cuts that the content detector finds."""

from pathlib import Path

import pytest

from app.shots import ContentShots
from app.video import open_source
from testmedia.images import detect, noise_frames


def test_cuts_are_the_first_frames_of_new_shots() -> None:
    assert detect(ContentShots(), noise_frames((1, 12), (2, 7), (1, 30))) == [12, 19]


def test_shots_of_single_frames_are_found() -> None:
    assert detect(ContentShots(), noise_frames((1, 1), (2, 1), (3, 2), (4, 1))) == [1, 2, 4]


def test_change_of_size_is_a_cut() -> None:
    small, large = noise_frames((1, 2)), noise_frames((1, 4), size=(640, 360))
    assert detect(ContentShots(), [*small, *large[2:]]) == [2]


def test_cuts_of_a_real_video(shared: Path) -> None:
    clip = shared / "data" / "hamilton" / "clip.mp4"
    if not clip.exists():
        pytest.skip("needs the concert clip")
    detector = ContentShots()
    cuts = [cut for frame in open_source(clip, threads=2) for cut in detector.push(frame)]
    assert cuts + detector.flush() == [20, 82, 211]
