"""Reports of turned, anamorphic and large files, of photographs, and of long plans."""

import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from app.config import Settings
from app.plan import Plan, SourceRecord
from app.reporting import make_report
from app.video import Media, open_source
from testmedia.videos import MIRRORED, ROTATED, VideoSpec, copy_video, number_of
from tests.reporting.reports import images, opened, words
from tests.test_plan import make_plan, make_track

COUNT = 40


def plan_for(path: Path, *tracks: Any, count: int = COUNT) -> Plan:
    width, height = open_source(path).info.size
    source = SourceRecord(Media(path).sha256, path.name, count, width, height, count / 25)
    return make_plan(*tracks, source=source, shots=((0, count),), people=(), settings={})


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"matrix": ROTATED[90]},
        {"matrix": ROTATED[180]},
        {"matrix": MIRRORED},
        {"aspect": Fraction(4, 3)},
        {"codec": "mpeg4"},
        {"format": "yuv422p10le", "codec": "prores_ks"},
    ],
    ids=str,
)
@pytest.mark.parametrize("has_result", [False, True])
def test_frames_are_the_right_ones_and_upright(
    changes: Any, has_result: bool, tmp_path: Path
) -> None:
    suffix = ".mov" if "format" in changes else ".mp4"
    video = VideoSpec(size=(128, 96), count=COUNT, options={"g": "12"}, **changes)
    path = video.write(tmp_path / f"in{suffix}")
    result = copy_video(path, tmp_path / f"out{suffix}") if has_result else None
    editor = opened(plan_for(path), tmp_path)
    made = make_report(editor, Media(path), Settings(), result=result)
    found = images(made.html)
    assert [shown.frame for shown in found] == [n for n in (0, 8, 16, 23, 31, 39) for _ in "ab"]
    for shown in found:
        assert number_of(shown.pixels) == shown.frame
    height, width = found[0].pixels.shape[:2]
    assert (width, height) == ((171, 96) if "aspect" in changes else (128, 96))


def test_a_frame_is_scaled_down_and_a_face_is_cut_out(tmp_path: Path) -> None:
    path = VideoSpec(size=(1920, 1080), count=3, options={"preset": "ultrafast"}).write(
        tmp_path / "in.mp4"
    )
    rows = np.array([[frame, 600, 600, 900, 900] for frame in range(3)])
    editor = opened(plan_for(path, make_track(0, 0, 2, boxes=rows), count=3), tmp_path)
    shapes = [
        shown.pixels.shape[:2]
        for shown in images(make_report(editor, Media(path), Settings()).html)
    ]
    assert shapes == [(144, 144), (360, 640), (360, 640)]


def test_a_photograph_has_a_report(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    pixels = cv2.GaussianBlur(random.integers(0, 255, (200, 300, 3), np.uint8), (0, 0), 2)
    path = tmp_path / "photo.png"
    cv2.imwrite(str(path), pixels)
    track = make_track(0, 0, 0, boxes=np.array([[0, 100, 50, 160, 130]]))
    editor = opened(plan_for(path, track, count=1), tmp_path)
    made = make_report(editor, Media(path), Settings())
    assert len(images(made.html)) == 3
    assert "the image" in words(made.html)


def test_two_thousand_tracks_take_seconds_and_few_megabytes(tmp_path: Path) -> None:
    count = 3000
    spec = VideoSpec(size=(320, 180), count=count, options={"preset": "ultrafast", "g": "50"})
    path = spec.write(tmp_path / "in.mp4")
    tracks = [
        make_track(n, n, n + 90, card=f"Person {n % 300}", uncertain=n % 7 == 0)
        for n in range(2000)
    ]
    editor = opened(plan_for(path, *tracks, count=count), tmp_path)
    began = time.monotonic()
    made = make_report(editor, Media(path), Settings())
    assert time.monotonic() - began < 20
    assert len(made.html) < 5e6
    assert len(images(made.html)) <= 200 + 2 * 6
    assert made.html.count("</article>") == 300
    assert f"{made.open_doubts - 200} more doubts are not shown here" in made.html
