"""Edits of a plan: what each operation changes, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.edits import VIDEO, Editor, Target
from app.errors import UsageError
from tests.edits.edited_plans import opened

ANN = "Ann"
DRAWN = Target("region", 6)
BOX = [[0, 1, 1, 9, 9]]
TRACK = [Target("track", number) for number in range(6)]


@pytest.fixture
def editor(tmp_path: Path) -> Editor:
    return opened(tmp_path)


def decisions(editor: Editor) -> str:
    return "".join(track.decision[0] for track in editor.review.to_plan().tracks)


def test_a_decision_about_a_track_is_about_that_track_only(editor: Editor) -> None:
    edit = editor.edit("decide", TRACK[1], "blur", ANN)
    assert (edit.before, edit.after) == ("keep", "blur")
    assert decisions(editor) == "bbbkbb"
    assert editor.review.to_plan().tracks[1].reason == "decided by Ann"


def test_a_decision_about_a_card_is_about_all_its_tracks(editor: Editor) -> None:
    edit = editor.edit("decide", Target("card", "Person 1"), "blur", ANN)
    assert edit.before == {"blur": [], "keep": [1, 3]}
    assert decisions(editor) == "bbbbbb"


def test_a_kept_card_leaves_its_doubts_open(editor: Editor) -> None:
    alice = Target("card", "alice")
    editor.edit("decide", alice, "blur", ANN)
    assert not editor.review.to_plan().tracks[2].uncertain
    editor.edit("decide", alice, "keep", ANN)
    assert decisions(editor) == "kkkkbb"
    assert editor.review.to_plan().tracks[2].uncertain


def test_a_track_joins_a_hidden_card_and_is_hidden(editor: Editor) -> None:
    editor.edit("split", TRACK[3], {"frame": 70}, ANN)
    editor.edit("assign", Target("track", 6), "Person 2", ANN)
    assert editor.review.tracks[6].card == "Person 2"
    assert decisions(editor) == "bkbkbbb"


def test_a_merge_shows_nobody_who_was_hidden(editor: Editor) -> None:
    editor.edit("decide", Target("card", "Person 2"), "blur", ANN)
    with pytest.raises(UsageError, match="frame 0 shows both"):
        editor.edit("merge", Target("card", "Person 2"), "Person 1", ANN)
    editor.edit("split", TRACK[5], {"frame": 10}, ANN)
    editor.edit("merge", Target("card", "Person 2"), "Anna", ANN)
    assert {track.card for track in editor.review.tracks.values()} == {
        "alice", "Person 1", "Anna", None
    }  # fmt: skip
    assert decisions(editor) == "bkbkbbb"


def test_a_split_divides_boxes_and_times(editor: Editor) -> None:
    edit = editor.edit("split", TRACK[0], {"frame": 20}, ANN)
    assert edit.after == {"frame": 20, "track": 6}
    early, late = editor.review.tracks[0], editor.review.tracks[6]
    assert (early.first, early.last, late.first, late.last) == (0, 19, 20, 49)
    assert (early.times, late.times) == ((0.0, 2.0), (2.0, 5.0))
    assert np.array_equal(late.boxes[:, 0], np.arange(20, 50))
    assert late.card == "alice"


def test_a_region_is_hidden_from_in_to_out_and_moves_between_its_keys(editor: Editor) -> None:
    keys = [[10, 0, 0, 20, 20], [20, 100, 50, 120, 70], [30, 100, 50, 140, 90]]
    editor.edit("region", DRAWN, {"first": 5, "last": 35, "keys": keys}, ANN)
    plan = editor.review.to_plan()
    drawn = plan.tracks[-1]
    assert (drawn.id, drawn.decision, drawn.drawn) == (6, "blur", True)
    expected = {
        5: [0, 0, 20, 20],
        15: [50, 25, 70, 45],
        25: [100, 50, 130, 80],
        35: [100, 50, 140, 90],
    }
    for frame, box in expected.items():
        assert drawn.boxes[frame - 5, 1:].tolist() == box
        assert box in plan.regions_at(frame).tolist()
    assert len(plan.regions_at(4)) == 2
    assert len(plan.regions_at(36)) == 1


@pytest.mark.parametrize(
    ("box", "kept"),
    [
        ([-50, -50, 30, 30], [0, 0, 30, 30]),
        ([600, 300, 900, 900], [600, 300, 640, 360]),
        ([700, 500, 800, 600], [636, 356, 640, 360]),
        ([10, 10, 10.5, 10.5], [10, 10, 14, 14]),
    ],
)
def test_a_region_stays_in_the_picture(editor: Editor, box: list[float], kept: list[float]) -> None:
    value = {"first": 0, "last": 500, "keys": [[0, *box]]}
    edit = editor.edit("region", DRAWN, value, ANN)
    assert edit.after == {"first": 0, "last": 99, "keys": [[0, *kept]]}


def test_a_removed_region_is_no_longer_hidden(editor: Editor) -> None:
    value = {"first": 0, "last": 9, "keys": [[0, 10, 10, 60, 60]]}
    editor.edit("region", DRAWN, value, ANN)
    edit = editor.edit("region", DRAWN, None, ANN)
    assert edit.before == {"first": 0, "last": 9, "keys": [[0, 10, 10, 60, 60]]}
    assert len(editor.review.to_plan().tracks) == 6
    # Its number is not used again: a note of the old region must not become one of the new.
    with pytest.raises(UsageError, match="must be 7"):
        editor.edit("region", DRAWN, value, ANN)


@pytest.mark.parametrize(
    ("operation", "target", "after", "message"),
    [
        ("decide", Target("track", 99), "blur", "no track 99"),
        ("decide", Target("card", "bob"), "blur", "no card 'bob'"),
        ("decide", TRACK[0], "show", "blur or keep"),
        ("decide", VIDEO, "keep", "cannot be about the video"),
        ("assign", TRACK[0], "Person 1", "frame 0 shows both"),
        ("assign", TRACK[0], "", "1 to 2000 characters"),
        ("assign", TRACK[0], 3, "1 to 2000 characters"),
        ("merge", Target("card", "alice"), "alice", "its own name"),
        ("split", TRACK[0], {"frame": 0}, "not inside"),
        ("split", TRACK[0], {"frame": 50}, "not inside"),
        ("split", TRACK[0], {"frame": "5"}, "needs"),
        ("region", Target("region", 3), {"first": 0, "last": 1, "keys": BOX}, "be 6"),
        ("region", DRAWN, {"first": 3, "last": 1, "keys": BOX}, "after"),
        ("region", DRAWN, {"first": 0, "last": 1, "keys": []}, "keys"),
        ("region", DRAWN, {"first": 0, "last": 1, "keys": [[0, 9, 9, 1, 1]]}, "x1 <"),
        ("region", DRAWN, None, "no region 6"),
        ("note", Target("region", 3), "text", "no region 3"),
        ("note", VIDEO, "a\x00b", "1 to 2000 characters"),
        ("note", VIDEO, "x" * 2001, "1 to 2000 characters"),
        ("confirm", Target("listed", "eve"), True, "nobody is listed"),
        ("confirm", VIDEO, 1, "true or false"),
    ],
)  # fmt: skip
def test_impossible_edits_are_refused_and_leave_no_trace(
    editor: Editor, operation: Any, target: Target, after: Any, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        editor.edit(operation, target, after, ANN)
    assert not editor.journal.path.exists()
    assert editor.review.to_plan().tracks[0].decision == "blur"
