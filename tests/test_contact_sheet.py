"""The contact sheet: choice of frames, layout and file."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from app.contact_sheet import choose_frames, contact_sheet, save_png
from app.errors import MediaError, OutputError
from app.plan import Decision, ModelRecord, ModelsRecord, Plan, PlanTrack, SourceRecord
from app.types import Frame, Image, Luma, MediaInfo, Plane, Region, Size

SIZE = (64, 36)


@dataclass(frozen=True)
class Flat:
    """A frame of uniform grey."""

    index: int
    pts: int
    grey: int
    size: Size = SIZE
    pixel_aspect: Fraction = Fraction(1)

    def rgb(self, size: Size | None = None, region: Region | None = None) -> Image:
        width, height = size or self.size
        return np.full((height, width, 3), self.grey, np.uint8)

    def luma(self, size: Size, region: Region) -> Luma:
        raise NotImplementedError

    def quantiser(self, region: Region) -> float | None:
        return None

    def planes(self) -> tuple[Plane, ...]:
        raise NotImplementedError


class Greys:
    """A video whose frame n has grey level ``offset + n``; it counts the frames read."""

    def __init__(self, frames: int, offset: int) -> None:
        self.count = frames
        self.offset = offset
        self.read = 0
        self.closed = False

    @property
    def info(self) -> MediaInfo:
        return MediaInfo(SIZE, Fraction(1, 1000), Fraction(25), Fraction(0), self.count, False)

    def __iter__(self) -> Iterator[Frame]:
        try:
            for index in range(self.count):
                self.read += 1
                yield Flat(index, 500 + 40 * index, self.offset + index)
        finally:
            self.closed = True


def track(
    number: int, first: int, last: int, decision: Decision = "blur", *, uncertain: bool = False
) -> PlanTrack:
    rows = np.asarray([[n, 8, 8, 40, 30] for n in range(first, last + 1)], np.float32)
    return PlanTrack(number, 0, first, last, "zoë", 0.9, decision, uncertain, "test", rows)


def plan(*tracks: PlanTrack, frames: int = 100) -> Plan:
    source = SourceRecord("0" * 64, "clip.mp4", frames, *SIZE, frames / 25)
    models = ModelsRecord("open", ModelRecord("d.onnx", "0" * 64), None)
    return Plan(source, {}, models, (), ((0, frames),), tracks)


def test_middles_of_tracks_come_first_and_uncertain_tracks_before_all() -> None:
    tracks = (track(0, 0, 40), track(1, 50, 60, "keep"), track(2, 70, 74, uncertain=True))
    assert choose_frames(plan(*tracks), 1) == [72]
    assert choose_frames(plan(*tracks), 2) == [20, 72]
    assert choose_frames(plan(*tracks), 3) == [20, 55, 72]
    assert choose_frames(plan(*tracks), 7) == [0, 20, 40, 55, 70, 72, 74]


def test_without_tracks_frames_are_spread_over_the_video() -> None:
    assert choose_frames(plan(), 5) == [0, 25, 50, 74, 99]
    assert choose_frames(plan(frames=1), 5) == [0]


def test_pairs_are_laid_out_and_faces_outlined_in_the_frame_before() -> None:
    before, after = Greys(100, 50), Greys(100, 150)
    sheet = contact_sheet(before, after, plan(track(0, 10, 20)), frames=3, columns=2, width=64)
    pair = 2 * 64 + 4
    assert sheet.shape == (2 * (20 + 36 + 4) + 4, 2 * (pair + 4) + 4, 3)
    for number, frame in enumerate((10, 15, 20)):
        y, x = 4 + number // 2 * 60 + 20, 4 + number % 2 * (pair + 4)
        assert (sheet[y + 18, x + 20] == 50 + frame).all()
        assert (sheet[y : y + 36, x + 68 : x + pair] == 150 + frame).all()
        assert sheet[y + 18, x + 8].tolist() == [235, 70, 60]
        assert (sheet[y - 20 : y, x : x + 64] > 200).any(), "there is a caption above"


def test_reading_stops_after_the_last_chosen_frame() -> None:
    before, after = Greys(100, 0), Greys(100, 0)
    contact_sheet(before, after, plan(track(0, 10, 20)), frames=3)
    assert (before.read, after.read) == (21, 21)
    assert before.closed
    assert after.closed


def test_a_result_that_is_too_short_is_an_error() -> None:
    with pytest.raises(MediaError, match="frame 15"):
        contact_sheet(Greys(100, 0), Greys(12, 0), plan(track(0, 10, 20)), frames=3)


@pytest.mark.parametrize("wrong", [{"frames": 0}, {"columns": 0}, {"width": 0}])
def test_sizes_must_be_positive(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="positive"):
        contact_sheet(Greys(1, 0), Greys(1, 0), plan(frames=1), **wrong)


def test_the_file_contains_the_image(tmp_path: Path) -> None:
    image = np.random.default_rng(1).integers(0, 255, (20, 30, 3), np.uint8)
    save_png(image, tmp_path / "sheet.png")
    read = cv2.imread(str(tmp_path / "sheet.png"))
    assert read is not None
    assert np.array_equal(read[..., ::-1], image)
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.png"]


def test_a_missing_folder_gives_a_one_line_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written") as caught:
        save_png(np.zeros((2, 2, 3), np.uint8), tmp_path / "none" / "sheet.png")
    assert "\n" not in str(caught.value)
