"""``face-blur report``: exit codes, the page, and everything that is refused."""

from collections.abc import Callable
from pathlib import Path

import pytest

from app.cli import main
from app.config import Settings
from app.edits import Editor, Target
from app.pipeline import FaceBlur, LastResult
from app.review.rendering import record_path
from testmedia.clip import Clip
from tests.reporting.reports import opened, two_people

Make = Callable[[str], Clip]


def run(folder: Path, clip: Clip, *options: str) -> int:
    output = str(folder / "report.html")
    plan = str(folder / "plan.json")
    return main(["report", plan, "--media", str(clip.path), "-o", output, *options])


def test_the_code_is_3_until_the_review_is_done(
    clip: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calm, page = clip("calm"), tmp_path / "report.html"
    opened(two_people(calm), tmp_path)
    assert run(tmp_path, calm) == 0
    assert "Done: every doubt is confirmed" in capsys.readouterr().err
    editor = Editor.open(tmp_path / "plan.json")
    for number in (0, 1):
        editor.edit("decide", Target("track", number), "keep", "Ann")
    assert run(tmp_path, calm, "--overwrite") == 3
    assert "report.html: Review required: 1 open doubt" in capsys.readouterr().err
    assert "the result hides nobody" in page.read_text("utf-8")


def test_the_effect_is_that_of_the_settings(clip: Make, tmp_path: Path) -> None:
    calm = clip("calm")
    opened(two_people(calm), tmp_path)
    assert run(tmp_path, calm, "--set", "effect=solid", "--quiet") == 0
    page = (tmp_path / "report.html").read_text("utf-8")
    assert "<dt>effect</dt><dd>solid</dd>" in page


def test_edits_elsewhere_can_be_named(clip: Make, tmp_path: Path) -> None:
    calm = clip("calm")
    editor = opened(two_people(calm), tmp_path)
    editor.edit("decide", Target("track", 1), "blur", "Ann")
    editor.journal.path.rename(tmp_path / "other.jsonl")
    assert run(tmp_path, calm, "--edits", str(tmp_path / "other.jsonl")) == 0
    assert "Reviewed by Ann." in (tmp_path / "report.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("-o", "plan.json", "--overwrite"), "is the input itself"),
        (("-o", "report.txt"), "a name that ends in .html"),
        (("--edits", "missing.jsonl"), "does not exist"),
        (("--result", "missing.mp4"), "missing.mp4"),
        (("--set", "blur=others"), "has no effect on report"),
        (("--set", "sampling=every"), "has no effect on report"),
        (("--people", "missing"), "missing"),
    ],
)
def test_wrong_calls_are_refused_and_leave_no_page(
    options: tuple[str, ...],
    message: str,
    clip: Make,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    calm = clip("calm")
    opened(two_people(calm), tmp_path)
    monkeypatch.chdir(tmp_path)
    plan = (tmp_path / "plan.json").read_bytes()
    assert run(tmp_path, calm, *options) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert not list(tmp_path.glob("*.html"))
    assert (tmp_path / "plan.json").read_bytes() == plan


def test_an_existing_page_stays_unless_it_may_be_replaced(clip: Make, tmp_path: Path) -> None:
    calm, page = clip("calm"), tmp_path / "report.html"
    opened(two_people(calm), tmp_path)
    page.write_text("old")
    assert run(tmp_path, calm) == 2
    assert page.read_text() == "old"
    assert run(tmp_path, calm, "--overwrite") == 0
    assert "<!doctype html>" in page.read_text("utf-8")


def test_the_record_of_a_review_tells_which_result_is_the_last(
    clip: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calm, result = clip("calm"), tmp_path / "hidden.mp4"
    editor = opened(two_people(calm), tmp_path)
    plan = editor.review.to_plan()
    FaceBlur(Settings()).render(calm.path, plan, result)
    LastResult.of(result, plan, Settings()).write(record_path(tmp_path / "plan.json"))
    assert run(tmp_path, calm, "--result", str(result)) == 0
    editor.edit("decide", Target("track", 1), "blur", "Ann")
    assert run(tmp_path, calm, "--result", str(result), "--overwrite") == 3
    assert "60 frames must be hidden in another way" in capsys.readouterr().err
