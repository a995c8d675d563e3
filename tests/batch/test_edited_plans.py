"""A plan that a person has edited is rendered or refused, and never overwritten."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from testmedia.fetch import fetch
from tests.job.job_process import Mounts

PHOTO = "obama.jpg"


@pytest.fixture
def mounts(tmp_path: Path) -> Mounts:
    mounts = Mounts(tmp_path / "ml")
    mounts.add_input(fetch(PHOTO))
    assert mounts.run(effect="solid").code == 0
    return mounts


def plan_of(mounts: Mounts) -> Path:
    return mounts.output / "plans" / f"{PHOTO}.plan.json"


def edit(path: Path, change: Callable[[dict[str, Any]], object]) -> str:
    """Change a plan as an editor does, and return its text."""
    plan = json.loads(path.read_text("utf-8"))
    change(plan)
    path.write_text(json.dumps(plan, indent=1), "utf-8")
    return path.read_text("utf-8")


def keep_all(plan: dict[str, Any]) -> None:
    for track in plan["tracks"]:
        track["decision"] = "keep"


def is_hidden(mounts: Mounts) -> bool:
    """Whether the result differs from the input by more than its compression."""
    before, after = (
        np.asarray(Image.open(folder / PHOTO).convert("L"), int)
        for folder in (mounts.input, mounts.output)
    )
    return bool(np.abs(before - after).max() > 100)


def test_an_edited_plan_decides(mounts: Mounts) -> None:
    assert is_hidden(mounts)
    text = edit(plan_of(mounts), keep_all)
    for _ in range(2):
        assert mounts.run(effect="solid").code == 0
        assert plan_of(mounts).read_text("utf-8") == text
        assert not is_hidden(mounts)
    line = mounts.lines()[PHOTO]
    assert (line["edited"], line["earlier"], line["hidden"]) == (True, True, 0)


def test_an_edited_plan_is_found_in_an_earlier_output(mounts: Mounts, tmp_path: Path) -> None:
    text = edit(plan_of(mounts), keep_all)
    other = Mounts(tmp_path / "other")
    other.add_input(fetch(PHOTO))
    for folder in ("plans", "reports"):
        shutil.copytree(mounts.output / folder, other.done / folder)
    assert other.run(effect="solid").code == 0
    assert not is_hidden(other)
    assert plan_of(other).read_text("utf-8") == text


def remove_reports(mounts: Mounts) -> None:
    shutil.rmtree(mounts.output / "reports")
    (mounts.output / PHOTO).unlink()


def other_file(mounts: Mounts) -> None:
    shutil.copyfile(fetch("biden.jpg"), mounts.input / PHOTO)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize(
    ("change", "settings", "reason"),
    [
        (lambda mounts: None, {"effect": "solid", "shots": "none"}, "settings"),
        (other_file, {"effect": "solid"}, "file"),
    ],
)
def test_an_edited_plan_of_other_work_is_refused(
    mounts: Mounts,
    change: Callable[[Mounts], object],
    settings: dict[str, str],
    reason: str,
    known: bool,
) -> None:
    text = edit(plan_of(mounts), keep_all)
    change(mounts)
    if not known:
        remove_reports(mounts)
    assert mounts.run(**settings).code == 1
    line = mounts.lines()[PHOTO]
    assert line["code"] == "bad_plan"
    assert "its plan was edited" in line["message"]
    assert reason in line["message"]
    assert plan_of(mounts).read_text("utf-8") == text
    assert not (mounts.output / PHOTO).exists()


def test_a_plan_that_an_edit_broke_is_refused(mounts: Mounts) -> None:
    plan_of(mounts).write_text("{}")
    assert mounts.run(effect="solid").code == 1
    assert mounts.lines()[PHOTO]["code"] == "bad_plan"
    assert plan_of(mounts).read_text() == "{}"
    plan_of(mounts).unlink()
    assert mounts.run(effect="solid").code == 0
    assert is_hidden(mounts)


def test_a_plan_that_was_not_edited_is_replaced(mounts: Mounts) -> None:
    first = plan_of(mounts).read_text("utf-8")
    assert mounts.run(effect="solid", margin=0.3).code == 0
    second = plan_of(mounts).read_text("utf-8")
    assert second != first
    # Edited after the change: the first settings no longer fit.
    text = edit(plan_of(mounts), keep_all)
    assert mounts.run(effect="solid").code == 1
    assert plan_of(mounts).read_text("utf-8") == text
