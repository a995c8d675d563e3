"""A container that cannot hold a stream is found before any work; sound is as it was."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from app.errors import OutputError
from app.video import check_output
from testmedia.faces import FRAMES, seed
from testmedia.structures import every_part, join, split
from testmedia.videos import VideoSpec, copy_video, numbers, payloads, times

MS = Fraction(1, 1000)
AVI = VideoSpec(codec="mpeg4", base=Fraction(1, 25), count=50)
RATE = 48000


def stereo(seconds: float, rate: int = RATE) -> NDArray[np.int16]:
    """Return interleaved samples (2 n,): a rising tone left, a falling one right."""
    time = np.arange(int(seconds * rate)) / rate
    tones = [np.sin(2 * np.pi * (300 + slope * time) * time) for slope in (200, -50)]
    return np.asarray(np.stack(tones, 1) * 9000, np.int16).reshape(-1)


def write_with_sound(
    path: Path, codec: str, video: VideoSpec, *, tag: str = "", times: Sequence[int] | None = None
) -> Path:
    """Write a video with two seconds of sound; ``times`` are those of its packets in ms."""
    with av.open(str(path), "w") as output:
        stream = video._add_video(output)
        sound: Any = output.add_stream(codec, rate=RATE)
        sound.codec_context.layout = "stereo"
        sound.codec_context.bit_rate = 128_000
        if tag:
            sound.codec_context.codec_tag = tag
        output.start_encoding()
        for packet in video._video(stream):
            output.mux(packet)
        for number, packet in enumerate(_encoded(sound)):
            if times is not None:
                packet.time_base = MS
                packet.pts = packet.dts = times[number] if number < len(times) else 10_000
            elif path.suffix == ".avi":
                packet.time_base = sound.time_base
                packet.pts = packet.dts = number
            output.mux(packet)
    return path


def _encoded(stream: Any) -> "list[av.Packet[Any]]":
    context = stream.codec_context
    frame = av.AudioFrame.from_ndarray(stereo(2).reshape(1, -1), layout="stereo")
    frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
    resampler = av.AudioResampler(context.format, "stereo", RATE, context.frame_size or None)
    frames = [*resampler.resample(frame), *resampler.resample(None)]
    return [packet for one in (*frames, None) for packet in stream.encode(one)]


def heard(path: Path, index: int = 0) -> NDArray[np.float64]:
    """Return the left channel (n,) from the first frame on, decoded by the library alone."""
    with av.open(str(path)) as container:
        start = next(container.decode(video=0)).time or 0
    with av.open(str(path)) as container:
        frames = list(container.decode(container.streams.audio[index]))
    resampler = av.AudioResampler("flt", "stereo", RATE)
    sound, end = np.zeros(20 * RATE), 0
    for frame in frames:
        early = end if frame.time is None else round((frame.time - start) * RATE)
        # Coarse clocks round times; they leave no gaps.
        early = end if abs(early - end) <= RATE // 400 and end else early
        for one in resampler.resample(frame):
            left = one.to_ndarray()[0, ::2][max(0, -early) :]
            begin, end = max(0, early), max(0, early) + len(left)
            sound[begin:end] = left
    return sound[:end]


def assert_same_sound(output: Path, source: Path) -> None:
    """Check that both sound alike at the same time, up to one tick of coarse clocks."""
    result, expected = heard(output), heard(source)
    assert abs(len(result) - len(expected)) <= 2048
    end = min(len(result), len(expected)) - RATE // 1000
    window = expected[RATE // 1000 : end]
    shifts = range(2 * RATE // 1000)
    assert max(np.corrcoef(result[k : k + len(window)], window)[0, 1] for k in shifts) > 0.99


@pytest.mark.parametrize("codec", ["adpcm_ima_wav", "adpcm_ms", "wmav2"])
def test_adpcm_in_avi_keeps_its_speed(codec: str, tmp_path: Path) -> None:
    """The muxer does not know how long a packet is, and would slow the sound down."""
    source = write_with_sound(tmp_path / "a.avi", codec, AVI)
    (warning,) = check_output(source, tmp_path / "b.avi")
    assert warning == f"stream 1: audio {codec} is converted to pcm_s16le"
    output = copy_video(source, tmp_path / "b.avi")
    assert_same_sound(output, source)
    assert numbers(output) == list(range(50))


@pytest.mark.parametrize("codec", ["ac3", "mp2", "libmp3lame", "pcm_s16le"])
def test_sound_of_avi_is_copied_at_its_times(codec: str, tmp_path: Path) -> None:
    source = replace(AVI, sounds=[(codec, "deu")]).write(tmp_path / "a.avi")
    assert check_output(source, tmp_path / "b.avi") == []
    output = copy_video(source, tmp_path / "b.avi")
    assert payloads(output, "audio") == payloads(source, "audio")
    assert np.array_equal(heard(output), heard(source))


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".ts", ".mkv"])
def test_sound_packets_of_one_time_are_written_one_after_the_other(
    suffix: str, tmp_path: Path
) -> None:
    times = [n * 1024 * 1000 // RATE for n in range(95)]
    times[20] = times[19]
    source = tmp_path / "a.mkv"
    write_with_sound(source, "aac", VideoSpec(base=MS, count=50), times=times)
    assert check_output(source, tmp_path / f"b{suffix}") == []
    output = copy_video(source, tmp_path / f"b{suffix}")
    before, after = payloads(source, "audio"), payloads(output, "audio")
    moved = after[0][0] - before[0][0]
    late = [float(b[0] - a[0] - moved) for a, b in zip(before, after, strict=True)]
    late[20] = 0.0
    assert max(map(abs, late)) < 0.002
    assert all(a[0] < b[0] or suffix == ".mkv" for a, b in pairwise(after))


@pytest.mark.parametrize(
    ("codec", "suffix", "video", "target"),
    [
        ("alac", ".mp4", VideoSpec(base=MS, count=50), "alac"),
        ("flac", ".mp4", VideoSpec(base=MS, count=50), "flac"),
        ("pcm_s16le", ".flv", VideoSpec(base=MS, count=50), "aac"),
        ("wavpack", ".mp4", VideoSpec(base=MS, count=50), "aac"),
        ("pcm_s16le", ".mp4", VideoSpec(base=MS, count=50), "aac"),
        ("pcm_s24le", ".mp4", VideoSpec(base=MS, count=50), "aac"),
        ("pcm_s24le", ".mov", VideoSpec(base=MS, count=50), "pcm_s24le"),
    ],
)
def test_sound_of_matroska_is_held_or_converted(
    codec: str, suffix: str, video: VideoSpec, target: str, tmp_path: Path
) -> None:
    source = write_with_sound(tmp_path / "a.mkv", codec, video)
    warnings = check_output(source, tmp_path / f"b{suffix}")
    assert any(f"is converted to {target}" in one for one in warnings) == (codec != target)
    output = copy_video(source, tmp_path / f"b{suffix}")
    with av.open(str(output)) as container:
        assert container.streams.audio[0].codec_context.codec.canonical_name == target
    assert_same_sound(output, source)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov"])
def test_windows_media_sound_is_converted(suffix: str, tmp_path: Path) -> None:
    source = write_with_sound(tmp_path / "a.avi", "wmav2", AVI)
    assert any("wmav2 is converted" in one for one in check_output(source, tmp_path / f"b{suffix}"))
    assert_same_sound(copy_video(source, tmp_path / f"b{suffix}"), source)


@pytest.mark.parametrize("codec", ["pcm_s24be", "pcm_s24le"])
def test_deep_pcm_keeps_its_samples_in_quicktime_and_matroska(codec: str, tmp_path: Path) -> None:
    source = write_with_sound(tmp_path / "a.mov", codec, VideoSpec(count=50))
    for name in ("b.mov", "b.mkv"):
        output = copy_video(source, tmp_path / name)
        assert np.array_equal(heard(output), heard(source))
    with av.open(str(tmp_path / "b.mov")) as container:
        assert container.streams.audio[0].codec_context.codec_tag == "in24"
    (warning,) = check_output(source, tmp_path / "b.mp4")
    assert ".mov keeps it" in warning
    assert_same_sound(copy_video(source, tmp_path / "b.mp4"), source)


def test_mpeg_audio_with_a_wrong_name_is_converted(tmp_path: Path) -> None:
    """MP4 has one name for layers 2 and 3; FLV holds only layer 3."""
    source = write_with_sound(tmp_path / "a.mp4", "mp2", VideoSpec(count=50))
    output = copy_video(source, tmp_path / "b.flv")
    assert_same_sound(output, source)


def test_a_size_that_the_encoder_refuses_is_found_before_the_work(tmp_path: Path) -> None:
    source = tmp_path / "a.avi"
    replace(AVI, count=2, size=(8200, 16), codec="mjpeg", format="yuvj420p").write(source)
    with pytest.raises(OutputError, match=r"b\.avi: \.avi cannot hold this video"):
        check_output(source, tmp_path / "b.avi")
    assert [path.name for path in tmp_path.iterdir()] == ["a.avi"]


def test_sound_without_packets_is_no_reason_to_stop(tmp_path: Path) -> None:
    """Muxers leave such a stream out, so that the trial does not find it again."""
    parts = split(seed("clip.mov").data, "mp4")
    tables = {b"stts", b"stsc", b"stco", b"stsz"}
    places = [place for place in every_part(parts) if place[0][place[1]].name in tables]
    for siblings, index in places[-len(tables) :]:  # those of the sound, which is the last track
        table = siblings[index]
        table.body = bytes(12 if table.name == b"stsz" else 8)
    path = tmp_path / "a.mov"
    path.write_bytes(join(parts, "mp4"))
    assert check_output(path, tmp_path / "b.mov") == [
        "video: mjpeg is written as h264",
        "stream 1: audio pcm_s16le is converted to aac",
    ]
    assert len(times(copy_video(path, tmp_path / "b.mov"))) == FRAMES


def test_sound_of_a_codec_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    parts = split(seed("clip.avi").data, "riff")
    formats = [place for place in every_part(parts) if place[0][place[1]].name == b"strf"]
    siblings, index = formats[-1]
    siblings[index].body = b"\xfe\xfe" + siblings[index].body[2:]  # the tag of the codec
    path = tmp_path / "a.avi"
    path.write_bytes(join(parts, "riff"))
    with pytest.raises(OutputError, match=r"cannot hold stream 1 \(audio, unknown\); drop it"):
        check_output(path, tmp_path / "b.avi")
    assert check_output(path, tmp_path / "b.avi", drop=("audio",)) == []
