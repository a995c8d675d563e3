"""A result must have the frames, times, pictures and sound of its source."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from app.errors import MediaError, PlanError
from app.files import sha256_of
from app.plan import ModelRecord, ModelsRecord, Plan, PlanTrack, SourceRecord
from app.verification import Match, check_result
from app.video import Writing, open_sink, open_source
from scripts.aws.probe_video import Drawing

FIRST = Drawing(frames=40)
OTHER = Drawing(frames=40, background=(190, 180, 60), beats=(0.1, 0.6))
NOTHING = np.zeros((0, 4), np.float32)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("sources")
    return FIRST.write(folder / "one.mp4"), OTHER.write(folder / "two.mp4")


def render(
    source: Path,
    result: Path,
    paint: Callable[[int, Any], None] | None = None,
    quality: int = 90,
) -> Path:
    """Write a result as the renderer does, with a black box in place of the face."""
    with open_sink(source, result, Writing(overwrite=True, quality=quality)) as sink:
        for frame in open_source(source):
            planes = frame.planes()
            planes[0].pixels[90:270, 220:420] = 16
            if paint is not None:
                paint(frame.index, planes[0].pixels)
            sink.write(frame, np.array([[220, 90, 420, 270]], np.float32))
        sink.commit()
    return result


def remux(
    source: Path, result: Path, *, skip: int = -1, codec: str = "", tone: float | None = None
) -> Path:
    """Copy a video, without one of its packets, and without sound or with other sound."""
    with av.open(str(source)) as given, av.open(str(result), "w") as out:
        video = given.streams.video[0]
        sound = given.streams.audio[0]
        target = out.add_stream_from_template(video)
        kept = out.add_stream_from_template(sound) if not codec and tone is None else None
        made: Any = None
        if kept is None and codec != "none":
            made = out.add_stream(codec or "aac", rate=48000)
            made.codec_context.layout = "mono"
        for number, packet in enumerate(given.demux(video)):
            if packet.dts is not None and number != skip:
                packet.stream = target
                out.mux(packet)
        with av.open(str(source)) as again:
            if kept is not None:
                for heard in again.demux(again.streams.audio[0]):
                    if heard.dts is not None:
                        heard.stream = kept
                        out.mux(heard)
            if made is not None:
                for frame in again.decode(audio=0):
                    pts = frame.pts
                    if tone is not None:
                        samples = np.full_like(frame.to_ndarray(), tone)
                        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")  # noqa: PLW2901
                        frame.sample_rate, frame.time_base = 48000, Fraction(1, 48000)
                    frame.pts = pts
                    out.mux(made.encode(frame))
                out.mux(made.encode(None))
    return result


def plan_for(source: Path, *boxes: tuple[float, float, float, float], frames: int = 40) -> Plan:
    record = SourceRecord(sha256_of(source), source.name, frames, 640, 360, frames / 25)
    rows = [np.array([[n, *box] for n in range(frames)], np.float32) for box in boxes]
    tracks = tuple(
        PlanTrack(n, 0, 0, frames - 1, None, None, "blur", False, "everyone", row)
        for n, row in enumerate(rows)
    )
    models = ModelsRecord("none", ModelRecord("none", "0" * 64), None)
    return Plan(record, {}, models, (), ((0, frames),), tracks)


def test_a_good_result(sources: tuple[Path, Path], tmp_path: Path) -> None:
    one, _ = sources
    result = render(one, tmp_path / "one.mp4")
    assert check_result(result, one) == Match(40, 1)
    assert check_result(result, one, plan_for(one, (220, 90, 420, 270))) == Match(40, 1)


@pytest.mark.parametrize("codec", ["aac", "flac", "libopus"])
def test_converted_sound_is_the_same_sound(
    codec: str, sources: tuple[Path, Path], tmp_path: Path
) -> None:
    one, _ = sources
    result = render(one, tmp_path / "one.mp4")
    assert check_result(remux(result, tmp_path / "two.mkv", codec=codec), one) == Match(40, 1)


def test_results_of_other_sources_are_found(sources: tuple[Path, Path], tmp_path: Path) -> None:
    one, two = sources
    result = render(two, tmp_path / "two.mp4")
    with pytest.raises(MediaError, match="its pictures are not those of its source"):
        check_result(result, one)
    with pytest.raises(PlanError, match="its plan belongs to another file"):
        check_result(result, one, plan_for(two))
    with pytest.raises(MediaError, match="it is identical to the source"):
        check_result(one, one)


def test_the_lowest_quality_is_told_from_a_background_of_nearly_the_same_brightness(
    sources: tuple[Path, Path], tmp_path: Path
) -> None:
    one, _ = sources
    assert check_result(render(one, tmp_path / "low.mp4", quality=1), one) == Match(40, 1)
    similar = replace(FIRST, background=(107, 122, 137)).write(tmp_path / "similar.mp4")
    with pytest.raises(MediaError, match="its pictures are not those of its source"):
        check_result(render(similar, tmp_path / "two.mp4"), one)


def test_a_missing_frame_is_found(sources: tuple[Path, Path], tmp_path: Path) -> None:
    one, _ = sources
    result = render(one, tmp_path / "one.mp4")
    cut = remux(result, tmp_path / "cut.mp4", skip=39)
    with pytest.raises(MediaError, match=r"frames: 39, not 40 as in its source"):
        check_result(cut, one)
    with pytest.raises(MediaError, match=r"frames: 39, not 40 as in its source"):
        check_result(cut, one, plan_for(one))


def test_lost_silent_and_other_sound_is_found(sources: tuple[Path, Path], tmp_path: Path) -> None:
    one, _ = sources
    result = render(one, tmp_path / "one.mp4")
    with pytest.raises(MediaError, match="sound: 0 streams, not 1 as in its source"):
        check_result(remux(result, tmp_path / "lost.mp4", codec="none"), one)
    for tone in (0.0, 0.5):
        with pytest.raises(MediaError, match="sound: it is not that of its source"):
            check_result(remux(result, tmp_path / "other.mp4", tone=tone), one)
    # The same pictures, with the sound of the other source.
    mixed = replace(FIRST, beats=OTHER.beats).write(tmp_path / "mixed.mp4")
    with pytest.raises(MediaError, match="sound: it is not that of its source"):
        check_result(mixed, one)


def test_sound_that_was_dropped_on_purpose_may_be_missing(
    sources: tuple[Path, Path], tmp_path: Path
) -> None:
    one, _ = sources
    result = render(one, tmp_path / "one.mp4")
    mute = remux(result, tmp_path / "mute.mp4", codec="none")
    for dropped in ("audio", "1"):
        assert check_result(mute, one, dropped=[dropped]) == Match(40, 0)


def test_a_close_up_may_be_hidden_if_the_plan_says_so(
    sources: tuple[Path, Path], tmp_path: Path
) -> None:
    one, _ = sources

    def cover(_: int, luma: Any) -> None:
        luma[:] = 16

    result = render(one, tmp_path / "one.mp4", cover)
    with pytest.raises(MediaError, match="its pictures are not those of its source"):
        check_result(result, one)
    with pytest.raises(MediaError, match="its pictures are not those of its source"):
        check_result(result, one, plan_for(one, (250, 100, 390, 260)))
    assert check_result(result, one, plan_for(one, (0, 0, 640, 360))) == Match(40, 1)
