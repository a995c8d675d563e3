"""The job with FACE_BLUR_VERIFY=1."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from app.plan import read_plan, write_plan
from bench.scoring import score
from testmedia.clip import Clip
from testmedia.leaks import with_gap
from tests.job.job_process import Mounts

Clips = Callable[[str], Clip]


@pytest.fixture
def mounts(tmp_path: Path) -> Mounts:
    return Mounts(tmp_path / "ml")


def newest_line(mounts: Mounts) -> dict[str, object]:
    lines = (mounts.output / "reports" / "local.jsonl").read_text("utf-8").splitlines()
    line: dict[str, object] = json.loads(lines[-1])
    return line


def test_results_are_looked_at_and_an_edited_plan_is_not_changed(
    mounts: Mounts, clip: Clips
) -> None:
    mounts.add_input(clip("calm").path, "a.mp4")
    assert mounts.run(verify=1).code == 0
    line = newest_line(mounts)
    verification = line["verification"]
    assert isinstance(verification, dict)
    assert (verification["frames"], verification["repaired"]) == (60, [])
    assert mounts.run(verify=1).code == 0
    assert newest_line(mounts)["earlier"]
    assert mounts.run(verify=0).code == 0
    assert not newest_line(mounts)["earlier"], "a result that was not looked at is another result"

    path = mounts.output / "plans" / "a.mp4.plan.json"
    assert mounts.run(verify=1).code == 0
    plan = read_plan(path)
    write_plan(with_gap(plan, plan.tracks[0].id, 27, 5), path)
    edited = path.read_bytes()
    assert mounts.run(verify=1).code == 0
    line = newest_line(mounts)
    assert (line["edited"], line["earlier"]) == (True, False)
    verification = line["verification"]
    assert isinstance(verification, dict)
    assert verification["repaired"] == [{"kind": "unknown", "first": 27, "last": 31}]
    assert path.read_bytes() == edited
    truth = clip("calm").truth
    assert score(clip("calm").path, mounts.output / "a.mp4", truth, truth.people).leaks == 0
    assert sorted(one.name for one in mounts.output.iterdir()) == ["a.mp4", "plans", "reports"]
