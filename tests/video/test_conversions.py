"""Output in another container or codec, and unusual inputs."""

import os
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import pytest

from app.errors import MediaError, OutputError
from app.video import check_output, open_source
from testmedia.videos import MIRRORED, ROTATED, VideoSpec, copy_video, numbers, payloads, times

MS = Fraction(1, 1000)
AVI = VideoSpec(codec="mpeg4", base=Fraction(1, 25))
WEBM = VideoSpec(codec="libvpx-vp9", base=MS, options={"cpu-used": "8"})


def _matrix(path: Path) -> tuple[int, ...] | None:
    return open_source(path).matrix  # type: ignore[attr-defined,no-any-return]


@pytest.mark.parametrize("matrix", [*ROTATED.values(), MIRRORED])
def test_containers_without_rotation_are_refused(matrix: tuple[int, ...], tmp_path: Path) -> None:
    source = VideoSpec(matrix=matrix, base=Fraction(1, 25)).write(tmp_path / "a.mp4")
    for name in ("b.ts", "b.avi", "b.flv"):
        with pytest.raises(OutputError, match="cannot hold the rotation"):
            check_output(source, tmp_path / name)
        with pytest.raises(OutputError, match="cannot hold the rotation"):
            copy_video(source, tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


@pytest.mark.parametrize("matrix", [*ROTATED.values(), MIRRORED])
@pytest.mark.parametrize("name", ["b.mkv", "b.mov"])
def test_the_rotation_is_kept_in_another_container(
    matrix: tuple[int, ...], name: str, tmp_path: Path
) -> None:
    source = VideoSpec(matrix=matrix).write(tmp_path / "a.mp4")
    assert _matrix(copy_video(source, tmp_path / name)) == tuple(matrix)


def test_audio_that_starts_before_zero_moves_with_the_video(tmp_path: Path) -> None:
    """AAC in MP4 has priming before zero; Matroska has no times before zero."""
    source = VideoSpec(sounds=[("aac", "deu")]).write(tmp_path / "a.mp4")
    first = payloads(source, "audio")[0][0]
    assert first < 0
    output = copy_video(source, tmp_path / "b.mkv")
    moved = {
        result - expected for result, expected in zip(times(output), times(source), strict=True)
    }
    assert len(moved) == 1
    sound = payloads(output, "audio")[0][0] - first
    assert abs(moved.pop() - sound) <= MS
    assert [p[2] for p in payloads(output, "audio")] == [p[2] for p in payloads(source, "audio")]


@pytest.mark.parametrize(
    ("name", "video"),
    [
        ("a.avi", replace(AVI, sounds=[("pcm_s16le", "eng")])),
        ("a.mkv", VideoSpec(base=MS, sounds=[("pcm_s24le", "eng")])),
        ("a.mov", VideoSpec(sounds=[("pcm_s16le", "eng")])),
    ],
)
def test_pcm_is_copied_into_quicktime(name: str, video: VideoSpec, tmp_path: Path) -> None:
    source = video.write(tmp_path / name)
    output = copy_video(source, tmp_path / "b.mov")
    with av.open(str(output)) as container:
        assert container.streams.audio[0].codec_context.name == video.sounds[0][0]
        assert container.streams.audio[0].codec_context.layout.name == "stereo"
    result, expected = (b"".join(p[2] for p in payloads(at, "audio")) for at in (output, source))
    assert result == expected


@pytest.mark.parametrize(("language", "known"), [("deu", "ger"), ("nld", "dut"), ("eng", "eng")])
def test_quicktime_gets_its_own_code_of_a_language(
    language: str, known: str, tmp_path: Path
) -> None:
    source = VideoSpec(sounds=[("aac", language)]).write(tmp_path / "a.mp4")
    output = copy_video(source, tmp_path / "b.mov")
    with av.open(str(output)) as container:
        assert container.streams.audio[0].language == known


def test_separate_alpha_is_dropped_with_a_warning_and_without_its_tag(tmp_path: Path) -> None:
    source = replace(WEBM, format="yuva420p").write(tmp_path / "a.webm")
    with av.open(str(source)) as container:
        assert container.streams.video[0].metadata["alpha_mode"] == "1"
    assert "video: the alpha channel is dropped" in check_output(source, tmp_path / "b.webm")
    with av.open(str(copy_video(source, tmp_path / "b.webm"))) as container:
        assert "alpha_mode" not in {key.lower() for key in container.streams.video[0].metadata}


def test_cover_art_in_a_track_of_its_own_is_not_the_main_video(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    video = VideoSpec(base=MS)
    with av.open(str(path), "w") as output:
        stream, cover = output.add_stream("libx264", rate=25), output.add_stream("mjpeg", rate=25)
        stream.width, stream.height = video.size
        stream.codec_context.time_base = video.base
        cover.width, cover.height, cover.pix_fmt = 640, 480, "yuvj420p"
        picture = av.VideoFrame(640, 480, "yuvj420p")
        picture.pts, picture.time_base = 0, Fraction(1, 25)
        output.mux([*cover.encode(picture), *cover.encode(None)])
        for frame in video.frames():
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    assert numbers(path) == list(range(20))
    (warning,) = check_output(path, tmp_path / "b.mkv")
    assert "is dropped" in warning


def test_encoders_write_nothing_to_standard_error(tmp_path: Path) -> None:
    """Anything on standard error would break ``--quiet``."""
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from testmedia.videos import copy_video\n"
        "copy_video(Path(sys.argv[1]), Path(sys.argv[2]))\n"
    )
    paths = str(Path(__file__).parents[2])
    environment = {name: value for name, value in os.environ.items() if name != "SVT_LOG"}
    for codec in ("libsvtav1", "libx265"):
        options = {"preset": "12"} if codec == "libsvtav1" else {"x265-params": "log-level=none"}
        source = VideoSpec(codec=codec, options=options).write(tmp_path / f"{codec}.mp4")
        done = subprocess.run(
            [sys.executable, "-c", code, source, tmp_path / f"{codec}-out.mp4"],
            env={**environment, "PYTHONPATH": paths},
            capture_output=True,
            text=True,
            check=True,
        )
        assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.parametrize("size", [b"\x7f" + b"\xff" * 7, b"\xff" * 8])
def test_an_atom_of_an_absurd_size_means_a_truncated_file(size: bytes, tmp_path: Path) -> None:
    path = VideoSpec().write(tmp_path / "a.mp4")
    path.write_bytes(path.read_bytes() + b"\0\0\0\1mdat" + size)
    with pytest.raises(MediaError, match=r"a\.mp4: cut off"):
        open_source(path)


@pytest.mark.parametrize("trailer", [b"made by a camera, with a name" * 3, bytes(100), b"\0\0\0"])
def test_a_trailer_after_the_last_atom_is_not_damage(trailer: bytes, tmp_path: Path) -> None:
    path = VideoSpec().write(tmp_path / "a.mp4")
    path.write_bytes(path.read_bytes() + trailer)
    assert numbers(path) == list(range(20))


@pytest.mark.parametrize("missing", [1, 100, 1000])
@pytest.mark.parametrize("name", ["a.ts", "a.flv"])
def test_a_missing_end_is_detected(name: str, missing: int, tmp_path: Path) -> None:
    base = MS if name == "a.flv" else Fraction(1, 90000)
    path = VideoSpec(base=base, noise=40).write(tmp_path / name)
    assert len(numbers(path)) == 20
    path.write_bytes(path.read_bytes()[:-missing])
    with pytest.raises(MediaError, match=r"cut off"):
        open_source(path)


def test_the_longest_possible_name_can_be_written(tmp_path: Path) -> None:
    source = VideoSpec().write(tmp_path / "a.mp4")
    output = tmp_path / ("ü" * 125 + ".mp4")
    assert numbers(copy_video(source, output)) == list(range(20))
    with pytest.raises(OutputError, match="cannot be written"):
        check_output(source, tmp_path / ("n" * 300 + ".mp4"))


def test_a_dangling_link_occupies_its_name(tmp_path: Path) -> None:
    source, output = VideoSpec().write(tmp_path / "a.mp4"), tmp_path / "b.mp4"
    output.symlink_to("nowhere")
    with pytest.raises(OutputError, match="already exists"):
        check_output(source, output)
    copy_video(source, output, overwrite=True)
    assert not output.is_symlink()
    assert not (tmp_path / "nowhere").exists()


def test_an_error_in_converted_audio_names_the_input(tmp_path: Path) -> None:
    video = VideoSpec(base=MS, count=50, sounds=[("aac", "deu")])
    path = video.write(tmp_path / "a.mkv")
    data = bytearray(path.read_bytes())
    for _, _, payload in payloads(path, "audio")[10:20]:
        at = data.find(payload)
        data[at : at + len(payload)] = b"\xff" * len(payload)
    path.write_bytes(data)
    with pytest.raises(MediaError, match=r"a\.mkv: damaged"):
        copy_video(path, tmp_path / "b.webm")
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.mkv"]
