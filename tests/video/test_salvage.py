"""A video that is cut off is refused, or on request used as far as it goes."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from app.config import Settings
from app.errors import MediaError
from app.pipeline import FaceBlur
from app.types import Progress
from app.video import Media, check_output, open_sink, open_source
from app.video.container import demux
from testmedia.videos import NO_BOXES, VideoSpec, number_of, payloads, picture

SOUND = [("aac", "deu")]
TS = VideoSpec(count=75, base=Fraction(1, 90000), size=(160, 120), noise=20, sounds=SOUND)
FRAGMENTS = {"movflags": "+frag_keyframe+empty_moov"}
MP4 = VideoSpec(count=75, size=(160, 120), noise=20, sounds=SOUND, options={"g": "10"})
CASES = {
    "a.ts": TS,
    "fragments.mp4": replace(MP4, muxer_options=FRAGMENTS),
    "front.mp4": replace(MP4, muxer_options={"movflags": "+faststart"}),
    "a.mkv": replace(MP4, base=Fraction(1, 1000)),
    "a.flv": replace(MP4, base=Fraction(1, 1000)),
    "a.avi": VideoSpec(codec="mpeg4", base=Fraction(1, 25), count=75, noise=20, size=(160, 120)),
}


def cut(path: Path, video: VideoSpec, share: float) -> tuple[Path, int]:
    """Write the beginning of a file; return it, and the number of frames in it, whole or not."""
    data = video.write(path).read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    count = 0
    with av.open(str(path)) as container, suppress(av.error.FFmpegError):
        for packet in demux(container, container.streams.video[0]):
            count += packet.size > 0
    return path, count


def seen(path: Path) -> list[int]:
    with av.open(str(path)) as container:
        frames: list[Any] = list(container.decode(video=0))
    return [number_of(frame.to_ndarray(format="rgb24")) for frame in frames]


@pytest.mark.parametrize("share", [0.55, 0.8, 0.97])
@pytest.mark.parametrize("name", CASES)
def test_what_is_there_is_used_on_request(name: str, share: float, tmp_path: Path) -> None:
    source, there = cut(tmp_path / name, CASES[name], share)
    output = tmp_path / f"b{source.suffix}"
    media = Media(source)
    media.accept_truncated = True
    assert any("cut off" in warning for warning in check_output(media, output))
    frames = list(open_source(media))
    with open_sink(media, output) as sink:
        for frame in frames:
            sink.write(frame, NO_BOXES)
        sink.commit()
    result = seen(output)
    # The last frame may have been stored before frames that are shown before it.
    assert result[:-4] == list(range(len(result) - 4))
    assert result == sorted(set(result))
    assert there - 3 <= len(result) < there
    if CASES[name].sounds:
        sound, expected = payloads(output, "audio"), payloads(source, "audio")
        assert len(sound) >= len(expected) - 3
        assert [p[2] for p in sound] == [p[2] for p in expected[: len(sound)]]


def test_a_cut_broadcast_begins_at_zero_and_keeps_its_sound(tmp_path: Path) -> None:
    video = replace(TS, muxer_options={"output_ts_offset": "40000"})
    source, there = cut(tmp_path / "a.ts", video, 0.7)
    media, output = Media(source), tmp_path / "b.mp4"
    media.accept_truncated = True
    with open_sink(media, output) as sink:
        for frame in open_source(media):
            sink.write(frame, NO_BOXES)
        sink.commit()
    assert there - 3 <= len(seen(output)) < there
    assert len(payloads(output, "audio")) > 50
    with av.open(str(output)) as container:
        assert (container.start_time or 0) < av.time_base


@pytest.mark.parametrize("name", ["fragments.mp4", "front.mp4", "a.mkv", "a.flv", "a.avi"])
def test_the_message_names_the_option(name: str, tmp_path: Path) -> None:
    source, _ = cut(tmp_path / name, CASES[name], 0.701)
    with pytest.raises(MediaError, match="--accept-truncated"):
        open_source(source)


def test_damage_before_the_end_stays_an_error(tmp_path: Path) -> None:
    video = replace(TS, count=20, size=(320, 240), noise=30, sounds=())
    data = bytearray(video.write(tmp_path / "a.ts").read_bytes())
    for at in range(len(data) // 2, len(data) // 2 + 400):
        data[at] ^= 0x5A
    (tmp_path / "a.ts").write_bytes(data[: len(data) * 9 // 10])
    media = Media(tmp_path / "a.ts")
    media.accept_truncated = True
    with pytest.raises(MediaError, match="incomplete data"):
        list(open_source(media))


def test_both_passes_see_the_same_frames(tmp_path: Path) -> None:
    source, _ = cut(tmp_path / "a.ts", TS, 0.7)
    session = FaceBlur(Settings(accept_truncated=True, shots="none"))
    plan = session.analyse(source)
    stages: list[str] = []
    progress: Progress = lambda stage, *_: stages.append(stage)  # noqa: E731
    session.render(source, plan, tmp_path / "b.ts", progress)
    assert len(seen(tmp_path / "b.ts")) == plan.source.frames
    assert set(stages) == {"render"}


@pytest.mark.parametrize(("name", "codec"), [("a.wmv", "wmv2"), ("b.wmv", "msmpeg4")])
def test_windows_media_is_read_with_its_times(name: str, codec: str, tmp_path: Path) -> None:
    times = [*range(0, 400, 40), *range(600, 1000, 33)]
    video = VideoSpec(codec=codec, base=Fraction(1, 1000), pts=times, sounds=[("wmav2", "deu")])
    source = _with_rate(tmp_path / name, video)
    frames = list(open_source(source))
    assert [number_of(frame.rgb()) for frame in frames] == list(range(len(times)))
    assert [frame.pts - frames[0].pts for frame in frames] == times
    check_output(source, tmp_path / "b.mp4")
    source.write_bytes(source.read_bytes()[:-2000])
    with pytest.raises(MediaError, match="cut off"):
        open_source(source)


def _with_rate(path: Path, video: VideoSpec) -> Path:
    """Write a file whose sound has a bit rate, which the encoder of WMA needs."""
    with av.open(str(path), "w", format="asf") as output:
        stream = video._add_video(output)
        sound: Any = output.add_stream("wmav2", rate=48000)
        sound.codec_context.layout, sound.codec_context.bit_rate = "stereo", 128_000
        output.start_encoding()
        for packet in (*video._video(stream), *video._sound(sound)):
            output.mux(packet)
    return path


def write_gif(path: Path, delays: Sequence[int]) -> Path:
    """Write an animation; ``delays`` are the milliseconds that each frame is shown."""
    first, *others = (Image.fromarray(picture(n, (64, 48))) for n in range(len(delays)))
    first.save(path, save_all=True, append_images=others, duration=list(delays), loop=0)
    return path


def test_an_animation_becomes_a_video_that_browsers_show(tmp_path: Path) -> None:
    delays = [40, 80, 200, 20, 100]
    source = write_gif(tmp_path / "a.gif", delays)
    assert Media(source).kind.suffix == ".mp4"
    output = tmp_path / "b.mp4"
    check_output(source, output)
    with open_sink(source, output) as sink:
        for frame in open_source(source):
            sink.write(frame, NO_BOXES)
        sink.commit()
    with av.open(str(output)) as container:
        frames: list[Any] = list(container.decode(video=0))
    assert {frame.format.name for frame in frames} == {"yuv420p"}
    shown = [round(1000 * frame.time) for frame in frames]
    assert shown == np.cumsum([0, *delays[:-1]]).tolist()
    assert [number_of(frame.to_ndarray(format="rgb24")) for frame in frames] == [*range(5)]
    data = source.read_bytes()
    source.write_bytes(data[: len(data) - 100])
    with pytest.raises(MediaError, match="cut off"):
        open_source(source)
