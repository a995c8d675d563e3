"""Copying from an earlier result: parameter sets, groups of pictures, and what is refused."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from app.types import Window
from app.video import Media, Uncopyable, Writing, open_mixing_sink, open_source
from app.video.bitstream.parameter_sets import ParameterSets
from app.video.container import main_video
from app.video.smart.division import divided, split_before
from app.video.smart.gops import find_gops, find_gops_of_result
from testmedia.videos import NO_BOXES, VideoSpec, number_of, times
from tests.video.smart_videos import Hidden, decoded, encode, frames_hidden, render

COUNT = 60
VIDEO = VideoSpec(count=COUNT, options={"g": "12"})
NOBODY = frames_hidden(COUNT)


def sets_of(path: Path) -> ParameterSets:
    media = Media(path)
    with media.open_container() as container:
        return ParameterSets.parse(main_video(container, media).codec_context.extradata or b"")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return VIDEO.write(tmp_path / "in.mp4")


def test_the_sets_of_a_mixed_result_are_those_of_source_and_encoder(
    source: Path, tmp_path: Path
) -> None:
    assert render(source, tmp_path / "out.mp4", frames_hidden(COUNT, (30, 31))) is not None
    own, mixed = sets_of(source), sets_of(tmp_path / "out.mp4")
    assert [one.id for one in mixed.facts()] == [0, 1]
    assert {one.size for one in mixed.facts()} == {VIDEO.size}
    assert (own.shared_ids(), mixed.shared_ids()) == ((0,), (1, 0))
    assert mixed.includes(own)
    assert not own.includes(mixed)
    with pytest.raises(Uncopyable, match="several"):
        mixed.sps_facts()
    with pytest.raises(Uncopyable, match="several"):
        find_gops(Media(tmp_path / "out.mp4"))
    assert len(find_gops_of_result(Media(tmp_path / "out.mp4")).pts) == COUNT


def test_sets_of_other_sizes_do_not_belong_together(source: Path, tmp_path: Path) -> None:
    ids = {"x264-params": "sps-id=1"}
    other = sets_of(VideoSpec(size=(80, 48), options=ids).write(tmp_path / "other.mp4"))
    same = sets_of(VideoSpec(options=ids).write(tmp_path / "same.mp4"))
    assert len(sets_of(source).joined(same).facts()) == 2
    with pytest.raises(Uncopyable, match="belong together"):
        sets_of(source).joined(other).facts()
    stray = replace(sets_of(source), pps=same.pps)
    with pytest.raises(Uncopyable, match="belong together"):
        stray.facts()


def test_encoded_groups_are_divided(source: Path) -> None:
    gops = find_gops(Media(source))
    assert gops.starts.tolist() == [0, 12, 24, 32, 44, 48]
    encoded = frames_hidden(COUNT, (12, 24), (44, 48))
    assert divided(gops, encoded, 5).starts.tolist() == [0, 12, 16, 20, 24, 32, 44, 48]
    assert divided(gops, encoded, 12).starts.tolist() == gops.starts.tolist()
    assert gops.whole(frames_hidden(COUNT, (23, 25))).nonzero()[0].tolist() == [*range(12, 32)]


@pytest.mark.parametrize("bf", ["0", "3"])
def test_groups_are_split_before_their_first_touched_frame(bf: str, tmp_path: Path) -> None:
    spec = replace(VIDEO, options={"x264-params": f"keyint=30:scenecut=0:bframes={bf}"})
    gops = find_gops(Media(spec.write(tmp_path / "in.mp4")))
    assert gops.starts.tolist() == [0, 30]
    for frame in range(COUNT):
        split = split_before(gops, frames_hidden(COUNT, (frame, COUNT))).starts.tolist()
        (new,) = set(split) - {0, 30} or {None}
        if new is not None:
            first = new // 30 * 30
            assert 12 <= new - first <= min(frame - first, 18)
            assert sorted(gops.pts[:new]) == gops.frame_pts[:new].tolist(), "whole"
        if bf == "0":
            first = frame // 30 * 30
            assert new == (min(frame, first + 18) if frame - first >= 12 else None)
    assert split_before(gops, NOBODY).starts.tolist() == [0, 30]


@pytest.mark.parametrize("seconds", [None, 1])
def test_encoded_groups_are_short_on_request(seconds: int | None, tmp_path: Path) -> None:
    """A second of this video has 25 frames; its numbers change too little for a cut."""
    source = VIDEO.write(tmp_path / "in.mp4")
    output = tmp_path / "out.mp4"
    encode(source, output, frames_hidden(COUNT, (0, COUNT)), gop_seconds=seconds)
    sizes = find_gops(Media(output)).sizes
    assert (sizes.max() <= 25) == (seconds == 1)


def correct(source: Path, output: Path, last: Path, touched: Hidden, **options: Any) -> list[int]:
    """Write the touched frames as they are in the source; return the numbers of all written."""
    numbers = []
    with open_mixing_sink(source, output, Writing(**options), touched, Media(last)) as sink:
        for frame in sink.frames(open_source(source)):
            numbers.append(frame.index)
            sink.write(frame, NO_BOXES)
        sink.commit()
    return numbers


def black(source: Path, output: Path) -> Path:
    """Write a result in which the upper half of every frame is black."""
    encode(source, output, frames_hidden(COUNT, (0, COUNT)), gop_seconds=1)
    return output


def test_encoded_frames_are_those_of_the_source(source: Path, tmp_path: Path) -> None:
    last, output = black(source, tmp_path / "last.mp4"), tmp_path / "out.mp4"
    encoded = correct(source, output, last, frames_hidden(COUNT, (30, 31)))
    assert 30 in encoded
    assert len(encoded) < COUNT
    before, after = decoded(last), decoded(output)
    same = [before[pts] == after[pts] for pts in sorted(before)]
    assert [number for number in range(COUNT) if not same[number]] == encoded
    for frame in open_source(output):
        if frame.index in encoded:
            assert number_of(frame.rgb()) == frame.index
    assert times(output) == times(source)


def test_without_copies_of_the_source_there_is_one_encoder(source: Path, tmp_path: Path) -> None:
    last = tmp_path / "last.mp4"
    assert render(source, last, frames_hidden(COUNT, (30, 31))) is not None
    one = black(source, tmp_path / "black.mp4")
    touched = frames_hidden(COUNT, (3, 4))
    assert correct(source, tmp_path / "a.mp4", one, touched, copy_untouched=False)
    assert correct(source, tmp_path / "b.mp4", last, touched, copy_untouched=True)
    # The last result has no parameter sets that the encoder could share.
    with pytest.raises(Uncopyable, match="two encoders"):
        correct(source, tmp_path / "c.mp4", source, touched, copy_untouched=False)
    assert len(sets_of(tmp_path / "a.mp4").sps) == 1
    assert len(sets_of(tmp_path / "b.mp4").sps) == 2


OTHERS = {
    "other times": (replace(VIDEO, pts=range(0, COUNT * 600, 600)), "other times"),
    "other units": (replace(VIDEO, base=Fraction(1, 25600)), "other times"),
    "fewer frames": (replace(VIDEO, count=COUNT - 1), "other frames"),
    "other size": (replace(VIDEO, size=(80, 48)), "belong together"),
    "other codec": (replace(VIDEO, codec="mpeg4", options={}), "H.264"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_the_result_of_another_video_is_refused(name: str, source: Path, tmp_path: Path) -> None:
    spec, reason = OTHERS[name]
    last = spec.write(tmp_path / "last.mp4")
    with pytest.raises(Uncopyable, match=reason):
        correct(source, tmp_path / "out.mp4", last, frames_hidden(COUNT, (30, 31)))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4", "last.mp4"]


def test_a_part_of_the_source_is_refused(source: Path, tmp_path: Path) -> None:
    last = Media(black(source, tmp_path / "last.mp4"))
    window, cut = Media(source), Media(source)
    window.window, cut.accept_truncated = Window(Fraction(0), Fraction(1)), True
    for media in (window, cut):
        with pytest.raises(Uncopyable, match="not all"):
            open_mixing_sink(media, tmp_path / "out.mp4", Writing(), NOBODY, last)
