"""Whole people of a plan: their names, and decisions about all their tracks."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app import FaceBlur, Media, Settings
from app.cli import main
from app.errors import UsageError
from app.plan import Plan, cards_of, decided, read_plan, summarise
from testmedia.clip import Clip
from tests.test_plan import make_plan, make_track

Clips = Callable[[str], Clip]


def plan() -> Plan:
    nobody: dict[str, Any] = {"person": None, "similarity": None}
    return make_plan(
        make_track(0, card="Person 1", **nobody, decision="keep"),
        make_track(1, card="alice", uncertain=True),
        make_track(2, card="Person 1", **nobody, decision="keep"),
        make_track(3, card=None, **nobody, uncertain=True, unclear="too dark"),
    )


def test_decisions_are_about_all_tracks_of_a_person() -> None:
    assert cards_of(plan()) == ("Person 1", "alice")
    changed = decided(plan(), hide=["Person 1"], keep=["alice"])
    assert [track.decision for track in changed.tracks] == ["blur", "keep", "blur", "blur"]
    assert plan().tracks[3].reason == changed.tracks[3].reason


def test_only_a_hidden_person_settles_doubts() -> None:
    """A track that is not surely one of them may show somebody else, who must not be shown."""
    uncertain = {
        name: [track.uncertain for track in decided(plan(), **{name: ["alice"]}).tracks]
        for name in ("hide", "keep")
    }
    assert uncertain == {
        "hide": [False, False, False, True],
        "keep": [False, True, False, True],
    }


@pytest.mark.parametrize(
    ("hide", "keep", "message"),
    [
        (["bob"], [], "it shows Person 1, alice"),
        ([], ["Person 2"], "it shows Person 1, alice"),
        (["alice"], ["alice"], "cannot be hidden and kept"),
    ],
)
def test_wrong_names_are_refused(hide: list[str], keep: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        decided(plan(), hide=hide, keep=keep)


def test_the_people_of_a_video(
    clip: Clips, people: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The clip shows Obama, who is listed, and Biden, who is not."""
    video, path = clip("calm").path, tmp_path / "plan.json"
    face_blur = FaceBlur(Settings(people=people))
    face_blur.analyse(Media(video)).write(path)
    found = read_plan(path)
    assert sorted(cards_of(found)) == ["Person 1", "obama"]
    cards = {one.person: one.hidden for one in summarise(found).appearances}
    assert cards == {"obama": True, "Person 1": False}
    output = tmp_path / "out.mp4"
    names = ("--hide", "Person 1", "--keep", "obama")
    assert main(["render", str(video), str(path), "-o", str(output), *names]) == 0
    lines = capsys.readouterr().err.splitlines()
    assert any(line.startswith("face-blur:   hidden: Person 1, ") for line in lines)
    assert any(line.startswith("face-blur:   visible: obama, ") for line in lines)


def test_a_listed_person_may_have_the_name_of_a_card(clip: Clips, people: Path) -> None:
    named = people.parent / "named"
    if not named.exists():
        named.mkdir()
        (named / "Person 1").symlink_to(people / "obama")
    found = FaceBlur(Settings(people=named)).analyse(Media(clip("calm").path))
    assert sorted(cards_of(found)) == ["Person 1", "Person 2"]
    listed = [track.card for track in found.tracks if track.person == "Person 1"]
    assert set(listed) == {"Person 1"}


def test_everyone_has_no_cards(clip: Clips) -> None:
    """Nobody is recognised if everyone is hidden."""
    found = FaceBlur(Settings(blur="everyone")).analyse(Media(clip("calm").path))
    assert found.tracks
    assert cards_of(found) == ()
    with pytest.raises(UsageError, match="it shows nobody: everyone was hidden"):
        decided(found, keep=["Person 1"])
