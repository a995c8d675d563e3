"""The command line and the edits of a plan, with a clip of two people."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from app.cli import main
from app.cli.edits import default_reviewer
from app.edits import Editor, Target, edited_plan, edits_path
from app.errors import OutputError
from app.pipeline import FaceBlur
from app.plan import read_plan
from app.video import open_source
from testmedia.clip import Clip
from tests.edits.edited_plans import opened

Clips = Callable[[str], Clip]
Frames = list[np.ndarray]


@pytest.fixture(scope="module")
def analysed(clip: Clips, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plan of a clip of two people, with both hidden by black."""
    path = tmp_path_factory.mktemp("plan") / "plan.json"
    assert main(["analyse", str(clip("calm").path), "-o", str(path), "--effect", "solid"]) == 0
    return path


@pytest.fixture
def plan(analysed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copyfile(analysed, tmp_path / "plan.json"))


@pytest.fixture
def video(clip: Clips) -> Path:
    return clip("calm").path


def keep(plan: Path, track: int, reviewer: str = "Ann") -> Editor:
    editor = Editor.open(plan)
    editor.edit("decide", Target("track", track), "keep", reviewer)
    return editor


def hidden(video: Path, result: Path, plan: Path) -> dict[int, bool]:
    """For each track of the plan, whether the middle of its face is black in all its frames."""
    before, after = ([frame.rgb() for frame in open_source(path)] for path in (video, result))
    assert len(before) == len(after)
    found = {}
    for track in read_plan(plan).tracks:
        dark = set()
        for number, x1, y1, x2, y2 in track.boxes:
            x, y, frame = int(x1 + x2) // 2, int(y1 + y2) // 2, int(number)
            patch = np.s_[y - 3 : y + 3, x - 3 : x + 3]
            if before[frame][patch].mean() > 40:
                dark.add(bool(after[frame][patch].mean() < 12))
        (found[track.id],) = dark
    return found


def render(video: Path, plan: Path, *options: object) -> tuple[int, Path]:
    output = plan.parent / "out.mp4"
    command = ["render", video, plan, "-o", output, "--overwrite", *options]
    return main(list(map(str, command))), output


def test_the_edits_beside_a_plan_are_applied(
    video: Path, plan: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(plan, 0).edit("note", Target("track", 1), "asked on Monday", "Bob")
    before = plan.read_bytes()
    code, output = render(video, plan, "--json")
    captured = capsys.readouterr()
    assert code == 0
    assert hidden(video, output, plan) == {0: False, 1: True}
    assert f"face-blur: {plan}: 2 edits by Ann and Bob applied\n" in captured.err
    summary = json.loads(captured.out)
    assert (summary["edits"], summary["reviewers"]) == (2, ["Ann", "Bob"])
    assert summary["hidden"] == 1
    assert plan.read_bytes() == before


def test_edits_may_be_elsewhere_or_left_out(
    video: Path, plan: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(plan, 0)
    code, output = render(video, plan, "--without-edits")
    assert code == 0
    assert hidden(video, output, plan) == {0: True, 1: True}
    assert "the edits of the plan are left out" in capsys.readouterr().err
    moved = edits_path(plan).rename(plan.parent / "ann.jsonl")
    code, output = render(video, plan)
    assert hidden(video, output, plan) == {0: True, 1: True}
    code, output = render(video, plan, "--edits", moved)
    assert hidden(video, output, plan) == {0: False, 1: True}


def refused(capsys: pytest.CaptureFixture[str], *command: object) -> str:
    capsys.readouterr()
    assert main(list(map(str, command))) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


def test_changed_and_missing_edits_are_refused(
    video: Path, plan: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(plan, 0).edit("decide", Target("track", 0), "blur", "Ann")
    journal, output = edits_path(plan), plan.parent / "out.mp4"
    whole = journal.read_bytes()
    start = ("render", video, plan, "-o", output)
    journal.write_bytes(whole.replace(b"Ann", b"Eve", 1))
    assert "line 1: was changed" in refused(capsys, *start)
    assert "line 1: was changed" in refused(capsys, "edits", plan, "--check")
    journal.write_bytes(whole.splitlines(keepends=True)[1])
    assert "belong to another plan" in refused(capsys, *start)
    journal.write_bytes(whole)
    plan.write_bytes(plan.read_bytes().replace(b'"keep"', b'"blur"') + b"\n")
    assert "belong to another plan" in refused(capsys, "edits", plan, "--check")
    assert "does not exist" in refused(capsys, *start, "--edits", plan.parent / "none.jsonl")
    assert not output.exists()


def test_an_edited_plan_is_not_overwritten(
    video: Path, plan: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(plan, 0)
    before, output = plan.read_bytes(), plan.parent / "out.mp4"
    assert "has edits" in refused(capsys, "analyse", video, "-o", plan, "--overwrite")
    assert "has edits" in refused(
        capsys, "blur", video, "-o", output, "--plan", plan, "--overwrite"
    )
    for file in (plan, edits_path(plan)):
        assert "is another file of this command" in refused(
            capsys, "render", video, plan, "-o", output, "--sheet", file, "--overwrite"
        )
    assert plan.read_bytes() == before
    assert not output.exists()


def test_the_library_refuses_an_edited_plan_before_any_work(video: Path, plan: Path) -> None:
    keep(plan, 0)

    def working(*_: object) -> None:
        raise AssertionError("work has begun")

    with pytest.raises(OutputError, match="has edits"):
        FaceBlur().blur(video, plan.parent / "out.mp4", working, plan=plan)


def test_names_are_those_of_the_edited_plan(
    video: Path, plan: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(plan, 0).edit("assign", Target("track", 0), "Anna", "Ann")
    code, output = render(video, plan, "--hide", "Anna")
    assert code == 0
    assert hidden(video, output, plan) == {0: True, 1: True}
    assert "it shows Anna" in refused(
        capsys, "render", video, plan, "-o", output, "--overwrite", "--keep", "Person 1"
    )


def test_open_doubts_ask_for_a_review(
    video: Path, plan: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(plan, 0)
    keep(plan, 1)  # now the result hides nobody
    assert render(video, plan)[0] == 0
    assert "review required: 1 doubt open" in capsys.readouterr().err
    code, output = render(video, plan, "--require-review", "--json")
    captured = capsys.readouterr()
    assert (code, output.exists()) == (3, True)
    summary = json.loads(captured.out)
    assert (summary["open_doubts"], summary["review_required"]) == (1, True)
    Editor.open(plan).edit("confirm", Target("video", 0), True, "Ann")
    assert render(video, plan, "--require-review")[0] == 0
    assert "review required" not in capsys.readouterr().err


def edits(plan: Path, *options: object) -> int:
    return main(["edits", str(plan), *map(str, options)])


def test_edits_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    editor, plan = opened(tmp_path), tmp_path / "clip.json"
    assert edits(plan) == 0
    assert capsys.readouterr().out.startswith("no edits\nopen: unsure: track 2, frames 50 to 99")
    editor.edit("decide", Target("track", 1), "blur", "Ann")
    editor.edit("decide", Target("card", "alice"), "keep", "Bob\u202e")
    editor.undo("Ann")
    assert edits(plan) == 0
    head, *rest = capsys.readouterr().out.splitlines()
    assert head == "3 edits by Ann and Bob\\u202e"
    first, second, third = (line.split("  ", 4)[1:] for line in rest[:3])
    assert (first[0], first[2:]) == ("1", ["Ann", "track 1: hide (was keep)"])
    assert second[3] == "card alice: keep (was hide 2) [not in effect]"
    assert third[3] == "edit 2: taken back"
    assert edits(plan, "--json") == 0
    listed = json.loads(capsys.readouterr().out)
    assert [one["in_effect"] for one in listed["edits"]] == [True, False, False]
    assert listed["edits"][0]["target"] == {"track": 1}
    assert listed["review_required"] is True
    assert {"track": 2} in [one["target"] for one in listed["open_doubts"]]


def test_edits_are_taken_back_and_made_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    opened(tmp_path)
    plan = tmp_path / "clip.json"
    keep(plan, 0)
    assert edits(plan, "--undo", "--reviewer", "Bob") == 0
    assert "track 0: keep (was hide)" in capsys.readouterr().out
    assert edited_plan(plan).tracks[0].decision == "blur"
    assert edits(plan, "--redo") == 0
    assert edited_plan(plan).tracks[0].decision == "keep"
    reviewers = [edit.reviewer for edit in Editor.open(plan).journal.edits]
    assert reviewers == ["Ann", "Bob", default_reviewer()]
    assert "no edit to make again" in refused(capsys, "edits", plan, "--redo")
    assert "--reviewer has no effect" in refused(capsys, "edits", plan, "--reviewer", "Ann")
    assert edits(plan, "--check") == 0
    assert "3 edits, complete and unchanged" in capsys.readouterr().out


def test_an_edited_plan_is_exported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    editor, plan = opened(tmp_path), tmp_path / "clip.json"
    box = {"first": 3, "last": 9, "keys": [[3, 10, 20, 40, 60]]}
    editor.edit("region", Target("region", 6), box, "Ann")
    editor.edit("decide", Target("track", 0), "keep", "Ann")
    copy = tmp_path / "copy.json"
    assert edits(plan, "--export", copy) == 0
    exported, expected = read_plan(copy), edited_plan(plan)
    for frame in range(100):
        assert np.array_equal(exported.regions_at(frame), expected.regions_at(frame))
    assert exported.tracks[-1].drawn
    assert "already exists" in refused(capsys, "edits", plan, "--export", copy)
    assert "is the input itself" in refused(capsys, "edits", plan, "--export", plan)
