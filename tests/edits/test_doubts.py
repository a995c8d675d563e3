"""The queue of doubts: its order, and what settles each of them."""

from pathlib import Path

import pytest

from app.edits import VIDEO, Editor, Target, doubts_of, open_doubts
from tests.edits.edited_plans import opened


@pytest.fixture
def editor(tmp_path: Path) -> Editor:
    return opened(tmp_path)


def queue(editor: Editor) -> list[tuple[str, str]]:
    return [(doubt.sort, str(doubt.target)) for doubt in open_doubts(editor.review)]


def test_the_queue_begins_with_unsure_tracks(editor: Editor) -> None:
    assert queue(editor) == [
        ("unsure", "track 2"),
        ("cannot tell", "track 4"),
        ("lost", "lost 5"),
        ("not found", "listed bob"),
    ]


def test_confirmations_and_decisions_settle_doubts(editor: Editor) -> None:
    editor.edit("confirm", Target("track", 2), True, "Ann")
    editor.edit("decide", Target("track", 4), "blur", "Ann")
    editor.edit("confirm", Target("lost", 5), True, "Ann")
    editor.edit("confirm", Target("listed", "bob"), True, "Ann")
    assert queue(editor) == []
    assert len(doubts_of(editor.review)) == 4
    assert editor.review.to_plan().counts["uncertain"] == 0
    editor.edit("confirm", Target("track", 2), False, "Ann")
    assert queue(editor) == [("unsure", "track 2")]


def test_a_region_over_the_place_continues_a_lost_face(editor: Editor) -> None:
    value = {"first": 15, "last": 49, "keys": [[15, 490, 90, 550, 150]]}
    editor.edit("region", Target("region", 6), value, "Ann")
    assert ("lost", "lost 5") not in queue(editor)


def test_a_person_who_was_assigned_is_found(editor: Editor) -> None:
    editor.edit("assign", Target("track", 4), "bob", "Ann")
    assert ("not found", "listed bob") not in queue(editor)


def test_a_result_that_hides_nobody_asks_once_more(editor: Editor) -> None:
    for number in range(6):
        editor.edit("decide", Target("track", number), "keep", "Ann")
    assert ("hides nobody", "the video") in queue(editor)
    editor.edit("confirm", VIDEO, True, "Ann")
    assert ("hides nobody", "the video") not in queue(editor)
