"""Smart rendering: GOPs in which nothing is hidden are copied, the others are encoded."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from app.errors import MediaError
from app.types import Stretch
from app.video import Media, Uncopyable, Writing, open_mixing_sink, open_source
from app.video.smart.gops import find_gops
from testmedia.videos import ROTATED, VideoSpec, number_of, payloads, times
from tests.video.smart_videos import (
    Hidden,
    decoded,
    decoder_warnings,
    encode,
    frames_hidden,
    render,
)

COUNT = 60
BASE = Fraction(1, 12800)
UNEVEN = [0, 100, 700, 701, *range(1500, 1500 + 56 * 311, 311)]


def make_video(**options: str) -> VideoSpec:
    """A video whose GOPs begin at 0, 12, 24, 32, 44 and 48 (the largest change is at 32)."""
    return VideoSpec(count=COUNT, options={"g": "12", **options})


@dataclass(frozen=True)
class Case:
    """A video, and the suffix of its file."""

    video: VideoSpec
    suffix: str = ".mp4"


SOURCES = {
    "default": Case(make_video()),
    "ultrafast": Case(make_video(preset="ultrafast")),
    "slow": Case(make_video(preset="slow")),
    "pyramid": Case(make_video(bf="5", **{"b-pyramid": "normal"})),
    "flat": Case(make_video(bf="3", **{"b-pyramid": "none"})),
    "no-b": Case(make_video(bf="0")),
    "baseline": Case(make_video(profile="baseline")),
    "main": Case(make_video(profile="main")),
    "cavlc": Case(make_video(coder="0")),
    "slices": Case(make_video(slices="4")),
    "ids-1": Case(make_video(**{"x264-params": "sps-id=1"})),
    "one-reference": Case(make_video(refs="1")),
    "matrices": Case(make_video(**{"x264-params": "cqm=jvt"})),
    "movie": Case(make_video(), ".mov"),
    "uneven": Case(VideoSpec(count=COUNT, pts=UNEVEN, options={"g": "12"})),
    "late": Case(
        VideoSpec(
            base=Fraction(1, 90000), pts=range(12345, 12345 + 60 * 3600, 3600), options={"g": "9"}
        )
    ),
    "odd-size": Case(VideoSpec(size=(70, 50), count=COUNT, options={"g": "12"})),
    "turned": Case(VideoSpec(count=COUNT, options={"g": "12"}, matrix=ROTATED[90])),
    "full-range": Case(VideoSpec(count=COUNT, options={"g": "12"}, format="yuvj420p")),
    "anamorphic": Case(VideoSpec(count=COUNT, options={"g": "12"}, aspect=Fraction(4, 3))),
    "tagged": Case(
        VideoSpec(
            count=COUNT,
            options={"g": "12"},
            colour={"color_primaries": 1, "color_trc": 1, "colorspace": 1, "color_range": 1},
        )
    ),
    "sound": Case(
        VideoSpec(
            count=COUNT,
            options={"g": "12"},
            sounds=[("aac", "deu"), ("aac", "eng")],
            subtitles=[("mov_text", "deu")],
        )
    ),
}
PLACES: dict[str, Sequence[tuple[int, int]]] = {
    "first": [(0, 1)],
    "last": [(59, 60)],
    "middle": [(26, 28)],
    "several": [(0, 3), (25, 26), (59, 60)],
    "most": [(0, 40)],
    "none": [],
}


def frames_to_encode(source: Path, hidden: Hidden) -> list[int]:
    """Return the numbers of the frames that must be encoded."""
    return np.flatnonzero(find_gops(Media(source)).to_encode(hidden)).tolist()


@pytest.mark.parametrize(
    ("name", "place"),
    [
        *((name, place) for name in ("default", "uneven", "sound") for place in PLACES),
        *((name, "several") for name in sorted(SOURCES.keys() - {"default", "uneven", "sound"})),
    ],
)
def test_untouched_frames_are_copied_bit_by_bit(name: str, place: str, tmp_path: Path) -> None:
    case = SOURCES[name]
    source = case.video.write(tmp_path / f"in{case.suffix}")
    output = tmp_path / f"out{case.suffix}"
    hidden = frames_hidden(COUNT, *PLACES[place])
    stretches = render(source, output, hidden)
    assert stretches is not None, "copied"
    encoded = [number for s in stretches for number in range(s.first, s.end)]
    assert encoded == frames_to_encode(source, hidden)
    assert len(encoded) < COUNT
    before, after = list(decoded(source).items()), list(decoded(output).items())
    assert [pts for pts, _ in after] == [pts for pts, _ in before]
    same = [one == other for one, other in zip(before, after, strict=True)]
    assert all(same[number] for number in range(COUNT) if number not in encoded)
    assert not any(same[number] for number in np.flatnonzero(hidden))
    was, now = open_source(source).info, open_source(output).info
    assert replace(now, duration=was.duration) == was
    assert abs(now.duration - was.duration) < 1 / was.rate
    assert times(output) == times(source)


@pytest.mark.parametrize("name", SOURCES)
def test_hidden_parts_are_hidden_as_in_a_full_encoding(name: str, tmp_path: Path) -> None:
    case = SOURCES[name]
    source = case.video.write(tmp_path / f"in{case.suffix}")
    hidden = frames_hidden(COUNT, (5, 30), (58, 60))
    assert render(source, tmp_path / "part.mp4", hidden) is not None
    encode(source, tmp_path / "whole.mp4", hidden)
    pairs = zip(
        open_source(tmp_path / "part.mp4"), open_source(tmp_path / "whole.mp4"), strict=True
    )
    for part, whole in pairs:
        width, height = part.size
        one, other = (f.rgb(region=(0, 0, width, height // 2 - 2)) for f in (part, whole))
        if hidden[part.index]:
            assert max(one.max(), other.max()) < 30
        else:
            assert number_of(part.rgb()) == number_of(whole.rgb()) == part.index


@pytest.mark.parametrize("name", SOURCES)
def test_decoders_report_nothing_even_after_a_seek_to_a_border(name: str, tmp_path: Path) -> None:
    case = SOURCES[name]
    source = case.video.write(tmp_path / f"in{case.suffix}")
    output = tmp_path / f"out{case.suffix}"
    stretches = render(source, output, frames_hidden(COUNT, (13, 14), (45, 46)))
    assert stretches is not None
    found: list[dict[int, str]] = []
    assert decoder_warnings(lambda: found.append(decoded(output))) == []
    whole = found[0]
    shown = sorted(whole)
    borders = [number for s in stretches for number in (s.first, s.end) if number < COUNT]
    for number in borders:
        for before in (-3, -1, 0, 1):
            at = shown[number + before]
            found.clear()
            assert decoder_warnings(lambda at=at: found.append(decoded(output, at, 40))) == []  # type: ignore[misc]
            assert found[0].items() <= whole.items()
            assert at in found[0]


def test_other_streams_chapters_and_tags_are_kept(tmp_path: Path) -> None:
    source = VideoSpec(
        count=COUNT,
        options={"g": "12"},
        sounds=[("aac", "deu")],
        subtitles=[("mov_text", "eng")],
        chapters=[("One", 0, 500)],
        metadata={"title": "A", "location": "+48+011/"},
    ).write(tmp_path / "in.mp4")
    output = tmp_path / "out.mp4"
    assert render(source, output, frames_hidden(COUNT, (30, 31))) is not None
    for kind in ("audio", "subtitle"):
        assert payloads(output, kind) == payloads(source, kind)
    with av.open(str(output)) as container:
        assert container.metadata["title"] == "A"
        assert not {key for key in container.metadata if "loc" in key or "xyz" in key}
        assert [chapter["metadata"]["title"] for chapter in container.chapters()] == ["One"]


REFUSED: dict[str, tuple[VideoSpec, str, str]] = {
    "open GOPs": (make_video(**{"x264-params": "open-gop=1:bframes=3"}), "in.mp4", "open"),
    "10 bits": (
        VideoSpec(count=COUNT, format="yuv420p10le", options={"g": "12"}),
        "in.mp4",
        "profile",
    ),
    "4:2:2": (VideoSpec(count=COUNT, format="yuv422p", options={"g": "12"}), "in.mp4", "profile"),
    "interlaced": (make_video(**{"x264-params": "interlaced=1"}), "in.mp4", "interlaced"),
    "Matroska": (
        VideoSpec(count=COUNT, base=Fraction(1, 1000), options={"g": "12"}),
        "in.mkv",
        "MP4",
    ),
    "MPEG-TS": (
        VideoSpec(count=COUNT, base=Fraction(1, 90000), options={"g": "12"}),
        "in.ts",
        "MP4",
    ),
    "HEVC": (
        VideoSpec(
            count=COUNT, codec="libx265", options={"x265-params": "log-level=none:keyint=12"}
        ),
        "in.mp4",
        "H.264",
    ),
    "fragments": (
        VideoSpec(
            count=COUNT,
            options={"g": "12"},
            muxer_options={"movflags": "frag_keyframe+empty_moov"},
        ),
        "in.mp4",
        "index",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_every_frame_is_encoded_if_copying_may_be_unsafe(name: str, tmp_path: Path) -> None:
    made, file, reason = REFUSED[name]
    source = made.write(tmp_path / file)
    with pytest.raises(Uncopyable, match=reason):
        find_gops(Media(source))
    output = source.with_stem("out")
    assert render(source, output, frames_hidden(COUNT, (30, 31))) is None
    shift = times(output)[0] - times(source)[0]
    assert [time - shift for time in times(output)] == times(source)


@pytest.mark.parametrize(("suffix", "codec"), [(".mkv", "h264"), (".ts", "h264")])
def test_every_frame_is_encoded_for_another_container(
    suffix: str, codec: str, tmp_path: Path
) -> None:
    source = make_video().write(tmp_path / "in.mp4")
    assert render(source, tmp_path / f"out{suffix}", frames_hidden(COUNT, (3, 4))) is None
    with av.open(str(tmp_path / f"out{suffix}")) as container:
        assert container.streams.video[0].codec_context.name == codec


def test_nothing_is_copied_if_no_gop_is_untouched(
    tmp_path: Path,
) -> None:
    source = make_video().write(tmp_path / "in.mp4")
    everywhere = frames_hidden(COUNT, *((n, n + 1) for n in range(0, COUNT, 4)))
    other_video = frames_hidden(COUNT - 1, (0, 1))
    for hidden in (everywhere, other_video):
        with pytest.raises(Uncopyable):
            open_mixing_sink(source, tmp_path / "out.mp4", Writing(), hidden)
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


def test_a_gop_of_one_frame_is_encoded_with_its_neighbours(tmp_path: Path) -> None:
    source = VideoSpec(count=COUNT, options={"x264-params": "keyint=1"}).write(tmp_path / "in.mp4")
    assert find_gops(Media(source)).starts.tolist() == list(range(COUNT))
    assert render(source, tmp_path / "out.mp4", frames_hidden(COUNT, (30, 31))) is None


def test_every_frame_of_a_piece_is_encoded(tmp_path: Path) -> None:
    mark = "face-blur piece 1/2 of 00112233445566aa at 25/1: unprocessed"
    source = VideoSpec(count=COUNT, options={"g": "12"}, metadata={"comment": mark}).write(
        tmp_path / "in.mp4"
    )
    assert render(source, tmp_path / "out.mp4", frames_hidden(COUNT, (0, 1))) is None


def patched(path: Path, *, media_time: int = 0, shorter: int = 0) -> Path:
    """Change the first entry of the edit list (ISO/IEC 14496-12, 8.6.6)."""
    data = bytearray(path.read_bytes())
    at = data.index(b"elst") + 12
    duration, start = (int.from_bytes(data[at + i : at + i + 4]) for i in (0, 4))
    data[at : at + 4] = (duration - shorter).to_bytes(4)
    data[at + 4 : at + 8] = (start + media_time).to_bytes(4)
    path.write_bytes(bytes(data))
    return path


@pytest.mark.parametrize("change", [{"media_time": 5 * 512}, {"shorter": 5 * 512}])
def test_frames_hidden_by_an_edit_list_are_never_copied(
    change: dict[str, int], tmp_path: Path
) -> None:
    source = patched(make_video().write(tmp_path / "in.mp4"), **change)
    count = len(times(source))
    assert count < COUNT
    with pytest.raises(Uncopyable):
        find_gops(Media(source))
    output = tmp_path / "out.mp4"
    assert render(source, output, frames_hidden(count, (30, 31))) is None
    with av.open(str(output)) as container:
        assert sum(1 for packet in container.demux(video=0) if packet.size) == count


@pytest.mark.parametrize(
    "wrong",
    [
        Stretch(12, 25, 12 * 512, 23 * 512),
        Stretch(12, 23, 12 * 512, 23 * 512),
        Stretch(12, 24, 12 * 512, 22 * 512),
        Stretch(12, 24, 11 * 512, 23 * 512),
    ],
)
def test_a_stretch_of_another_video_is_an_error(wrong: Stretch, tmp_path: Path) -> None:
    source = open_source(make_video().write(tmp_path / "in.mp4"))
    right = Stretch(12, 24, 12 * 512, 23 * 512)
    assert [frame.index for frame in source.only([right])] == list(range(12, 24))
    with pytest.raises(MediaError):
        list(source.only([wrong]))
