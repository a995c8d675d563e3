"""Streams that nothing can hold are dropped with a warning, or on request."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import pytest

from app.errors import OutputError
from app.video import check_output
from testmedia.videos import VideoSpec, copy_video, payloads

MS = Fraction(1, 1000)


def spatial(path: Path, languages: Sequence[str]) -> Path:
    """Write a movie whose last sound track has a codec that the library does not know."""
    VideoSpec(sounds=[("aac", language) for language in languages]).write(path)
    data = path.read_bytes()
    at = data.index(b"mp4a", data.rindex(b"stsd"))
    entry = data[at:].replace(b"mp4a", b"apac").replace(b"esds", b"dapa")
    path.write_bytes(data[:at] + entry)
    return path


def captioned(path: Path) -> Path:
    """Write a movie with a track of captions (CTA-608)."""
    video = VideoSpec()
    with av.open(str(path), "w") as output:
        stream, captions = video._add_video(output), output.add_mux_stream("eia_608")
        captions.time_base = MS
        output.start_encoding()
        for packet in video._video(stream):
            output.mux(packet)
        for number in range(3):
            line = av.Packet(b"\0\0\0\x0acdat\x94\x2c")
            line.time_base, line.stream = MS, captions
            line.pts = line.dts = number * 100
            line.duration = 100
            output.mux(line)
    return path


def kinds(path: Path) -> list[str]:
    """Return the type of each stream."""
    with av.open(str(path)) as container:
        return [stream.type for stream in container.streams]


@pytest.mark.parametrize("suffix", [".mov", ".mp4", ".mkv", ".ts"])
def test_unknown_sound_is_dropped_if_other_sound_of_its_language_stays(
    suffix: str, tmp_path: Path
) -> None:
    source, output = spatial(tmp_path / "a.mov", ["ger", "ger"]), tmp_path / f"b{suffix}"
    (warning,) = check_output(source, output)
    assert warning == "stream 2: audio (unknown) is dropped, other sound stays"
    assert kinds(copy_video(source, output)) == ["video", "audio"]
    # MPEG-TS has a header before each packet.
    pairs = zip(payloads(output, "audio"), payloads(source, "audio"), strict=True)
    assert all(after[2].endswith(before[2]) for after, before in pairs)


@pytest.mark.parametrize("languages", [["ger"], ["ger", "fra"]])
def test_the_only_sound_of_a_language_is_dropped_on_request_only(
    languages: Sequence[str], tmp_path: Path
) -> None:
    source, output = spatial(tmp_path / "a.mov", languages), tmp_path / "b.mov"
    number = str(len(languages))
    with pytest.raises(OutputError, match=rf"stream {number} .*--drop-stream {number}"):
        check_output(source, output)
    assert check_output(source, output, drop=(number,)) == []
    copy_video(source, output, drop=(number,))
    assert kinds(output) == ["video", *["audio"] * (len(languages) - 1)]


def test_captions_stay_in_quicktime_and_are_dropped_elsewhere(tmp_path: Path) -> None:
    source = captioned(tmp_path / "a.mov")
    assert check_output(source, tmp_path / "b.mov") == []
    output = copy_video(source, tmp_path / "b.mov")
    assert payloads(output, "subtitle") == payloads(source, "subtitle")
    for name in ("c.mp4", "c.mkv"):
        (warning,) = check_output(source, tmp_path / name)
        assert "subtitle (eia_608) is dropped" in warning
        assert kinds(copy_video(source, tmp_path / name)) == ["video"]


def test_streams_are_dropped_by_type(tmp_path: Path) -> None:
    video = VideoSpec(sounds=[("aac", "deu"), ("aac", "fra")], subtitles=[("mov_text", "deu")])
    source = video.write(tmp_path / "a.mp4")
    assert kinds(copy_video(source, tmp_path / "b.mp4", drop=("audio",))) == ["video", "subtitle"]
    assert kinds(copy_video(source, tmp_path / "c.mp4", drop=("1", "subtitle"))) == [
        "video",
        "audio",
    ]


@pytest.mark.parametrize(
    ("name", "reason"), [("0", "is its video"), ("7", r"no stream 7 .* 1 \(audio\)")]
)
def test_the_video_and_missing_streams_cannot_be_dropped(
    name: str, reason: str, tmp_path: Path
) -> None:
    source = VideoSpec(sounds=[("aac", "deu")]).write(tmp_path / "a.mp4")
    with pytest.raises(OutputError, match=reason):
        check_output(source, tmp_path / "b.mp4", drop=(name,))
