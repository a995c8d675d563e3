"""Edits beside a plan of a batch: they are applied or refused, and never lost."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from app.cli import main
from app.edits import Editor, Target, edits_path
from testmedia.fetch import fetch
from tests.batch.test_edited_plans import PHOTO, is_hidden, plan_of
from tests.job.job_process import Mounts


@pytest.fixture
def mounts(tmp_path: Path) -> Mounts:
    mounts = Mounts(tmp_path / "ml")
    mounts.add_input(fetch(PHOTO))
    assert mounts.run(effect="solid").code == 0
    return mounts


def decide(plan: Path, decision: str) -> bytes:
    """Decide about the face of the photo, and return the journal."""
    Editor.open(plan).edit("decide", Target("track", 0), decision, "Ann")
    return edits_path(plan).read_bytes()


def test_edits_decide_and_new_ones_are_noticed(mounts: Mounts) -> None:
    plan = plan_of(mounts)
    before = plan.read_bytes()
    line = mounts.lines()[PHOTO]
    assert (line["edited"], line["edits"], line["edits_sha256"]) == (False, 0, None)
    assert is_hidden(mounts)
    for edits, decision in enumerate(("keep", "blur", "keep"), 1):
        decide(plan, decision)
        run = mounts.run(effect="solid")
        assert run.code == 0
        line = mounts.lines()[PHOTO]
        assert (line["edited"], line["earlier"]) == (True, False)
        assert (line["edits"], line["reviewers"]) == (edits, ["Ann"])
        # A result that hides nobody has to be confirmed.
        assert line["review_required"] is (decision == "keep")
        logged = run.line("file")
        assert (logged["edits"], logged["open_doubts"]) == (edits, int(decision == "keep"))
        assert "Ann" not in str(run.log)
        assert is_hidden(mounts) is (decision == "blur")
    assert mounts.run(effect="solid").code == 0
    assert mounts.lines()[PHOTO]["earlier"] is True
    assert plan.read_bytes() == before
    edits_path(plan).unlink()
    assert mounts.run(effect="solid").code == 0
    assert is_hidden(mounts)


def later_output(mounts: Mounts, folder: Path) -> Mounts:
    """The folders of a later job, with the plans and reports of an earlier one."""
    later = Mounts(folder)
    later.add_input(fetch(PHOTO))
    for name in ("plans", "reports"):
        shutil.copytree(mounts.output / name, later.done / name)
    return later


def test_edits_of_an_earlier_output_are_used_and_copied(mounts: Mounts, tmp_path: Path) -> None:
    decide(plan_of(mounts), "keep")
    later = later_output(mounts, tmp_path / "later")
    assert later.run(effect="solid").code == 0
    assert not is_hidden(later)
    place, earlier = plan_of(later), plan_of(mounts)
    assert place.read_bytes() == earlier.read_bytes()
    assert edits_path(place).read_bytes() == edits_path(earlier).read_bytes()


def test_of_two_journals_the_one_that_continues_the_other_counts(
    mounts: Mounts, tmp_path: Path
) -> None:
    decide(plan_of(mounts), "keep")
    later = later_output(mounts, tmp_path / "later")
    assert later.run(effect="solid").code == 0
    old, new = (later.done / "plans" / plan_of(later).name, plan_of(later))
    longer = decide(new, "blur")
    assert later.run(effect="solid").code == 0
    assert is_hidden(later)
    decide(old, "keep")
    assert later.run(effect="solid").code == 1
    line = later.lines()[PHOTO]
    assert (line["code"], "differ" in line["message"]) == ("bad_edits", True)
    assert not (later.output / PHOTO).exists()
    assert edits_path(new).read_bytes() == longer


def test_damaged_edits_fail_the_file(mounts: Mounts) -> None:
    other = mounts.add_input(fetch("biden.jpg"))
    plan, journal = plan_of(mounts), edits_path(plan_of(mounts))
    decide(plan, "keep")
    decide(plan, "blur")
    before = plan.read_bytes()
    damaged = journal.read_bytes().replace(b'"Ann"', b'"Eve"', 1)
    journal.write_bytes(damaged)
    assert mounts.run(effect="solid").code == 1
    line = mounts.lines()[PHOTO]
    assert line["code"] == "bad_edits"
    assert "line 1: was changed" in line["message"]
    assert not (mounts.output / PHOTO).exists()
    assert mounts.lines()[other.name]["status"] == "done"
    assert (plan.read_bytes(), journal.read_bytes()) == (before, damaged)


def other_photo(mounts: Mounts) -> None:
    shutil.copyfile(fetch("biden.jpg"), mounts.input / PHOTO)


def no_plan(mounts: Mounts) -> None:
    plan_of(mounts).unlink()


def no_change(_: Mounts) -> None:
    """Only the settings are others."""


@pytest.mark.parametrize(
    ("change", "settings", "code"),
    [
        (no_change, {"effect": "solid", "shots": "none"}, "bad_plan"),
        (other_photo, {"effect": "solid"}, "bad_plan"),
        (no_plan, {"effect": "solid"}, "bad_edits"),
    ],
)
def test_edits_of_other_work_are_refused_and_stay(
    mounts: Mounts, change: Callable[[Mounts], None], settings: dict[str, str], code: str
) -> None:
    """The plan is as it was analysed, so without its edits it would be analysed anew."""
    journal = decide(plan_of(mounts), "keep")
    change(mounts)
    plans = sorted(path.name for path in (mounts.output / "plans").iterdir())
    assert mounts.run(**settings).code == 1
    assert mounts.lines()[PHOTO]["code"] == code
    assert not (mounts.output / PHOTO).exists()
    assert edits_path(plan_of(mounts)).read_bytes() == journal
    assert sorted(path.name for path in (mounts.output / "plans").iterdir()) == plans


def test_the_command_line_applies_edits_in_folders(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, output = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    shutil.copyfile(fetch(PHOTO), folder / PHOTO)
    command = ["blur", str(folder), "-o", str(output), "--effect", "solid", "--json"]
    assert main([*command, "--require-review"]) == 0
    assert json.loads(capsys.readouterr().out)["edits"] == 0
    decide(output / "plans" / f"{PHOTO}.plan.json", "keep")
    assert main([*command, "--require-review"]) == 3
    for earlier in (False, True):
        summary = json.loads(capsys.readouterr().out)
        assert (summary["hidden"], summary["edits"], summary["reviewers"]) == (0, 1, ["Ann"])
        assert (summary["review_required"], summary["earlier"]) == (True, earlier)
        assert main(command) == 0
