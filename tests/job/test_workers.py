"""The job with two workers: files at the same time, each on its own."""

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from app.files import sha256_of
from testmedia.fetch import fetch
from tests.job.job_process import Mounts, wait_for_end
from tests.processes import children, cpu_ticks, is_running, wait_until

NAMES = ("1.mp4", "2.mp4")
SETTINGS: dict[str, object] = {"workers": 2, "threads": 1, "sampling": "every"}
"""With one thread each, a result has always the same bytes."""
BUSY_TICKS = 10
"""CPU time that shows that a child works on a file."""


@pytest.fixture
def mounts(tmp_path: Path) -> Mounts:
    return prepare(tmp_path / "ml")


def prepare(root: Path) -> Mounts:
    """Make the folders of a job with two videos."""
    made = Mounts(root)
    for name in NAMES:
        made.add_input(fetch("carphone.mp4"), name)
    return made


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The hash of each result and plan if one file is in work at a time."""
    made = prepare(tmp_path_factory.mktemp("alone"))
    assert made.run(**SETTINGS | {"workers": 1}).code == 0
    assert events(made) == ["begun", "analysed", "ended"] * 2
    return hashes(made)


def hashes(mounts: Mounts) -> dict[str, str]:
    return {name: sha256_of(mounts.output / name) for name in mounts.outputs()}


def history(mounts: Mounts) -> list[dict[str, Any]]:
    """Return the events of all runs: begun, analysed, ended."""
    path = mounts.output / "reports" / "local.begun"
    text = path.read_text("ascii") if path.exists() else ""
    return [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]


def events(mounts: Mounts) -> list[str]:
    return [event["event"] for event in history(mounts)]


def begun(mounts: Mounts) -> list[str]:
    return [event["file"] for event in history(mounts) if event["event"] == "begun"]


def start_both(mounts: Mounts) -> "tuple[subprocess.Popen[str], list[int]]":
    """Start a job, and wait until both of its children compute; return it and them."""
    process = mounts.start(**SETTINGS)
    wait_until(lambda: len(begun(mounts)) == 2)
    workers = children(process.pid)
    assert len(workers) == 2
    before = {one: cpu_ticks(one) for one in workers}
    wait_until(lambda: all(cpu_ticks(one) > before[one] + BUSY_TICKS for one in workers))
    assert "ended" not in events(mounts), "both files are in work"
    return process, workers


def file_of(child: int) -> str:
    """Return the name of the input that a child has open."""
    (name,) = {one.readlink().name for one in Path(f"/proc/{child}/fd").iterdir()} & set(NAMES)
    return name


def unfinished(mounts: Mounts) -> list[Path]:
    return list(mounts.output.rglob(".*"))


def test_two_files_at_once_have_the_results_of_one_at_a_time(
    mounts: Mounts, alone: dict[str, str]
) -> None:
    end = mounts.run(**SETTINGS)
    assert (end.code, end.line("ready")["workers"]) == (0, 2)
    found = events(mounts)
    assert found.index("ended") > max(at for at, event in enumerate(found) if event == "begun")
    times = {(one["file"], one["event"]): one["time"] for one in history(mounts)}
    last_begin = max(times[name, "begun"] for name in NAMES)
    assert last_begin < min(times[name, "analysed"] for name in NAMES)
    assert hashes(mounts) == alone
    lines = mounts.lines()
    assert {name: line["status"] for name, line in lines.items()} == dict.fromkeys(NAMES, "done")
    assert lines["1.mp4"].keys() == lines["2.mp4"].keys()
    assert mounts.run(**SETTINGS | {"workers": 1, "threads": 2}).code == 0
    assert all(line["earlier"] for line in mounts.lines().values())


def test_there_are_no_more_workers_than_files(tmp_path: Path) -> None:
    made = Mounts(tmp_path / "ml")
    made.add_input(fetch("obama.jpg"))
    end = made.run(workers=8)
    assert (end.code, end.line("ready")["workers"]) == (0, 1)


def test_a_crash_leaves_the_other_file_alone(mounts: Mounts, alone: dict[str, str]) -> None:
    process, workers = start_both(mounts)
    lost = file_of(workers[0])
    os.kill(workers[0], signal.SIGSEGV)
    end = wait_for_end(process)
    assert end.code == 1
    (kept,) = set(NAMES) - {lost}
    lines = mounts.lines()
    assert (lines[lost]["status"], lines[lost]["code"]) == ("failed", "crashed")
    assert lines[kept]["status"] == "done"
    assert hashes(mounts) == {name: alone[name] for name in (kept, f"plans/{kept}.plan.json")}
    assert unfinished(mounts) == []


def test_a_signal_stops_both_and_the_next_run_goes_on(
    mounts: Mounts, alone: dict[str, str]
) -> None:
    process, workers = start_both(mounts)
    process.send_signal(signal.SIGTERM)
    assert wait_for_end(process).code == 130
    assert not any(map(is_running, workers))
    assert unfinished(mounts) == []
    assert not [name for name in NAMES if (mounts.output / name).exists()]
    assert mounts.run(**SETTINGS).code == 0
    assert hashes(mounts) == alone


def kill(process: "subprocess.Popen[str]", workers: list[int]) -> None:
    process.kill()
    process.communicate()
    wait_until(lambda: not any(map(is_running, workers)))


def test_files_of_a_killed_job_are_tried_again_one_by_one(
    mounts: Mounts, alone: dict[str, str]
) -> None:
    """If one of them ends the job each time, only that one is given up."""
    kill(*start_both(mounts))
    process = mounts.start(**SETTINGS)
    wait_until(lambda: len(begun(mounts)) == 3)
    workers = children(process.pid)
    busy = {one: cpu_ticks(one) for one in workers}
    wait_until(lambda: any(cpu_ticks(one) > busy[one] + BUSY_TICKS for one in workers))
    assert begun(mounts)[2:] == ["1.mp4"], "the other one waits"
    kill(process, workers)

    assert mounts.run(**SETTINGS).code == 1
    lines = mounts.lines()
    assert {name: line["code"] for name, line in lines.items()} == {
        "1.mp4": "crashed",
        "2.mp4": "ok",
    }
    assert hashes(mounts) == {name: alone[name] for name in ("2.mp4", "plans/2.mp4.plan.json")}
    assert unfinished(mounts) == []
