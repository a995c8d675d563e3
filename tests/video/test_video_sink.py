"""Rewritten videos have the same frames at the same times, and all other streams."""

import os
import resource
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.codec.context import Flags

from app.errors import DiskFull, MediaError, OutputError
from app.video import Media, Writing, check_output, open_sink, open_source
from app.video import sink as sink_module
from app.video.encoder import encoder_options
from app.video.sidedata import content_light, mastering
from testmedia.videos import (
    MIRRORED,
    NO_BOXES,
    ROTATED,
    VideoSpec,
    copy_video,
    numbers,
    payloads,
    times,
)

MS = Fraction(1, 1000)
WEBM = VideoSpec(codec="libvpx-vp9", base=MS, options={"cpu-used": "8"})
AVI = VideoSpec(codec="mpeg4", base=Fraction(1, 25))
ROUNDS: dict[str, tuple[VideoSpec, str]] = {
    "plain.mp4": (VideoSpec(), ".mp4"),
    "b-frames.mov": (VideoSpec(options={"bf": "3"}), ".mov"),
    "variable.mp4": (VideoSpec(pts=[0, 100, 700, 701, 2000, *range(3000, 4000, 77)]), ".mp4"),
    "late.mp4": (VideoSpec(base=Fraction(1, 90000), pts=range(12345, 84345, 3600)), ".mp4"),
    "edited.mp4": (VideoSpec(pts=range(-1024, 9216, 512)), ".mp4"),
    "ntsc.mp4": (VideoSpec(rate=Fraction(30000, 1001), base=Fraction(1, 30000)), ".mp4"),
    "video.mkv": (VideoSpec(base=MS), ".mkv"),
    "video.webm": (WEBM, ".webm"),
    "odd.webm": (replace(WEBM, size=(63, 49)), ".webm"),
    "video.ts": (VideoSpec(base=Fraction(1, 90000)), ".ts"),
    "video.flv": (VideoSpec(base=MS), ".flv"),
    "video.avi": (AVI, ".avi"),
    "ntsc.avi": (replace(AVI, rate=Fraction(30000, 1001), base=Fraction(1001, 30000)), ".avi"),
    "prores.mov": (VideoSpec(codec="prores_ks", format="yuv422p10le"), ".mov"),
    "program.mpg": (VideoSpec(codec="mpeg2video", base=Fraction(1, 25)), ".mkv"),
    "remux.mkv": (VideoSpec(base=MS), ".mp4"),
    "remux.mp4": (VideoSpec(rate=Fraction(30000, 1001), base=Fraction(1, 30000)), ".mkv"),
    "ten.mp4": (VideoSpec(format="yuv420p10le"), ".mp4"),
    "422.mp4": (VideoSpec(format="yuv422p"), ".mp4"),
    "444-odd.mp4": (VideoSpec(format="yuv444p", size=(63, 49)), ".mp4"),
    "420-odd.mkv": (replace(WEBM, size=(63, 49)), ".mp4"),
    "rgb.mkv": (VideoSpec(codec="ffv1", format="bgr0", base=MS), ".mkv"),
    **{f"{angle}.mp4": (VideoSpec(matrix=matrix), ".mp4") for angle, matrix in ROTATED.items()},
    "mirror.mov": (VideoSpec(matrix=MIRRORED), ".mov"),
}


@pytest.mark.parametrize("name", ROUNDS)
def test_every_frame_is_written_at_its_time(name: str, tmp_path: Path) -> None:
    video, suffix = ROUNDS[name]
    source = video.write(tmp_path / name)
    output = copy_video(source, tmp_path / f"out{suffix}")
    assert open_source(output).info.size == video.size
    assert numbers(output) == numbers(source)
    tick = open_source(output).info.time_base
    exact = suffix == source.suffix
    for result, expected in zip(times(output), times(source), strict=True):
        assert abs(result - expected) <= (0 if exact else tick / 2)


def test_video_and_audio_may_move_together_in_mpeg_ts(
    tmp_path: Path,
) -> None:
    video = VideoSpec(base=Fraction(1, 90000), sounds=[("aac", "deu")])
    source = video.write(tmp_path / "a.mp4")
    output = copy_video(source, tmp_path / "out.ts")
    moved = times(output)[0] - times(source)[0]
    sound = payloads(output, "audio")[0][0] - payloads(source, "audio")[0][0]
    assert 0 < moved < 1
    assert float(sound) == pytest.approx(float(moved), abs=1e-3)


def test_the_duration_of_the_last_frame_is_kept(tmp_path: Path) -> None:
    video = VideoSpec(pts=[0, 512, 1024, 6000])
    source = video.write(tmp_path / "a.mp4")
    output = copy_video(source, tmp_path / "b.mp4")
    assert open_source(output).info.duration == open_source(source).info.duration


@pytest.mark.parametrize(
    ("video", "expected"),
    [
        (VideoSpec(format="yuv420p10le"), ("h264", "yuv420p10le")),
        (VideoSpec(format="yuv422p10le"), ("h264", "yuv422p10le")),
        (VideoSpec(format="yuv444p"), ("h264", "yuv444p")),
        (
            VideoSpec(codec="libx265", options={"x265-params": "log-level=none"}),
            ("hevc", "yuv420p"),
        ),
        (
            VideoSpec(
                codec="libx265",
                format="yuv422p12le",
                options={"x265-params": "log-level=none"},
            ),
            ("hevc", "yuv422p12le"),
        ),
        (VideoSpec(codec="mjpeg", format="yuvj422p"), ("h264", "yuvj422p")),
        (VideoSpec(codec="prores_ks", format="yuv444p10le"), ("hevc", "yuv444p12le")),
    ],
)
def test_depth_and_chroma_are_kept(
    video: VideoSpec, expected: tuple[str, str], tmp_path: Path
) -> None:
    output = copy_video(video.write(tmp_path / "a.mov"), tmp_path / "out.mov")
    with av.open(str(output)) as container:
        context = container.streams.video[0].codec_context
        assert (context.name, context.pix_fmt) == expected


def test_colour_aspect_and_rotation_are_kept(tmp_path: Path) -> None:
    tags = {"colorspace": 9, "color_primaries": 9, "color_trc": 16, "color_range": 1}
    video = VideoSpec(aspect=Fraction(4, 3), colour=tags, format="yuv420p10le", matrix=ROTATED[90])
    output = copy_video(video.write(tmp_path / "a.mp4"), tmp_path / "b.mp4")
    with av.open(str(output)) as container:
        stream = container.streams.video[0]
        frame = next(container.decode(stream))
        assert {name: getattr(frame, name) for name in tags} == tags
        assert stream.sample_aspect_ratio == Fraction(4, 3)
        assert frame.rotation == -90 or frame.rotation == 90
        assert (frame.width, frame.height) == (48, 64)


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libsvtav1"])
def test_hdr_facts_are_kept(codec: str, tmp_path: Path) -> None:
    display = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"
    source = VideoSpec(
        codec="libx265",
        format="yuv420p10le",
        options={"x265-params": f"log-level=none:master-display={display}:max-cll=1000,400"},
    ).write(tmp_path / "a.mp4")
    with av.open(str(source)) as container:
        first = next(container.decode(video=0))
    video = VideoSpec(codec=codec, format="yuv420p10le", options=encoder_options(codec, 90, first))
    written = video.write(tmp_path / "b.mp4")
    with av.open(str(written)) as container:
        found = next(container.decode(video=0))
    light, expected = content_light(found), content_light(first)
    assert (light, light is not None) == (expected, True)
    result, before = mastering(found), mastering(first)
    assert result is not None
    assert before is not None
    for name in ("red", "green", "blue", "white"):
        assert [float(v) for v in getattr(result, name)] == pytest.approx(
            [float(v) for v in getattr(before, name)], abs=1e-4
        )
    assert float(result.brightest) == pytest.approx(float(before.brightest), rel=1e-3)


def test_interlacing_is_kept(tmp_path: Path) -> None:
    video = VideoSpec(flags=int(Flags.interlaced_dct) | int(Flags.interlaced_me), size=(64, 64))
    source = video.write(tmp_path / "a.mp4")
    assert next(iter(open_source(source))).picture.interlaced_frame  # type: ignore[attr-defined]
    output = copy_video(source, tmp_path / "b.mp4")
    assert all(f.picture.interlaced_frame for f in open_source(output))  # type: ignore[attr-defined]
    assert numbers(output) == list(range(20))


@pytest.mark.parametrize(
    ("name", "video"),
    [
        ("a.mp4", VideoSpec(sounds=[("aac", "deu"), ("aac", "fra")])),
        ("b.mp4", VideoSpec(sounds=[("libopus", "deu"), ("flac", "eng")])),
        ("c.mov", VideoSpec(sounds=[("pcm_s16le", "deu")])),
        ("d.mkv", VideoSpec(base=MS, sounds=[("pcm_s24le", "deu"), ("ac3", "eng")])),
        ("e.webm", replace(WEBM, sounds=[("libopus", "deu")])),
        ("f.avi", replace(AVI, sounds=[("mp3", "deu")])),
        ("g.flv", VideoSpec(base=MS, sounds=[("aac", "deu")])),
        ("h.ts", VideoSpec(base=Fraction(1, 90000), sounds=[("aac", "deu"), ("ac3", "fra")])),
    ],
)
def test_audio_is_copied_bit_by_bit(name: str, video: VideoSpec, tmp_path: Path) -> None:
    source = video.write(tmp_path / name)
    assert check_output(source, tmp_path / f"out{source.suffix}") == []
    output = copy_video(source, tmp_path / f"out{source.suffix}")
    for index, (_, language) in enumerate(video.sounds):
        result, expected = payloads(output, "audio", index), payloads(source, "audio", index)
        assert len(expected) > 0
        assert b"".join(p[2] for p in result) == b"".join(p[2] for p in expected)
        assert result[0][0] == expected[0][0]
        if "pcm" not in video.sounds[0][0]:
            assert result == expected
        with av.open(str(output)) as container:
            if source.suffix not in {".avi", ".flv", ".mov"}:
                assert container.streams.audio[index].language == language


def test_audio_and_video_are_interleaved(tmp_path: Path) -> None:
    """Packets of equal times are near each other, so that players need not seek."""
    video = VideoSpec(count=150, sounds=[("aac", "deu")])
    output = copy_video(video.write(tmp_path / "a.mp4"), tmp_path / "b.mp4")
    with av.open(str(output)) as container:
        found = [
            (p.pos or 0, p.stream.type, float((p.dts or 0) * p.time_base))
            for p in container.demux()
            if p.size
        ]
    last = {"video": 0.0, "audio": 0.0}
    for _, kind, time in sorted(found):
        last[kind] = time
        assert abs(last["video"] - last["audio"]) < 1.5


@pytest.mark.parametrize(
    ("name", "suffix", "codec"),
    [
        ("a.avi", ".mp4", "aac"),
        ("a.avi", ".webm", "opus"),
        ("a.avi", ".ts", "aac"),
        ("a.avi", ".mkv", "flac"),
    ],
)
def test_unsupported_audio_is_converted_with_a_warning(
    name: str, suffix: str, codec: str, tmp_path: Path
) -> None:
    video = replace(AVI, count=50, sounds=[("adpcm_ms", "deu")])
    source = video.write(tmp_path / name)
    output = tmp_path / f"out{suffix}"
    assert any("adpcm_ms is converted" in warning for warning in check_output(source, output))
    copy_video(source, output)
    with av.open(str(output)) as container:
        stream = container.streams.audio[0]
        assert stream.codec_context.codec.canonical_name == codec
        seconds = sum(f.samples / f.sample_rate for f in container.decode(stream))
    assert seconds == pytest.approx(49 / 25, abs=0.1)


def test_subtitles_are_copied_or_converted_to_plain_text(tmp_path: Path) -> None:
    video = VideoSpec(base=MS, subtitles=[("subrip", "eng"), ("ass", "fra")])
    source = video.write(tmp_path / "a.mkv")
    same = copy_video(source, tmp_path / "same.mkv")
    for index in range(2):
        assert payloads(same, "subtitle", index) == payloads(source, "subtitle", index)
    assert len(check_output(source, tmp_path / "b.mp4")) == 2
    other = copy_video(source, tmp_path / "b.mp4")
    for index in range(2):
        lines = [p[2][2:] for p in payloads(other, "subtitle", index) if len(p[2]) > 2]
        assert lines == [b"Line 0", b"Line 1"]
    back = copy_video(other, tmp_path / "back.mkv")
    assert [p[2] for p in payloads(back, "subtitle")] == [b"Line 0", b"Line 1"]


def test_subtitles_of_mp4_are_copied(tmp_path: Path) -> None:
    source = VideoSpec(count=60, subtitles=[("mov_text", "eng")]).write(tmp_path / "a.mp4")
    output = copy_video(source, tmp_path / "b.mp4")

    def lines(path: Path) -> list[tuple[object, ...]]:
        return [packet for packet in payloads(path, "subtitle") if len(packet[2]) > 2]

    assert lines(output) == lines(source)
    assert len(lines(output)) == 2


def test_chapters_and_titles_are_kept_but_not_locations_and_devices(tmp_path: Path) -> None:
    facts = {"title": "A video", "location": "+48.1+011.5/", "comment": "Nice", "make": "Phone"}
    video = VideoSpec(chapters=[("One", 0, 300), ("Two", 300, 800)], metadata=facts)
    source = video.write(tmp_path / "a.mp4")
    output = copy_video(source, tmp_path / "b.mp4")
    with av.open(str(output)) as container:
        assert [c["metadata"]["title"] for c in container.chapters()] == ["One", "Two"]
        assert container.metadata["title"] == "A video"
        assert container.metadata["comment"] == "Nice"
        assert not {"location", "make"} & set(container.metadata)
    assert b"48.1" not in output.read_bytes()
    kept = copy_video(source, tmp_path / "c.mp4", keep_location=True)
    with av.open(str(kept)) as container:
        assert container.metadata["location"].startswith("+48.1")


@pytest.mark.parametrize("video", [VideoSpec(cover=True), VideoSpec(second_video=True)])
def test_unprocessed_video_streams_are_dropped_with_a_warning(
    video: VideoSpec, tmp_path: Path
) -> None:
    source = video.write(tmp_path / "a.mp4")
    (warning,) = check_output(source, tmp_path / "b.mp4")
    assert "dropped" in warning
    with av.open(str(copy_video(source, tmp_path / "b.mp4"))) as container:
        assert [stream.type for stream in container.streams] == ["video"]


def test_mp4_begins_with_its_index(tmp_path: Path) -> None:
    data = copy_video(VideoSpec().write(tmp_path / "a.mp4"), tmp_path / "b.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


@pytest.mark.parametrize(
    ("source", "output", "reason"),
    [
        ("a.mp4", "a.mp4", "the input itself"),
        ("a.mp4", "there.mp4", "already exists"),
        ("a.mp4", "none/b.mp4", "does not exist"),
        ("a.mp4", "folder", "is a folder"),
        ("a.mp4", "b.txt", "use one of"),
        ("a.mp4", "b.jpg", "use one of"),
        ("a.mp4", "b.avi", "times of its frames"),
        ("text.mkv", "b.ts", "cannot hold stream 1"),
    ],
)
def test_an_impossible_output_is_refused_before_any_work(
    source: str, output: str, reason: str, tmp_path: Path
) -> None:
    VideoSpec().write(tmp_path / "a.mp4")
    (tmp_path / "there.mp4").touch()
    (tmp_path / "folder").mkdir()
    VideoSpec(base=MS, subtitles=[("ass", "deu")]).write(tmp_path / "text.mkv")
    for attempt in (check_output, open_sink):
        with pytest.raises(OutputError, match=reason):
            attempt(tmp_path / source, tmp_path / output)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_refused_before_any_work(tmp_path: Path) -> None:
    source = VideoSpec().write(tmp_path / "a.mp4")
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o500)
    with pytest.raises(OutputError, match="not writable"):
        check_output(source, folder / "b.mp4")


def test_a_name_taken_during_the_work_is_not_overwritten(tmp_path: Path) -> None:
    source, output = VideoSpec().write(tmp_path / "a.mp4"), tmp_path / "b.mp4"
    with open_sink(source, output) as sink:
        for frame in open_source(source):
            sink.write(frame, NO_BOXES)
        output.write_text("precious")
        with pytest.raises(OutputError, match="already exists"):
            sink.commit()
    assert output.read_text() == "precious"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "b.mp4"]


def test_overwriting_replaces_the_file_only_at_the_end(tmp_path: Path) -> None:
    source, output = VideoSpec().write(tmp_path / "a.mp4"), tmp_path / "b.mp4"
    output.write_text("old")
    with open_sink(source, output, Writing(overwrite=True)) as sink:
        for frame in open_source(source):
            sink.write(frame, NO_BOXES)
        assert output.read_text() == "old"
        sink.commit()
    assert numbers(output) == list(range(20))


def test_a_file_that_lost_a_frame_does_not_get_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check of the finished file detects a muxer that loses a packet."""
    source = VideoSpec(sounds=[("aac", "deu")]).write(tmp_path / "a.mp4")
    original = sink_module.VideoSink._mux

    def losing(self: object, output: object, carrier: object, packets: Iterable[object]) -> None:
        kept = list(packets)
        some = kept[:-1] if len(kept) > 5 else kept
        original(self, output, carrier, some)  # type: ignore[arg-type]

    monkeypatch.setattr(sink_module.VideoSink, "_mux", losing)
    with pytest.raises(MediaError, match="19 of 20 frames"):
        copy_video(source, tmp_path / "b.mp4")
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_a_full_disk_is_reported_and_leaves_nothing(tmp_path: Path) -> None:
    source = VideoSpec(count=100, size=(320, 240), noise=200).write(tmp_path / "a.mp4")
    code = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from testmedia.videos import copy_video\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100000, 100000))\n"
        "copy_video(Path(sys.argv[1]), Path(sys.argv[2]))\n"
    )
    paths = str(Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", code, source, tmp_path / "b.mp4"],
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )
    assert DiskFull.__name__ in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_quality_is_checked_and_has_an_effect(tmp_path: Path) -> None:
    source = VideoSpec(count=10, size=(160, 120), noise=60).write(tmp_path / "a.mp4")
    sizes = [
        copy_video(source, tmp_path / f"{quality}.mp4", quality=quality).stat().st_size
        for quality in (20, 60, 90, 100)
    ]
    assert sizes == sorted(sizes)
    assert sizes[0] * 3 < sizes[-1]
    with pytest.raises(ValueError, match=r"1\.\.100"):
        copy_video(source, tmp_path / "0.mp4", quality=0)


def test_the_default_quality_is_visually_lossless(tmp_path: Path) -> None:
    source = VideoSpec(size=(320, 240), noise=20, options={"crf": "10"}).write(tmp_path / "a.mp4")
    output = copy_video(source, tmp_path / "b.mp4")
    errors = [
        np.square(a.rgb().astype(float) - b.rgb()).mean()
        for a, b in zip(open_source(source), open_source(output), strict=True)
    ]
    assert 10 * np.log10(255**2 / np.mean(errors)) > 38


def test_memory_does_not_grow_with_the_length(tmp_path: Path) -> None:
    """Ten times the frames need the same memory."""
    short = VideoSpec(count=60, size=(640, 480)).write(tmp_path / "short.mp4")
    long = VideoSpec(count=600, size=(640, 480)).write(tmp_path / "long.mp4")
    copy_video(short, tmp_path / "a.mp4", threads=2)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    copy_video(long, tmp_path / "b.mp4", threads=2)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 40_000, "KiB: less than a tenth of the frames"


@pytest.mark.parametrize(
    ("name", "suffix"),
    [("a.mp4", ".mp4"), ("a.mov", ".mov"), ("a.mkv", ".mkv"), ("a.webm", ".webm"), ("a.ts", ".ts")],
)
def test_the_suffix_of_the_same_kind_depends_on_the_content(
    name: str, suffix: str, tmp_path: Path
) -> None:
    video = (
        WEBM
        if suffix == ".webm"
        else VideoSpec(base=MS if suffix == ".mkv" else Fraction(1, 90000))
    )
    path = video.write(tmp_path / name).rename(tmp_path / "upload")
    assert Media(path).kind.suffix == suffix
