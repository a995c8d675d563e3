"""Each edit of a journal in words."""

from pathlib import Path
from typing import Any

import pytest

from app.edits import VIDEO, Target
from app.reporting.journal import entries_of
from tests.edits.edited_plans import opened

REGION = {"first": 10, "last": 19, "keys": [[10, 1, 1, 90, 90], [15, 5, 5, 90, 90]]}


@pytest.mark.parametrize(
    ("operation", "target", "value", "expected"),
    [
        ("decide", Target("track", 1), "blur", ("Decided about track 1", "visible", "hidden")),
        (
            "decide",
            Target("card", "alice"),
            "keep",
            ("Decided about all faces of alice", "tracks 0, 2 hidden", "visible"),
        ),
        (
            "assign",
            Target("track", 4),
            "bob",
            ("Said whose face track 4 is", "nobody: cannot be told", "bob"),
        ),
        (
            "assign",
            Target("track", 5),
            None,
            ("Said whose face track 5 is", "Person 2", "nobody: cannot be told"),
        ),
        (
            "merge",
            Target("card", "Person 2"),
            "Anna",
            ("Renamed a person, or joined two", "Person 2: track 5", "Anna"),
        ),
        (
            "split",
            Target("track", 0),
            {"frame": 20},
            (
                "Split track 0",
                "frames 0 to 49 (0:00.0 to 0:05.0)",
                "from frame 20 (0:02.0) on track 6",
            ),
        ),
        (
            "region",
            Target("region", 6),
            REGION,
            ("Drew region 6", "none", "frames 10 to 19 (0:01.0 to 0:02.0), 2 key frames"),
        ),
        ("note", Target("listed", "bob"), "is ill", ("Note on bob", "none", "is ill")),
        ("note", VIDEO, "late", ("Note on the video", "none", "late")),
        (
            "confirm",
            Target("track", 2),
            True,
            ("Confirmed the decision about track 2", "open", "confirmed"),
        ),
        (
            "confirm",
            Target("lost", 5),
            True,
            ("Confirmed that track 5 ends where it does", "open", "confirmed"),
        ),
        (
            "confirm",
            Target("listed", "bob"),
            True,
            ("Confirmed that bob does not appear", "open", "confirmed"),
        ),
        ("confirm", VIDEO, True, ("Confirmed that nobody is hidden", "open", "confirmed")),
    ],
)
def test_an_edit_says_what_was_changed_from_what_to_what(
    tmp_path: Path, operation: Any, target: Target, value: Any, expected: tuple[str, str, str]
) -> None:
    editor = opened(tmp_path)
    editor.edit(operation, target, value, "Ann")
    [entry] = entries_of(editor)
    assert (entry.what, entry.before, entry.after) == expected
    assert (entry.number, entry.reviewer, entry.state) == (1, "Ann", "")


def test_changes_and_removals_of_regions_and_confirmations(tmp_path: Path) -> None:
    editor = opened(tmp_path)
    region, lost = Target("region", 6), Target("lost", 5)
    editor.edit("region", region, REGION, "Ann")
    editor.edit("region", region, REGION | {"last": 29}, "Ann")
    editor.edit("region", region, None, "Ann")
    editor.edit("confirm", lost, True, "Ann")
    editor.edit("confirm", lost, False, "Ann")
    assert [entry.what for entry in entries_of(editor)] == [
        "Drew region 6",
        "Changed region 6",
        "Removed region 6",
        "Confirmed that track 5 ends where it does",
        "Reopened that track 5 ends where it does",
    ]


def test_edits_that_were_taken_back_and_made_again(tmp_path: Path) -> None:
    editor = opened(tmp_path)
    editor.edit("decide", Target("track", 1), "blur", "Ann")
    editor.edit("decide", Target("track", 3), "blur", "Ann")
    editor.undo("Bob")
    editor.undo("Bob")
    editor.redo("Eve")
    entries = entries_of(editor)
    assert [entry.state for entry in entries] == ["", "taken back", "", "", ""]
    assert [entry.what for entry in entries[2:]] == [
        "Took back edit 2",
        "Took back edit 1",
        "Made edit 1 again",
    ]
    assert [entry.is_undo for entry in entries] == [False, False, True, True, True]
