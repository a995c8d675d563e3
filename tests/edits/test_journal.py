"""The journal: append-only, bound to its plan, and refused if anything in it was changed."""

import json
import random
import threading
from pathlib import Path
from typing import Any

import pytest

from app.edits import Editor, Target, edits_path, is_edited
from app.errors import EditConflict, EditsError, OutputError, UsageError
from app.plan.files import plan_text
from tests.edits.edited_plans import opened


def text(editor: Editor) -> bytes:
    return b"".join(plan_text(editor.review.to_plan()))


def lines(editor: Editor) -> list[dict[str, Any]]:
    return [json.loads(line) for line in editor.journal.path.read_text("utf-8").splitlines()]


def edited(folder: Path) -> Editor:
    editor = opened(folder)
    editor.edit("decide", Target("track", 1), "blur", "Ann")
    editor.edit("note", Target("card", "alice"), "asked on Monday: <script>", "Ann")
    editor.edit("decide", Target("card", "alice"), "keep", "Bob")
    return editor


def test_a_line_says_who_changed_what_when(tmp_path: Path) -> None:
    assert not is_edited(tmp_path / "clip.json")
    editor = edited(tmp_path)
    first, _, third = lines(editor)
    assert set(first) == {
        *("number", "time", "reviewer", "operation", "target", "before", "after"),
        *("previous", "hash"),
    }
    assert (first["number"], first["reviewer"], first["target"]) == (1, "Ann", {"track": 1})
    assert (third["reviewer"], third["before"]) == ("Bob", {"blur": [0, 2], "keep": []})
    assert is_edited(tmp_path / "clip.json")


def test_the_plan_stays_as_it_was_analysed(tmp_path: Path) -> None:
    opened(tmp_path)
    before = (tmp_path / "clip.json").read_bytes()
    edited(tmp_path)
    assert (tmp_path / "clip.json").read_bytes() == before


def test_edits_are_there_again_when_the_plan_is_opened(tmp_path: Path) -> None:
    assert text(opened(tmp_path)) == text(opened(tmp_path))
    editor = edited(tmp_path)
    again = opened(tmp_path)
    assert text(again) == text(editor)
    assert again.review.notes == editor.review.notes
    assert again.journal.head == editor.journal.head


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.parametrize("change", ["reviewer", "after", "removed", "twice", "space", "swapped"])
def test_a_changed_or_missing_line_is_refused(tmp_path: Path, change: str, number: int) -> None:
    path = edited(tmp_path).journal.path
    content = path.read_bytes().splitlines(keepends=True)
    line = content[number]
    if change == "reviewer":
        content[number] = line.replace(b'"Ann"', b'"Eve"').replace(b'"Bob"', b'"Eve"')
    elif change == "after":
        content[number] = line.replace(b'"after":"', b'"after":"x').replace(b"xkeep", b"blur")
    elif change == "removed":
        del content[number]
    elif change == "twice":
        content.insert(number, line)
    elif change == "space":
        content[number] = line.replace(b'"after":', b'"after": ')
    else:
        content.insert(0, content.pop(number)) if number else content.append(content.pop(0))
    path.write_bytes(b"".join(content))
    if change == "removed" and number == 2:
        # A file cannot know its own end: reports name the number of edits and the last hash.
        assert len(opened(tmp_path).journal.edits) == 2
    else:
        with pytest.raises(EditsError):
            opened(tmp_path)


def test_another_plan_is_refused(tmp_path: Path) -> None:
    edited(tmp_path)
    path = tmp_path / "clip.json"
    path.write_bytes(path.read_bytes().replace(b"clip.mp4", b"clap.mp4"))
    with pytest.raises(EditsError, match="another plan"):
        opened(tmp_path)


def test_an_interrupted_line_was_never_confirmed_and_is_replaced(tmp_path: Path) -> None:
    path = edited(tmp_path).journal.path
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"number": 4, "ti')
    editor = opened(tmp_path)
    assert len(editor.journal.edits) == 3
    editor.edit("decide", Target("track", 3), "blur", "Ann")
    assert path.read_bytes().startswith(whole)
    assert [line["number"] for line in lines(opened(tmp_path))] == [1, 2, 3, 4]


def test_the_second_of_two_editors_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    one, other = opened(tmp_path), opened(tmp_path)
    one.edit("decide", Target("track", 1), "blur", "Ann")
    before = text(other)
    with pytest.raises(EditConflict, match="read it again"):
        other.edit("decide", Target("track", 1), "keep", "Bob")
    assert text(other) == before
    assert len(opened(tmp_path).journal.edits) == 1


def test_of_many_editors_at_once_exactly_one_succeeds(tmp_path: Path) -> None:
    editors = [opened(tmp_path) for _ in range(8)]
    outcomes: list[str] = []

    def edit(editor: Editor) -> None:
        try:
            editor.edit("decide", Target("track", 1), "blur", "Ann")
            outcomes.append("made")
        except EditConflict:
            outcomes.append("refused")

    threads = [threading.Thread(target=edit, args=(editor,)) for editor in editors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["made"] + ["refused"] * 7


def test_an_edit_that_cannot_be_written_is_not_made(tmp_path: Path) -> None:
    editor = opened(tmp_path)
    edits_path(tmp_path / "clip.json").mkdir()
    with pytest.raises(OutputError):
        editor.edit("decide", Target("track", 1), "blur", "Ann")
    assert editor.review.tracks[1].decision == "keep"
    assert editor.undoable is None


def test_undo_and_redo_are_lines_of_the_journal(tmp_path: Path) -> None:
    editor = edited(tmp_path)
    after = text(editor)
    editor.undo("Ann")
    editor.undo("Ann")
    assert [line["operation"] for line in lines(editor)][3:] == ["undo", "undo"]
    assert [line["target"] for line in lines(editor)][3:] == [{"edit": 3}, {"edit": 2}]
    assert not editor.review.notes
    editor.redo("Ann")
    editor.redo("Ann")
    assert text(editor) == after == text(opened(tmp_path))
    with pytest.raises(UsageError, match="no edit to make again"):
        editor.redo("Ann")
    editor.undo("Ann")
    editor.edit("decide", Target("track", 3), "blur", "Ann")
    with pytest.raises(UsageError, match="no edit to make again"):
        editor.redo("Ann")


def test_a_hundred_random_edits_and_their_undoing_give_the_first_state(tmp_path: Path) -> None:
    rng = random.Random(16)
    editor = opened(tmp_path)
    first = text(editor)
    states = [first]
    while len(states) <= 100:
        if make_random_edit(editor, rng):
            states.append(text(editor))
    assert text(opened(tmp_path)) == states[-1]
    for state in reversed(states[:-1]):
        editor.undo("Ann")
        assert text(editor) == state
    assert text(opened(tmp_path)) == first
    for state in states[1:]:
        editor.redo("Ann")
        assert text(editor) == state


def make_random_edit(editor: Editor, rng: random.Random) -> bool:
    """Try one edit; return whether it was possible."""
    review = editor.review
    number = rng.choice(list(review.tracks))
    cards = sorted({track.card for track in review.tracks.values() if track.card})
    first = rng.randrange(90)
    region = rng.choice([review.unused, *review.regions])
    box = [rng.uniform(0, 500), rng.uniform(0, 300)]
    keys = [[first, *box, box[0] + 30, box[1] + 30]]
    choices: list[tuple[Any, Target, Any]] = [
        ("decide", Target("track", number), rng.choice(["blur", "keep"])),
        ("decide", Target("card", rng.choice(cards)), rng.choice(["blur", "keep"])),
        ("assign", Target("track", number), rng.choice([*cards, None, f"New {first}"])),
        ("merge", Target("card", rng.choice(cards)), rng.choice([*cards, f"New {first}"])),
        ("split", Target("track", number), {"frame": first}),
        ("region", Target("region", region), {"first": first, "last": first + 9, "keys": keys}),
        ("region", Target("region", region), None),
        ("note", Target("track", number), rng.choice(["a note", None])),
        ("confirm", Target("track", number), rng.choice([True, False])),
    ]
    try:
        editor.edit(*rng.choice(choices), "Ann")
    except UsageError:
        return False
    return True
