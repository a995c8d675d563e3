"""Points: what lies outside is refused before any work, times find their frame, misses help."""

import re
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pictures

from app.config import Point, Settings
from app.config.points import format_time, parse_time
from app.errors import ConfigError, UsageError
from app.pipeline import FaceBlur
from app.pipeline.analysis import Analysis, AnalysisResult
from app.pipeline.frame_times import FrameTimes
from app.pipeline.selection import track_at
from app.pipeline.shot_analysis import FaceTrack
from app.video import Media, open_source
from testmedia.videos import VideoSpec
from tests.painted_faces import SquareDetector, parts

MILLISECONDS = Fraction(1, 1000)
UNEVEN = [0, 40, 80, 500, 510, 520, 1200, 1201, 1400, 2000, 2033, 2100]
"""Times of the frames of a video of variable rate, in milliseconds."""


def uneven(path: Path, start: int = 0) -> Path:
    pts = [start + one for one in UNEVEN]
    return VideoSpec(count=len(pts), base=MILLISECONDS, pts=pts).write(path)


def session(select: str) -> FaceBlur:
    """A session whose models cannot be loaded."""
    return FaceBlur(Settings(select=select, models="none"))


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.webm", "a.ts", "a.mov"])
def test_points_outside_are_refused_before_models_are_loaded(tmp_path: Path, name: str) -> None:
    """Matroska, WebM and MPEG-TS do not say how many frames they have."""
    codec = {"a.webm": "libvpx-vp9"}.get(name, "libx264")
    media = Media(VideoSpec(size=(64, 48), count=20, codec=codec).write(tmp_path / name))
    for inside in ("0,0,0", "19,63,47", "0s,1,1", "0:00.79,63.9,47.9"):
        session(inside).check_selection(media)
    for outside, reason in {
        "20,1,1": "its last one is 19",
        "0,64,1": "64 x 48 pixels",
        "0,1,48": "64 x 48 pixels",
        "1:00,1,1": "the video ends at 0:00.8",
        "5,1,1;999999,1,1": "select 999999,1,1: ",
    }.items():
        for call in (session(outside).check_selection, session(outside).analyse):
            with pytest.raises(UsageError, match=re.escape(reason)):
                call(media)


def test_a_turned_video_has_the_size_that_is_shown(tmp_path: Path) -> None:
    spec = VideoSpec(size=(48, 64), matrix=(0, -65536, 0, 65536, 0, 0, 0, 0, 1 << 30))
    media = Media(spec.write(tmp_path / "turned.mp4"))
    assert open_source(media).info.size == (48, 64)
    session("0,47,63").check_selection(media)
    with pytest.raises(UsageError, match="48 x 64 pixels; X is at most 47, and Y at most 63"):
        session("0,63,47").check_selection(media)


def test_an_image_has_one_frame(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Pictures.new("RGB", (30, 20)).save(path)
    session("0,29,19;0:00,1,1").check_selection(Media(path))
    for wrong in ("1,1,1", "0:01,1,1"):
        with pytest.raises(UsageError, match="an image has only frame 0"):
            session(wrong).check_selection(Media(path))
    with pytest.raises(UsageError, match="outside the picture of 30 x 20"):
        session("0,30,1").check_selection(Media(path))


@pytest.mark.parametrize(("name", "start"), [("a.mp4", 0), ("a.mkv", 0), ("a.mkv", 5000)])
def test_a_time_is_the_frame_that_is_shown(tmp_path: Path, name: str, start: int) -> None:
    source = open_source(uneven(tmp_path / name, start))
    settings = Settings(rotate="none", shots="none")
    result = Analysis(parts(SquareDetector()), settings, source.info).run(source, lambda *_: None)
    shift = Fraction(1, 10**9)
    for time in [one * MILLISECONDS for one in range(0, 2200, 7)] + [
        at * MILLISECONDS + step for at in UNEVEN for step in (-shift, 0, shift) if at + step >= 0
    ]:
        shown = sum(at * MILLISECONDS <= time for at in UNEVEN) - 1
        assert result.times.frame_at(time) == shown
    for number, at in enumerate(UNEVEN):
        assert result.times.time_of(number) == at * MILLISECONDS
        assert result.times.label(number).startswith(f"frame {number} (0:0")


def face(x: float, first: int, seen: tuple[int, int], last: int) -> FaceTrack:
    box = np.asarray([[x, 100, x + 80, 180]], np.float32)
    return FaceTrack(0, first, np.repeat(box, last + 1 - first, axis=0), seen, None)


def analysed(*tracks: FaceTrack) -> AnalysisResult:
    times = FrameTimes([90 + 40 * number for number in range(100)], MILLISECONDS)
    return AnalysisResult(100, ((0, 100),), tracks, times, (640, 360))


TWO = analysed(face(400, 10, (13, 47), 50), face(20, 10, (13, 47), 50), face(600, 70, (73, 80), 83))


def message(result: AnalysisResult, text: str) -> str:
    (point,) = Settings(select=text).select
    with pytest.raises(UsageError) as caught:
        track_at(result, point)
    return str(caught.value)


def pasted(text: str) -> list[Point]:
    """The points that a message names after the one that was missed."""
    return [
        Settings(select=one).select[0]
        for one in re.findall(r"\d+,\d+,\d+", text.partition(": ")[2])
    ]


@pytest.mark.parametrize("text", ["20,250,300", "0:00.8,250,300", "0.8399s,250,300"])
def test_a_miss_names_the_faces_of_the_frame(text: str) -> None:
    said = message(TWO, text)
    assert "frame 20 (0:00.8) shows faces at 20,60,140 or 20,440,140" in said
    assert [track_at(TWO, point) for point in pasted(said)] == [1, 0]


@pytest.mark.parametrize(
    ("text", "frame", "faces"),
    [("0,60,140", 13, [1, 0]), ("55,60,140", 47, [1, 0]), ("64,1,1", 73, [2]), ("99,1,1", 80, [2])],
)
def test_a_frame_without_a_face_names_the_nearest_with_one(
    text: str, frame: int, faces: Sequence[int]
) -> None:
    """Frames in which a face is hidden only for safety do not count as showing it."""
    said = message(TWO, text)
    assert f"the nearest one that shows any is frame {frame} (0:0" in said
    points = pasted(said)
    assert {point.at for point in points} == {frame}
    assert [track_at(TWO, point) for point in points] == faces


def test_a_face_that_is_cut_off_is_named_inside_the_frame() -> None:
    result = analysed(face(610, 0, (0, 99), 99))
    (point,) = pasted(message(result, "5,1,1"))
    assert point.x < 640
    assert track_at(result, point) == 0


def test_a_video_without_any_face_says_so() -> None:
    assert "none was found in any other" in message(analysed(), "5,1,1")


def test_a_frame_after_the_last_one_is_refused_when_it_is_known() -> None:
    assert message(TWO, "100,1,1").endswith("the video has no such frame; its last one is 99")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0:08.3", Fraction(83, 10)),
        ("8.3s", Fraction(83, 10)),
        ("1:02:03.5", Fraction(37235, 10)),
        ("90:00", Fraction(5400)),
        ("0.000000001s", Fraction(1, 10**9)),
        ("1001/30000s", Fraction(1001, 30000)),
    ],
)
def test_times_are_exact(text: str, seconds: Fraction) -> None:
    assert parse_time(text) == seconds
    assert parse_time(format_time(seconds)) == seconds
    (point,) = Settings(select=f" {text}, 430,110").select
    assert point == (seconds, 430, 110)


@pytest.mark.parametrize(
    "text",
    ["0:60", "1:60:00", "8.3", "-1s", "1/0s", "1:2:3:4", "::", "s", "1e3s", "٣s", "0x1", "1_0", ""],
)
def test_wrong_times_are_refused(text: str) -> None:
    with pytest.raises(
        ConfigError, match=r"^select: .*a time is M:SS, H:MM:SS or seconds with an s"
    ):
        Settings(select=f"{text},1,1")


@pytest.mark.parametrize(
    "value",
    [
        *("1,2", "1,2,3,4", "1,x,2", "1,-1,2", "1,nan,2", "1,,2", 5, None, b"1,2,3"),
        *([1, 2, 3], [[1, 2]], [[True, 1, 2]], [[-1, 0, 0]], [[0, float("inf"), 0]]),
        *([[0, None, 0]], [{"frame": 1}]),
    ],
)
def test_wrong_points_are_refused_in_own_words(value: object) -> None:
    with pytest.raises(
        ConfigError, match=r"^select: .*(a point is FRAME,X,Y|frame|pixels)"
    ) as caught:
        Settings(select=value)
    assert not re.search(r"select[.\[]|Input|tuple|float|valid", str(caught.value))


def test_points_survive_the_way_to_another_process() -> None:
    """The service and the job send settings to a child as JSON; plans record them."""
    settings = Settings(select="3,10,20.5;1:02:03.5,4,5;1/3s,1,1")
    sent = settings.model_dump(mode="json", exclude_unset=True)
    assert Settings(**sent).select == settings.select
    assert settings.changed(pad=1).select == settings.select
    assert settings.effective()["select"] == [
        [3, 10.0, 20.5], ["1:02:03.5", 4.0, 5.0], ["1/3s", 1.0, 1.0]
    ]  # fmt: skip
    assert Settings(select=settings.effective()["select"]).select == settings.select
