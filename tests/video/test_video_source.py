"""Videos of every kind are decoded in order, at their times."""

import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from app.errors import MediaError, MediaTooLarge
from app.video import Media, open_sink, open_source
from app.video.prefetch import run_ahead
from testmedia.videos import (
    MIRRORED,
    NO_BOXES,
    ROTATED,
    VideoSpec,
    number_of,
    numbers,
    picture,
    times,
)

KINDS = {
    "h264.mp4": VideoSpec(),
    "b-frames.mp4": VideoSpec(options={"bf": "3", "b-pyramid": "normal"}),
    "hevc.mp4": VideoSpec(codec="libx265", options={"x265-params": "log-level=none"}),
    "vp9.webm": VideoSpec(codec="libvpx-vp9", base=Fraction(1, 1000)),
    "vp8.webm": VideoSpec(codec="libvpx", base=Fraction(1, 1000)),
    "h264.mkv": VideoSpec(base=Fraction(1, 1000)),
    "prores.mov": VideoSpec(codec="prores_ks", format="yuv422p10le"),
    "mjpeg.mov": VideoSpec(codec="mjpeg", format="yuvj420p"),
    "mpeg4.avi": VideoSpec(codec="mpeg4", base=Fraction(1, 25)),
    "h264.ts": VideoSpec(base=Fraction(1, 90000)),
    "mpeg2.mpg": VideoSpec(codec="mpeg2video", base=Fraction(1, 25)),
    "mpeg2.mxf": VideoSpec(codec="mpeg2video", base=Fraction(1, 25)),
    "h264.flv": VideoSpec(base=Fraction(1, 1000)),
    "ten.mp4": VideoSpec(format="yuv420p10le"),
    "422.mp4": VideoSpec(format="yuv422p"),
    "444-odd.mp4": VideoSpec(format="yuv444p", size=(63, 49)),
    "420-odd.webm": VideoSpec(codec="libvpx-vp9", base=Fraction(1, 1000), size=(63, 49)),
    "rgb.mkv": VideoSpec(codec="ffv1", format="bgr0", base=Fraction(1, 1000)),
    "packed.avi": VideoSpec(codec="rawvideo", format="yuyv422", base=Fraction(1, 25)),
    "full.mp4": VideoSpec(colour={"colorspace": 1, "color_range": 2}),
    "90.mp4": VideoSpec(matrix=ROTATED[90]),
    "180.mp4": VideoSpec(matrix=ROTATED[180]),
    "270.mp4": VideoSpec(matrix=ROTATED[270]),
    "mirror.mp4": VideoSpec(matrix=MIRRORED),
    "90-odd.mp4": VideoSpec(matrix=ROTATED[90], size=(49, 63), format="yuv444p"),
}


@pytest.mark.parametrize("name", KINDS)
def test_every_frame_comes_once_in_order_and_upright(name: str, tmp_path: Path) -> None:
    video = KINDS[name]
    path = video.write(tmp_path / name)
    assert open_source(path).info.size == video.size
    assert numbers(path) == list(range(video.count))


@pytest.mark.parametrize(
    "video",
    [
        VideoSpec(),
        VideoSpec(pts=[0, 100, 700, 701, 2000, *range(3000, 4000, 77)]),
        VideoSpec(pts=range(12345, 12345 + 3600 * 20, 3600), base=Fraction(1, 90000)),
        VideoSpec(rate=Fraction(30000, 1001), base=Fraction(1, 30000)),
    ],
    ids=["constant", "variable", "late", "ntsc"],
)
def test_times_are_exact(video: VideoSpec, tmp_path: Path) -> None:
    path = video.write(tmp_path / "a.mp4")
    source = open_source(path)
    assert source.info.time_base == video.base
    assert [frame.pts for frame in source] == video.times()


def test_frames_before_an_edit_list_are_not_shown(tmp_path: Path) -> None:
    video = VideoSpec(pts=[-1024 + 512 * number for number in range(20)])
    assert numbers(video.write(tmp_path / "a.mp4")) == list(range(2, 20))


def test_each_iteration_of_a_source_begins_again(tmp_path: Path) -> None:
    source = open_source(VideoSpec().write(tmp_path / "a.mp4"))
    first, second = ([(f.index, f.pts) for f in source] for _ in range(2))
    assert first == second
    assert [index for index, _ in first] == list(range(20))


def test_the_thread_ends_with_the_iteration(tmp_path: Path) -> None:
    source = open_source(VideoSpec(count=100).write(tmp_path / "a.mp4"))
    before = threading.active_count()
    frames = iter(source)
    next(frames)
    assert threading.active_count() == before + 1
    frames.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def test_decoding_runs_ahead_within_bounds(tmp_path: Path) -> None:
    """A slow consumer does not make the queue grow: the number and weight of items are bounded."""
    made: list[int] = []

    def items() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            yield number

    ahead = run_ahead(items(), weigh=lambda _: 10, count=8, weight=35)
    assert next(ahead) == 0
    deadline = time.monotonic() + 5
    while len(made) < 5 and time.monotonic() < deadline:
        time.sleep(0.001)
    assert made == [0, 1, 2, 3, 4], "one was taken, three fit, and one waits"
    assert list(ahead) == list(range(1, 100))


def test_an_error_of_the_thread_keeps_its_traceback() -> None:
    def failing() -> Iterator[int]:
        yield 1
        raise RuntimeError("deep inside")

    ahead = run_ahead(failing(), weigh=lambda _: 1, count=2, weight=2)
    assert next(ahead) == 1
    with pytest.raises(RuntimeError, match="deep inside") as caught:
        next(ahead)
    assert caught.traceback[-1].name == "failing"


def test_info_has_rate_duration_and_count(tmp_path: Path) -> None:
    info = open_source(
        VideoSpec(rate=Fraction(30000, 1001), base=Fraction(1, 30000)).write(tmp_path / "a.mp4")
    ).info
    assert info.rate == Fraction(30000, 1001)
    assert info.duration == Fraction(20 * 1001, 30000)
    assert info.frames == 20
    assert not info.is_image


def test_a_video_is_recognised_by_its_content(tmp_path: Path) -> None:
    path = VideoSpec(base=Fraction(1, 1000)).write(tmp_path / "a.mkv")
    assert numbers(path.rename(tmp_path / "a.jpg")) == list(range(20))


def test_a_name_that_looks_like_a_url_is_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    VideoSpec().write(tmp_path / "a.mp4").rename(tmp_path / "concat:a.mp4")
    monkeypatch.chdir(tmp_path)
    assert len(times(Path("concat:a.mp4"))) == 20


def test_the_video_is_decoded_and_not_the_cover(tmp_path: Path) -> None:
    assert numbers(VideoSpec(cover=True).write(tmp_path / "a.mp4")) == list(range(20))


@pytest.mark.parametrize("threads", [1, 4])
def test_a_change_of_size_that_loses_a_frame_is_an_error(threads: int, tmp_path: Path) -> None:
    """Two concatenated streams, as in broadcasts; the decoder of MPEG-2 drops the last frame."""
    small = VideoSpec(codec="mpeg2video", base=Fraction(1, 25))
    large = replace(small, size=(96, 64), pts=range(200, 220))
    path = tmp_path / "both.mpg"
    path.write_bytes(
        small.write(tmp_path / "small.mpg").read_bytes()
        + large.write(tmp_path / "large.mpg").read_bytes()
    )
    with pytest.raises(MediaError, match=r"both\.mpg: .*changes"):
        list(open_source(path, threads=threads))


def test_a_decoded_frame_equals_the_drawn_image(tmp_path: Path) -> None:
    video = VideoSpec(options={"crf": "1"}, format="yuv444p", colour={"colorspace": 1})
    frame = next(iter(open_source(video.write(tmp_path / "a.mp4"))))
    difference = frame.rgb().astype(int) - picture(0, video.size)
    assert np.abs(difference).mean() < 3
    assert number_of(frame.rgb((32, 24))) == 0


def test_ctrl_c_stops_within_a_second(tmp_path: Path) -> None:
    """Ctrl-C works while the consumer waits for the thread that decodes."""
    path = VideoSpec(count=60).write(tmp_path / "a.mp4")
    code = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from app.process import stoppable\n"
        "from app.video import open_source\n"
        "with stoppable():\n"
        "    print('ready', flush=True)\n"
        "    while True:\n"
        "        for frame in open_source(Path(sys.argv[1])):\n"
        "            pass\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, path],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "ready\n"
    child.send_signal(signal.SIGINT)
    started = time.monotonic()
    try:
        _, errors = child.communicate(timeout=20)
    finally:
        child.kill()
    assert time.monotonic() - started < 2
    assert errors.rstrip().endswith("KeyboardInterrupt")


def test_the_length_is_counted_while_frames_and_sound_are_read(tmp_path: Path) -> None:
    """What the file declares is not believed."""
    video = VideoSpec(base=Fraction(1, 1000), sounds=[("flac", "deu")], pts=range(0, 4000, 200))
    path = video.write(tmp_path / "a.mkv")
    data = path.read_bytes()
    at = data.index(b"\x44\x89\x88") + 3
    path.write_bytes(data[:at] + struct.pack(">d", 100) + data[at + 8 :])
    assert open_source(path).info.duration == Fraction(1, 10)
    assert len(list(open_source(Media(path, max_seconds=4)))) == 20
    with pytest.raises(MediaTooLarge, match=r"longer than the 3 s .* although it declares less"):
        list(open_source(Media(path, max_seconds=3)))
    short = replace(video, pts=[0, 100]).write(tmp_path / "b.mkv")
    with open_sink(Media(path, max_seconds=3), tmp_path / "c.mkv") as sink:
        for frame in open_source(short):
            sink.write(frame, NO_BOXES)
        with pytest.raises(MediaTooLarge):
            sink.commit()
