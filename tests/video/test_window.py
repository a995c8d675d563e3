"""A stretch of a video: exactly its frames, at their times, with its sound."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from app import FaceBlur, Media, Settings
from app.errors import FaceBlurError, UsageError
from app.types import Window
from app.video import open_source
from testmedia.videos import VideoSpec, number_of, payloads

RATE = 25
KINDS = {
    "mp4": VideoSpec(count=100, options={"g": "12", "bf": "3"}),
    "mkv": VideoSpec(count=100, options={"g": "250"}),
    "ts": VideoSpec(count=100, options={"g": "12"}),
    "webm": VideoSpec(count=100, codec="libvpx-vp9", options={"g": "30"}),
    "avi": VideoSpec(count=100, codec="mpeg4"),
    "hevc.mp4": VideoSpec(
        count=100, codec="libx265", options={"x265-params": "keyint=20:open-gop=1:log-level=none"}
    ),
}


def windowed(path: Path, begin: object, end: object | None) -> Media:
    media = Media(path)
    media.window = Window(Fraction(str(begin)), None if end is None else Fraction(str(end)))
    return media


def numbers(source: object) -> list[int]:
    return [number_of(frame.rgb()) for frame in source]  # type: ignore[attr-defined]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("begin", "end", "expected"),
    [
        (0, 1, range(25)),
        ("1.0", "2.0", range(25, 50)),
        ("1.01", "2.01", range(26, 51)),
        ("3.9", None, range(98, 100)),
        (2, 99, range(50, 100)),
        ("0.5", "0.54", range(13, 14)),
    ],
)
def test_exactly_these_frames(
    tmp_path: Path, kind: str, begin: object, end: object | None, expected: range
) -> None:
    path = KINDS[kind].write(tmp_path / f"in.{kind}")
    media = windowed(path, begin, end)
    source = open_source(media)
    shown = [(frame.index, number_of(frame.rgb())) for frame in source]
    assert shown == list(enumerate(expected))
    result = tmp_path / f"out.{kind}"
    plan = FaceBlur(Settings(blur="everyone")).blur(media, result)
    assert plan.source.frames == len(expected)
    written = list(open_source(result))
    assert numbers(written) == list(expected)
    gaps = np.diff([float(frame.pts * open_source(result).info.time_base) for frame in written])
    assert np.allclose(gaps, 1 / RATE, atol=0.002)


def test_variable_times_are_kept(tmp_path: Path) -> None:
    times = [0, 100, 900, 1000, 2000, 2500, 2600, 4000]
    spec = VideoSpec(pts=times, count=len(times), base=Fraction(1, 1000), options={"g": "3"})
    path = spec.write(tmp_path / "in.mp4")
    result = tmp_path / "out.mp4"
    FaceBlur(Settings(blur="everyone")).blur(windowed(path, "0.9", "2.6"), result)
    frames = list(open_source(result))
    assert numbers(frames) == [2, 3, 4, 5]
    base = open_source(result).info.time_base
    tenths = [frame.pts * base * 10 for frame in frames]
    assert tenths == [0, 1, 11, 16]


def test_the_sound_of_the_stretch_is_kept(tmp_path: Path) -> None:
    path = VideoSpec(count=100, sounds=[("aac", "eng")]).write(tmp_path / "in.mp4")
    result = tmp_path / "out.mp4"
    FaceBlur(Settings(blur="everyone")).blur(windowed(path, 1, 2), result)
    whole, part = payloads(path, "audio"), payloads(result, "audio")
    expected = [(time - 1, data) for time, _, data in whole if 1 <= time < 2]
    assert [data for _, _, data in part] == [data for _, data in expected]
    moved = [abs(time - wanted) for (time, _, _), (wanted, _) in zip(part, expected, strict=True)]
    assert max(moved) < Fraction(1, 1000)


def test_an_empty_stretch_is_refused(tmp_path: Path) -> None:
    path = KINDS["mp4"].write(tmp_path / "in.mp4")
    for begin, end in ((5, None), (5, 6), ("0.5", "0.51")):
        with pytest.raises(UsageError, match="no frame in this stretch"):
            FaceBlur(Settings(blur="everyone")).blur(windowed(path, begin, end), tmp_path / "o.mp4")
    assert not (tmp_path / "o.mp4").exists()


def test_the_plan_of_a_stretch_does_not_fit_the_video(tmp_path: Path) -> None:
    path = KINDS["mp4"].write(tmp_path / "in.mp4")
    face_blur = FaceBlur(Settings(blur="everyone"))
    plan = face_blur.analyse(windowed(path, 1, 2))
    with pytest.raises(FaceBlurError):
        face_blur.render(Media(path), plan, tmp_path / "o.mp4")
    assert not (tmp_path / "o.mp4").exists()
