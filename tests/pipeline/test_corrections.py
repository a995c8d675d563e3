"""Rendering after a correction: what has not changed is copied from the last result."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import ModuleType

import av
import numpy as np
import pytest

from app.config import Settings
from app.pipeline import FaceBlur, LastResult, Rendered
from app.pipeline import last_result as last_result_module
from app.plan import Plan
from app.types import Boxes, Plane
from app.video import Media, Uncopyable
from app.video import sink as video_sink
from app.video.bitstream.parameter_sets import ParameterSets
from app.video.container import main_video
from app.video.smart import sink as smart_sink
from testmedia.videos import ROTATED, VideoSpec, payloads, times
from tests.pipeline.two_faces import SIZE, Group, Part, groups, plan_of, seen, truth
from tests.video.smart_videos import decoded, decoder_warnings

COUNT = 150
UNEVEN = [0, 100, 700, 701, *range(1500, 1500 + 146 * 311, 311)]
OPAQUE = Settings(effect="solid", shape="rectangle", margin=0.1, feather=0)
EVERYWHERE = (Part(0, 0, COUNT), Part(1, 60, 75, "keep"), Part(1, 100, 120))
PARTLY = (Part(0, 0, 20), Part(1, 62, 75, "keep"), Part(1, 125, 135))
"""With GOPs of 30 frames: groups of the source are copied first."""


def video(**options: str) -> VideoSpec:
    return VideoSpec(size=SIZE, count=COUNT, options={"g": "30", **options})


SOURCES: dict[str, tuple[VideoSpec, str]] = {
    "plain": (video(), "mp4"),
    "long groups": (video(g="250"), "mp4"),
    "no B-frames": (video(bf="0"), "mp4"),
    "pyramid": (video(bf="5", **{"b-pyramid": "normal"}), "mp4"),
    "main": (video(profile="main"), "mov"),
    "uneven": (replace(video(), pts=UNEVEN), "mp4"),
    "late": (
        replace(video(), base=Fraction(1, 90000), pts=range(12345, 12345 + 3600 * COUNT, 3600)),
        "mp4",
    ),
    "turned": (replace(video(), matrix=ROTATED[90]), "mp4"),
    "sound": (replace(video(), sounds=[("aac", "deu")], subtitles=[("mov_text", "deu")]), "mp4"),
    "open groups": (video(**{"x264-params": "open-gop=1:bframes=3"}), "mp4"),
    "MPEG-TS": (replace(video(), base=Fraction(1, 90000)), "ts"),
    "MPEG-4": (
        VideoSpec(size=SIZE, count=COUNT, codec="mpeg4", base=Fraction(1, 25)),
        "avi",
    ),
}


class Review:
    """A source, its result, and the record of the last rendering."""

    def __init__(self, source: Path, output: Path, settings: Settings = OPAQUE) -> None:
        self.source, self.output = source, output
        self.face_blur = FaceBlur(settings)
        self.last: LastResult | None = None
        self.plan: Plan | None = None

    def render(self, parts: Sequence[Part], *, correctable: bool = True) -> Rendered:
        """Render with the last result, and check each frame and all times of the new one."""
        self.plan = plan_of(self.source, COUNT, parts)
        done = self.face_blur.render(
            self.source,
            self.plan,
            self.output,
            overwrite=True,
            last=self.last,
            correctable=correctable,
        )
        assert done is not None
        assert seen(self.output) == truth(COUNT, parts)
        shift = times(self.output)[0] - times(self.source)[0]
        assert [time - shift for time in times(self.output)] == times(self.source)
        self.last = done.last_result()
        return done


def review_of(name: str, folder: Path, settings: Settings = OPAQUE) -> Review:
    spec, suffix = SOURCES[name]
    source = spec.write(folder / f"in.{suffix}")
    return Review(source, folder / f"out.{'mov' if suffix == 'mov' else 'mp4'}", settings)


def changed(parts: Sequence[Part], number: int) -> tuple[Part, ...]:
    """Return the parts with the other decision about one of them."""
    part = parts[number]
    other = replace(part, decision="keep" if part.decision == "blur" else "blur")
    return (*parts[:number], other, *parts[number + 1 :])


def beside(path: Path) -> list[object]:
    """Return the packets of sound and subtitles."""
    with av.open(str(path)) as container:
        kinds = [stream.type for stream in container.streams if stream.type != "video"]
    return [payloads(path, kind) for kind in kinds]


def kept(before: Sequence[Group], after: Sequence[Group]) -> int:
    """Return the number of packets that are the same at the same place."""
    one_by_one = ([data for group in many for data in group.packets] for many in (before, after))
    pairs = zip(*one_by_one, strict=True)
    return sum(one == other for one, other in pairs)


def sets_of(path: Path) -> ParameterSets:
    media = Media(path)
    with media.open_container() as container:
        return ParameterSets.parse(main_video(container, media).codec_context.extradata or b"")


@pytest.mark.parametrize("name", SOURCES)
@pytest.mark.parametrize("parts", [EVERYWHERE, PARTLY], ids=["everywhere", "partly"])
def test_only_groups_with_a_change_are_encoded(
    name: str, parts: Sequence[Part], tmp_path: Path
) -> None:
    review = review_of(name, tmp_path)
    review.render(parts)
    for number in (1, 2, 1):  # hide, show, show again
        before, others = groups(review.output), beside(review.output)
        parts = changed(parts, number)
        done = review.render(parts)
        touched = range(parts[number].first, parts[number].end)
        same = [group for group in before if group.end <= touched[0] or group.first > touched[-1]]
        assert (done.copied_from, done.why_not_last) == ("last result", None)
        assert len(touched) <= done.encoded <= COUNT - sum(one.end - one.first for one in same)
        assert kept(before, groups(review.output)) >= COUNT - done.encoded
        assert 0 < len(same) < len(before)
        assert set(same) <= set(groups(review.output)), "bit by bit"
        assert beside(review.output) == others
        assert decoder_warnings(lambda: decoded(review.output)) == []


def test_ten_corrections_in_a_row(tmp_path: Path) -> None:
    review = review_of("plain", tmp_path)
    parts: tuple[Part, ...] = tuple(
        Part(face, first, first + 12) for face in (0, 1) for first in range(5, 140, 15)
    )
    review.render(parts)
    for number in np.random.default_rng(1).permutation(len(parts))[:10].tolist():
        parts = changed(parts, number)
        assert review.render(parts).copied_from == "last result"
        assert len(sets_of(review.output).sps) <= 2
    whole = tmp_path / "whole.mp4"
    assert review.plan is not None
    review.face_blur.render(review.source, review.plan, whole)
    assert seen(whole) == seen(review.output)


def test_nothing_is_encoded_if_nothing_changed(tmp_path: Path) -> None:
    review = review_of("sound", tmp_path)
    review.render(EVERYWHERE)
    before = groups(review.output)
    done = review.render(EVERYWHERE)
    assert (done.copied_from, done.encoded) == ("last result", 0)
    assert groups(review.output) == before


def test_all_frames_are_encoded_if_all_changed(tmp_path: Path) -> None:
    review = review_of("plain", tmp_path)
    review.render([Part(0, 0, COUNT)])
    done = review.render([Part(1, 0, COUNT)])
    assert (done.copied_from, done.encoded) == ("nothing", COUNT)


def test_copies_of_the_source_are_replaced_when_a_face_is_hidden_there(tmp_path: Path) -> None:
    review = review_of("plain", tmp_path)
    assert review.render([Part(0, 0, 10)]).copied_from == "source"
    assert review.render([Part(0, 0, 10), Part(1, 60, 150)]).copied_from == "last result"
    assert review.render([Part(0, 0, 10)]).copied_from == "last result"


def test_a_result_of_one_encoder_keeps_its_only_parameter_set(tmp_path: Path) -> None:
    review = review_of("plain", tmp_path, OPAQUE.changed(copy_untouched="never"))
    review.render(EVERYWHERE)
    assert review.render(changed(EVERYWHERE, 1)).copied_from == "last result"
    assert len(sets_of(review.output).sps) == 1


def test_a_correctable_result_has_groups_of_two_seconds_at_most(tmp_path: Path) -> None:
    """The video has 25 frames per second, and groups of up to 250 frames."""
    review = review_of("long groups", tmp_path)
    parts = [Part(0, 0, COUNT)]
    review.render(parts, correctable=False)
    usual = [group.end - group.first for group in groups(review.output)]
    review.last = None
    review.render(parts)
    assert max(usual) > 50 >= max(group.end - group.first for group in groups(review.output))


def test_the_frames_of_a_group_before_a_change_are_copied(tmp_path: Path) -> None:
    review = review_of("long groups", tmp_path)
    parts = (Part(0, 0, COUNT), Part(1, COUNT - 30, COUNT - 10))
    review.render(parts, correctable=False)
    before = groups(review.output)
    done = review.render(parts[:1], correctable=False)
    last = before[-1]
    assert last.end - last.first > 40, "it begins long before the change"
    assert 30 <= done.encoded < 40
    assert kept(before, groups(review.output)) >= COUNT - done.encoded


def test_encoded_groups_of_the_source_are_divided_in_a_correctable_result(tmp_path: Path) -> None:
    source = VideoSpec(size=SIZE, count=COUNT, options={"x264-params": "keyint=75:scenecut=0"})
    review = Review(source.write(tmp_path / "in.mp4"), tmp_path / "out.mp4")
    assert review.render([Part(0, 80, 90)]).encoded == 75
    assert [group.first for group in groups(review.output)] == [0, 75, 112]
    assert groups(review.output)[0] == groups(review.source)[0]


class Nothing:
    """An effect that hides nothing."""

    def hide(self, planes: Sequence[Plane], boxes: Boxes) -> None:
        """Leave everything as it is."""


def damage(review: Review, _: pytest.MonkeyPatch) -> None:
    data = bytearray(review.output.read_bytes())
    data[len(data) // 2] ^= 1
    review.output.write_bytes(bytes(data))


def remove(review: Review, _: pytest.MonkeyPatch) -> None:
    review.output.unlink()


def cut(review: Review, _: pytest.MonkeyPatch) -> None:
    review.output.write_bytes(review.output.read_bytes()[:-1])


def replace_with_source(review: Review, _: pytest.MonkeyPatch) -> None:
    """The most dangerous file: it has the right frames, and hides nothing."""
    review.output.write_bytes(review.source.read_bytes())


def change_settings(review: Review, _: pytest.MonkeyPatch) -> None:
    review.face_blur = FaceBlur(review.face_blur.settings.changed(margin=0.11))


def change_program(_: Review, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(last_result_module, "PROGRAM", "99.0")


def change_source(review: Review, _: pytest.MonkeyPatch) -> None:
    assert review.last is not None
    old = review.last.plan
    other = replace(old, source=replace(old.source, sha256="0" * 64))
    review.last = LastResult(review.last.path, review.last.sha256, other, review.last.settings)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (damage, "has changed"),
        (cut, "has changed"),
        (replace_with_source, "has changed"),
        (remove, "cannot be read"),
        (change_settings, "other settings"),
        (change_program, "other settings"),
        (change_source, "another video"),
    ],
)
def test_a_last_result_that_does_not_fit_is_not_used(
    spoil: Callable[[Review, pytest.MonkeyPatch], None],
    reason: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    review = review_of("plain", tmp_path)
    review.render(PARTLY)
    spoil(review, monkeypatch)
    done = review.render(changed(PARTLY, 1))
    assert done.copied_from == "source"
    assert reason in (done.why_not_last or "")


def test_an_effect_of_the_user_never_uses_the_last_result(tmp_path: Path) -> None:
    review = review_of("plain", tmp_path)
    review.render(EVERYWHERE)
    assert review.plan is not None
    done = review.face_blur.render(
        review.source,
        review.plan,
        tmp_path / "own.mp4",
        effect=Nothing(),
        last=review.last,
    )
    assert done is not None
    assert done.copied_from == "nothing"
    assert done.last_result() is None, "its settings would not tell how faces are hidden"
    assert seen(tmp_path / "own.mp4") == [(False, False)] * COUNT


@pytest.mark.parametrize(
    ("module", "where"), [(smart_sink, "check_mixed"), (video_sink, "check_file")]
)
def test_the_last_result_is_not_used_if_the_new_one_is_not_right(
    module: ModuleType, where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    review = review_of("plain", tmp_path)
    review.render(PARTLY)
    original, calls = getattr(module, where), []

    def refuse(*args: object) -> None:
        calls.append(args)
        if len(calls) == 1:
            raise Uncopyable("not as it should be")
        original(*args)

    monkeypatch.setattr(module, where, refuse)
    done = review.render(changed(PARTLY, 1))
    assert (done.copied_from, done.why_not_last) == ("source", "not as it should be")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4", "out.mp4"]


@pytest.mark.parametrize("suffix", ["mkv", "ts"])
def test_other_containers_are_encoded_again(suffix: str, tmp_path: Path) -> None:
    source = video().write(tmp_path / "in.mp4")
    review = Review(source, tmp_path / f"out.{suffix}")
    for parts, why in ((EVERYWHERE, None), (changed(EVERYWHERE, 1), "it is not H.264 in MP4")):
        plan = plan_of(source, COUNT, parts)
        done = review.face_blur.render(
            source, plan, review.output, overwrite=True, last=review.last
        )
        assert done is not None
        assert done.copied_from == "nothing"
        assert seen(review.output) == truth(COUNT, parts)
        assert done.why_not_last == why
        review.last = done.last_result()
