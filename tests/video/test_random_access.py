"""Any frames of a video by their numbers."""

from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import pytest

from app import Media
from app.errors import MediaError
from app.video import open_source
from app.video.random_access import FrameReader
from testmedia.videos import VideoSpec, number_of
from tests.video.test_window import KINDS

COUNT = 100
STRETCHES = [(0, 4), (97, 99), (50, 50), (11, 13), (24, 31), (99, 99), (0, 0)]


@pytest.mark.parametrize("kind", KINDS)
def test_frames_are_those_of_the_whole_video(tmp_path: Path, kind: str) -> None:
    path = KINDS[kind].write(tmp_path / f"in.{kind}")
    reader = FrameReader(Media(path), COUNT)
    assert reader.pts.tolist() == [frame.pts for frame in open_source(path)]
    for first, last in STRETCHES:
        frames = [(frame.index, number_of(frame.rgb())) for frame in reader.read(first, last)]
        assert frames == [(number, number) for number in range(first, last + 1)]


def test_frames_of_variable_rate_and_rotation(tmp_path: Path) -> None:
    steps = [(1, 3, 2)[number % 3] for number in range(COUNT)]
    spec = VideoSpec(count=COUNT, pts=[sum(steps[:n]) for n in range(COUNT)], rate=Fraction(50))
    path = spec.write(tmp_path / "in.mp4")
    reader = FrameReader(Media(path), COUNT)
    assert [number_of(frame.rgb()) for frame in reader.read(40, 60)] == list(range(40, 61))


def test_several_threads_read_at_once(tmp_path: Path) -> None:
    reader = FrameReader(Media(KINDS["mp4"].write(tmp_path / "in.mp4")), COUNT)

    def read(number: int) -> int:
        [frame] = reader.read(number, number)
        return number_of(frame.rgb())

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(read, range(0, COUNT, 3))) == list(range(0, COUNT, 3))


def test_another_number_of_frames_is_refused(tmp_path: Path) -> None:
    path = KINDS["mp4"].write(tmp_path / "in.mp4")
    with pytest.raises(MediaError, match="has 100 frames, but the plan 99"):
        FrameReader(Media(path), COUNT - 1)
