"""The first pass against clips of known truth: nobody leaks, nobody is hidden wrongly."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from media.clip import Clip
from media.scenes import SCENES
from media.truth import leaked, spilled

from app.config import Settings
from app.errors import UsageError
from app.identity.gallery import Gallery
from app.pipeline import Parts, analyse, load_parts, load_people
from app.plan import Plan

MARGIN = 0.2
"""What the effect adds to the boxes on each side by default."""
COVERED = 0.9


@pytest.fixture(scope="module")
def parts(people: Path) -> Parts:
    return load_parts(Settings(people=people))


@pytest.fixture(scope="module")
def gallery(people: Path, parts: Parts) -> Gallery:
    return load_people(people, parts)


@pytest.fixture(scope="module")
def plans(
    clip: Callable[[str], Clip], people: Path, parts: Parts, gallery: Gallery
) -> Callable[[str], Plan]:
    made: dict[str, Plan] = {}

    def make(name: str) -> Plan:
        if name not in made:
            made[name] = analyse(clip(name).path, Settings(people=people), parts, gallery)
        return made[name]

    return make


@pytest.mark.parametrize("name", SCENES)
def test_a_listed_person_is_hidden_in_every_frame(
    name: str, clip: Callable[[str], Clip], plans: Callable[[str], Plan]
) -> None:
    assert not leaked(clip(name).truth, plans(name), ["obama"], share=COVERED, margin=MARGIN)


@pytest.mark.parametrize("name", sorted(SCENES.keys() - {"jump", "overlap"}))
def test_nobody_else_is_hidden(
    name: str, clip: Callable[[str], Clip], plans: Callable[[str], Plan]
) -> None:
    assert not spilled(clip(name).truth, plans(name), ["obama"])


def test_others_are_hidden_only_while_they_cover_the_listed_person(
    clip: Callable[[str], Clip], plans: Callable[[str], Plan]
) -> None:
    truth = clip("overlap").truth
    seen = {face.frame for face in truth.faces if face.person == "obama"}
    covered = set(range(min(seen), max(seen))) - seen
    assert len(covered) == 7
    assert {face.frame for face in spilled(truth, plans("overlap"), ["obama"])} <= covered


def test_after_an_unseen_cut_somebody_else_is_hidden_no_longer_than_the_padding(
    clip: Callable[[str], Clip], plans: Callable[[str], Plan]
) -> None:
    """At the cut at 25 both are seen to take the other's place: nobody is hidden too long there."""
    frames = sorted({face.frame for face in spilled(clip("jump").truth, plans("jump"), ["obama"])})
    borders = [70, 75]
    assert all(min(abs(frame - border + 0.5) for border in borders) < 3 for frame in frames)


@pytest.mark.parametrize("name", SCENES)
def test_every_face_is_followed(
    name: str, clip: Callable[[str], Clip], plans: Callable[[str], Plan]
) -> None:
    plan, truth = plans(name), clip(name).truth
    everyone = replace(plan, tracks=tuple(replace(t, decision="blur") for t in plan.tracks))
    assert not leaked(truth, everyone, truth.people, share=COVERED, margin=MARGIN)


@pytest.mark.parametrize("name", ["calm", "cuts", "crowd"])
def test_the_others_are_hidden_and_the_listed_person_is_kept(
    name: str, clip: Callable[[str], Clip], people: Path, parts: Parts, gallery: Gallery
) -> None:
    truth = clip(name).truth
    plan = analyse(clip(name).path, Settings(people=people, blur="others"), parts, gallery)
    strangers = truth.people - {"obama"}
    assert not leaked(truth, plan, strangers, share=COVERED, margin=MARGIN)
    assert not spilled(truth, plan, strangers)


@pytest.mark.parametrize("name", ["cuts", "sizes", "fades"])
def test_the_cuts_are_found(
    name: str, clip: Callable[[str], Clip], plans: Callable[[str], Plan]
) -> None:
    starts = {first for first, _ in plans(name).shots}
    assert set(clip(name).truth.cuts) <= starts


def test_a_clicked_person_is_hidden_wherever_she_is(
    clip: Callable[[str], Clip], people: Path
) -> None:
    truth = clip("cuts").truth
    face = next(face for face in truth.at(5) if face.person == "obama")
    middle = ((face.box[0] + face.box[2]) / 2, (face.box[1] + face.box[3]) / 2)
    settings = Settings(select=((5, *middle),))
    plan = analyse(clip("cuts").path, settings, load_parts(settings))
    assert not leaked(truth, plan, ["obama"], share=COVERED, margin=MARGIN)
    assert not spilled(truth, plan, ["obama"])


def test_without_a_gallery_nothing_is_analysed(
    clip: Callable[[str], Clip], people: Path, parts: Parts, gallery: Gallery
) -> None:
    path, settings = clip("calm").path, Settings(people=people)
    with pytest.raises(UsageError, match="load_people"):
        analyse(path, settings, parts)
    with pytest.raises(UsageError, match="load_people"):
        analyse(path, settings, parts, Gallery(()))
    with pytest.raises(UsageError, match="loaded for everyone"):
        analyse(path, settings, load_parts(Settings()), gallery)


def test_every_frame_and_adaptive_sampling_agree(
    clip: Callable[[str], Clip], people: Path, parts: Parts, gallery: Gallery
) -> None:
    settings = Settings(people=people, sampling="every")
    plan = analyse(clip("edges").path, settings, parts, gallery)
    truth = clip("edges").truth
    assert not leaked(truth, plan, ["obama"], share=COVERED, margin=MARGIN)


CONCERT = {
    "lin": [(0, 19), (82, 210)],
    "alex": [(0, 19), (20, 81)],
    "barack": [(211, 274)],
}
"""Frames of the concert clip in which each person's face can be seen, found by looking at it."""


@pytest.mark.parametrize("name", CONCERT)
def test_the_people_of_the_concert_are_told_apart(name: str, shared: Path, tmp_path: Path) -> None:
    concert = shared / "data" / "hamilton"
    (tmp_path / name).symlink_to(concert / "people" / name)
    settings = Settings(people=tmp_path)
    parts = load_parts(settings)
    plan = analyse(concert / "clip.mp4", settings, parts, load_people(tmp_path, parts))
    hidden = sorted((t.first, t.last) for t in plan.tracks if t.decision == "blur")
    assert hidden == CONCERT[name]
    assert [first for first, _ in plan.shots] == [0, 20, 82, 211]
