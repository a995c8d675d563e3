"""A video that is split, rendered and joined equals one that is rendered whole."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import pytest

from app.video import open_source
from app.video.metadata import piece_tag_of
from testmedia.videos import copy_video, numbers, payloads, times
from tests.pieces.split_videos import FILM, FILMS, split_render_join


@pytest.mark.parametrize("name", FILMS)
def test_a_joined_video_has_the_frames_times_and_audio_of_its_source(
    name: str, tmp_path: Path
) -> None:
    source = FILMS[name].write(tmp_path / name)
    output = tmp_path / f"joined{source.suffix}"
    manifest = split_render_join(source, output)
    assert len(manifest.pieces) > 1
    assert numbers(output) == numbers(source)
    late = times(output)[0] - times(source)[0]
    assert late == 0 or (source.suffix in {".ts", ".flv"} and 0 <= late < 1)
    assert [time - late for time in times(output)] == times(source)
    for index in range(len(FILMS[name].sounds)):
        result, expected = payloads(output, "audio", index), payloads(source, "audio", index)
        assert b"".join(p[2] for p in result) == b"".join(p[2] for p in expected)
        assert float(result[0][0] - expected[0][0]) == pytest.approx(float(late), abs=1e-3)


@pytest.mark.parametrize("name", ["turned.mp4", "ten.mkv", "ntsc.mp4", "prores.mov"])
def test_a_joined_video_has_the_facts_of_one_that_was_rendered_whole(
    name: str, tmp_path: Path
) -> None:
    source = FILMS[name].write(tmp_path / name)
    joined, whole = (tmp_path / f"{stem}{source.suffix}" for stem in ("joined", "whole"))
    split_render_join(source, joined)
    copy_video(source, whole)
    assert _facts(joined) == _facts(whole)


def _facts(path: Path) -> dict[str, object]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frame = next(container.decode(stream))
        context = stream.codec_context
        names = ("colorspace", "color_primaries", "color_trc", "color_range", "rotation")
        return {name: getattr(frame, name) for name in names} | {
            "codec": context.name,
            "format": context.pix_fmt,
            "profile": context.profile,
            "rate": stream.average_rate,
            "aspect": stream.sample_aspect_ratio,
            "duration": stream.duration,
            "disposition": stream.disposition,
            "tags": dict(stream.metadata),
            "language": [sound.language for sound in container.streams.audio],
        }


def _decoded(path: Path) -> tuple[int, list[str]]:
    """Return the number of decoded frames and the messages of the decoder."""
    av.logging.set_level(av.logging.WARNING)
    try:
        with av.logging.Capture(local=False) as messages, av.open(str(path)) as container:
            count = sum(1 for _ in container.decode(video=0))
    finally:
        av.logging.set_level(None)
    return count, [message for _, _, message in messages]


@pytest.mark.parametrize("name", ["plain.mp4", "uneven.mkv", "closed-hevc.mp4", "av1.mp4"])
def test_a_joined_video_is_decoded_without_warnings(name: str, tmp_path: Path) -> None:
    source = FILMS[name].write(tmp_path / name)
    output = tmp_path / f"joined{source.suffix}"
    split_render_join(source, output)
    assert _decoded(output) == (len(times(source)), [])


def test_damage_does_cause_warnings(tmp_path: Path) -> None:
    source = FILM.write(tmp_path / "a.mp4")
    damaged = bytearray(source.read_bytes())
    with av.open(str(source)) as container:
        places = [(p.pos or 0, p.size) for p in container.demux(video=0) if p.size]
    start, size = places[3]
    damaged[start + 12 : start + size] = bytes(size - 12)
    source.write_bytes(damaged)
    assert _decoded(source)[1] != []


def test_every_frame_of_a_joined_video_can_be_sought(tmp_path: Path) -> None:
    source = FILM.write(tmp_path / "a.mp4")
    output = tmp_path / "joined.mp4"
    split_render_join(source, output)
    base = open_source(output).info.time_base
    with av.open(str(output)) as container:
        stream = container.streams.video[0]
        for pts in (int(time / base) for time in times(source)):
            container.seek(pts, stream=stream)
            shown = (frame.pts for frame in container.decode(stream) if frame.pts is not None)
            assert next(found for found in shown if found >= pts) == pts


def test_a_joined_video_has_the_tags_of_its_source_and_no_piece_tag(tmp_path: Path) -> None:
    tags = {"title": "Interview", "comment": "at home", "location": "+48+011/"}
    source = replace(FILM, metadata=tags, chapters=[("One", 0, 400)]).write(tmp_path / "a.mp4")
    output = tmp_path / "joined.mp4"
    manifest = split_render_join(source, output)
    with av.open(str(output)) as container:
        kept = {key: container.metadata.get(key) for key in tags}
        assert kept == {"title": "Interview", "comment": "at home", "location": None}
        assert [chapter["metadata"]["title"] for chapter in container.chapters()] == ["One"]
    with av.open(str(tmp_path / "pieces" / manifest.pieces[0].file)) as container:
        assert "Interview" not in str(dict(container.metadata))
        assert [stream.type for stream in container.streams] == ["video"]


def test_an_ordinary_video_never_gets_a_piece_tag(tmp_path: Path) -> None:
    output = copy_video(FILM.write(tmp_path / "a.mp4"), tmp_path / "b.mp4")
    with av.open(str(output)) as container:
        assert piece_tag_of(container.metadata) is None
        assert "comment" not in container.metadata


def test_a_video_with_one_key_frame_becomes_one_piece(tmp_path: Path) -> None:
    source = replace(FILM, options={"g": "250", "x264-params": "scenecut=0"}).write(
        tmp_path / "a.mp4"
    )
    output = tmp_path / "joined.mp4"
    assert len(split_render_join(source, output).pieces) == 1
    assert numbers(output) == list(range(20))
    assert open_source(output).info.rate == Fraction(25)
