"""Scores: leaks where nothing was hidden, and none where everything was."""

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from app.types import Image
from bench.scoring import Score, appearances, score
from testmedia.clip import Clip
from testmedia.truth import Seen

Edit = Callable[[int, Image], Image]


@pytest.fixture
def appears(clip: Callable[[str], Clip]) -> Clip:
    return clip("appears")


def rewritten(source: Path, output: Path, edit: Edit, frames: int | None = None) -> Path:
    """Return a video with edited frames."""
    with av.open(str(source)) as one, av.open(str(output), "w") as other:
        coded = other.add_stream("libx264", rate=30, options={"crf": "18", "preset": "ultrafast"})
        for number, frame in enumerate(one.decode(video=0)):
            if number == frames:
                break
            picture = edit(number, np.asarray(frame.to_ndarray(format="rgb24"), np.uint8))
            if not number:
                coded.width, coded.height = frame.width, frame.height
            other.mux(coded.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        other.mux(coded.encode(None))
    return output


def black_right(until: int) -> Edit:
    """Black out the right half in frames before ``until``."""

    def edit(number: int, picture: Image) -> Image:
        if number < until:
            picture[:, picture.shape[1] // 2 :] = 0
        return picture

    return edit


def test_a_copy_leaks_everything(appears: Clip) -> None:
    found = score(appears.path, appears.path, appears.truth, {"obama", "biden"})
    assert (found.targets, found.leaks, found.large_leaks) == (58, 58, 58)
    assert (found.appearances, found.late, found.early, found.longest) == (2, 2, 2, 50)


def test_black_faces_leak_nothing(appears: Clip, tmp_path: Path) -> None:
    output = rewritten(appears.path, tmp_path / "out.mp4", black_right(99))
    assert score(appears.path, output, appears.truth, {"obama"}).leaks == 0
    assert score(appears.path, output, appears.truth, {"biden"}).leaks == 50


def test_frames_that_were_not_hidden_are_counted(appears: Clip, tmp_path: Path) -> None:
    """Obama is visible in frames 23 to 30."""
    output = rewritten(appears.path, tmp_path / "out.mp4", black_right(28))
    found = score(appears.path, output, appears.truth, {"obama"})
    assert (found.targets, found.leaks, found.longest) == (8, 3, 3)
    assert (found.appearances, found.late, found.early) == (1, 0, 1)


def test_a_missing_frame_is_an_error(appears: Clip, tmp_path: Path) -> None:
    output = rewritten(appears.path, tmp_path / "out.mp4", black_right(99), frames=49)
    with pytest.raises(ValueError, match="zip"):
        score(appears.path, output, appears.truth, {"obama"})


def test_appearances_are_consecutive_frames() -> None:
    faces = [Seen(n, "a", (0, 0, 9, 9), 1, 1) for n in (3, 4, 5, 9)]
    faces += [Seen(n, "b", (0, 0, 9, 9), 1, 1) for n in (4, 5)]
    assert appearances(faces) == [("a", 3, 5), ("a", 9, 9), ("b", 4, 5)]


def test_adding_scores_keeps_the_longest_run() -> None:
    one = Score(targets=5, leaks=2, longest=2, jitter=0.04, steps=4)
    both = one + Score(targets=3, longest=1, jitter=0.05, steps=5)
    assert (both.targets, both.leaks, both.longest) == (8, 2, 2)
    assert both.unsteadiness == pytest.approx(0.1)
