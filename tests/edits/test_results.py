"""The plan with its edits, and that no writer replaces a plan that has some."""

from pathlib import Path

import numpy as np
import pytest

import app
from app.edits import Target, edited_plan, edits_path, is_edited, with_edits
from app.errors import EditsError, OutputError, UsageError
from tests.edits.edited_plans import opened, reviewed_plan

ANN, BOB = "Ann", "Bob"


def decisions(plan: app.Plan) -> str:
    return "".join(track.decision[0] for track in plan.tracks)


def edited(folder: Path) -> Path:
    editor = opened(folder)
    editor.edit("decide", Target("track", 1), "blur", ANN)
    editor.edit("merge", Target("card", "Person 2"), "Anna", BOB)
    editor.edit("decide", Target("track", 5), "keep", ANN)
    box = {"first": 3, "last": 9, "keys": [[3, 10, 20, 40, 60]]}
    editor.edit("region", Target("region", 6), box, BOB)
    return folder / "clip.json"


def test_the_result_is_the_plan_with_its_edits(tmp_path: Path) -> None:
    opened(tmp_path)
    assert decisions(app.edited_plan(tmp_path / "clip.json")) == "bkbkbb"
    path = edited(tmp_path)
    plan = app.edited_plan(str(path))
    assert decisions(plan) == "bbbkbkb"
    assert np.array_equal(plan.regions_at(5)[-1], [10, 20, 40, 60])
    assert decisions(app.Plan.read(path)) == "bkbkbb", "the plan itself stays"
    assert decisions(with_edits(path, ignore=True).plan) == "bkbkbb"


def test_edits_may_be_elsewhere(tmp_path: Path) -> None:
    path = edited(tmp_path)
    other = edits_path(path).rename(tmp_path / "elsewhere.jsonl")
    assert decisions(edited_plan(path)) == "bkbkbb"
    assert decisions(edited_plan(path, other)) == "bbbkbkb"


def test_edits_that_are_named_but_missing_are_an_error(tmp_path: Path) -> None:
    path = edited(tmp_path)
    with pytest.raises(EditsError, match="does not exist"):
        edited_plan(path, tmp_path / "missing.jsonl")
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(EditsError, match="has no edits"):
        edited_plan(path, tmp_path / "empty.jsonl")
    edits_path(path).rename(tmp_path / "moved.jsonl")
    edits_path(path).symlink_to(tmp_path / "gone.jsonl")
    assert is_edited(path)
    with pytest.raises(EditsError, match="link to a file that is missing"):
        edited_plan(path)


def test_the_facts_are_those_of_the_journal_and_the_doubts(tmp_path: Path) -> None:
    opened(tmp_path)
    before = with_edits(tmp_path / "clip.json")
    assert (before.edits, before.reviewers, before.head) == (0, (), None)
    assert before.facts()["open_doubts"] == 4
    found = with_edits(edited(tmp_path))
    assert found.facts() == {
        "edits": 4,
        "reviewers": [ANN, BOB],
        "open_doubts": 3,
        "review_required": True,
    }
    editor = opened(tmp_path)
    for target in (Target("track", 2), Target("track", 4), Target("listed", "bob")):
        editor.edit("confirm", target, True, ANN)
    assert not with_edits(tmp_path / "clip.json").review_required


def test_names_are_those_of_the_edited_plan(tmp_path: Path) -> None:
    found = with_edits(edited(tmp_path))
    assert decisions(found.decided(hide=["Anna"], keep=["alice"]).plan) == "kbkkbbb"
    with pytest.raises(UsageError, match="does not show 'Person 2'"):
        found.decided(hide=["Person 2"])


def test_a_decision_to_show_somebody_settles_no_doubt(tmp_path: Path) -> None:
    found = with_edits(edited(tmp_path))
    doubts = {str(one.target) for one in found.open_doubts}
    kept = {str(one.target) for one in found.decided(keep=["alice"]).open_doubts}
    hidden = {str(one.target) for one in found.decided(hide=["alice"]).open_doubts}
    assert "track 2" in doubts & kept
    assert hidden == doubts - {"track 2"}


def test_an_edited_plan_is_never_overwritten(tmp_path: Path) -> None:
    path = edited(tmp_path)
    before = path.read_bytes()
    with pytest.raises(OutputError, match="has edits"):
        reviewed_plan().write(path)
    assert path.read_bytes() == before
    path.unlink()
    with pytest.raises(OutputError, match="has edits"):
        reviewed_plan().write(path)
    assert not path.exists(), "edits of another plan do not get one"
