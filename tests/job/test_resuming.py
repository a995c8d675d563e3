"""Run the job again: after an interruption, a crash, a change, or with another output."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.batch.records import Records
from testmedia.clip import Clip
from testmedia.fetch import fetch
from tests.job.job_process import Mounts, wait_for_end
from tests.processes import children, wait_until

Clips = Callable[[str], Clip]


@pytest.fixture
def mounts(tmp_path: Path) -> Mounts:
    return Mounts(tmp_path / "ml")


def temporary_files(mounts: Mounts) -> Iterator[Path]:
    """Yield the unfinished results; a plan is unfinished for a moment only."""
    return (path for path in mounts.output.rglob(".*.part") if "plans" not in path.parts)


def wait(process: "subprocess.Popen[str]", until: Callable[[], bool]) -> None:
    """Wait for a condition that the process brings about; kill it after a timeout."""
    end = time.monotonic() + 60
    while not until():
        if process.poll() is not None or time.monotonic() > end:
            process.kill()
            pytest.fail(f"the condition did not become true: {process.communicate()}")
        time.sleep(0.005)


def run_with_signal(mounts: Mounts, number: signal.Signals, files: int = 1) -> int:
    """Send a signal while the job renders the file of this number; return the exit code."""
    process = mounts.start()
    wait(process, lambda: len(mounts.begun_files()) == files and any(temporary_files(mounts)))
    process.send_signal(number)
    if number == signal.SIGKILL:
        process.communicate()
        return process.returncode
    return wait_for_end(process).code


def test_finished_files_are_not_processed_again(mounts: Mounts) -> None:
    photo = mounts.add_input(fetch("obama.jpg"), "x/photo.jpg")
    mounts.add_input(fetch("carphone.mp4"))
    assert mounts.run().code == 0
    first, lines = mounts.outputs(), mounts.lines()
    assert not any(line["earlier"] for line in lines.values())

    assert mounts.run(threads=1).code == 0
    assert mounts.outputs() == first
    again = mounts.lines()
    assert all(line["earlier"] for line in again.values())
    assert again["carphone.mp4"]["result_sha256"] == lines["carphone.mp4"]["result_sha256"]

    # A changed result and a changed input are processed again.
    (mounts.output / "carphone.mp4").write_bytes(b"something else")
    shutil.copyfile(fetch("biden.jpg"), photo)
    assert mounts.run().code == 0
    second = mounts.outputs()
    assert second.keys() == first.keys()
    # The plan of the lost result is used again.
    kept = {"plans/carphone.mp4.plan.json"}
    assert {name for name in first if second[name] == first[name]} == kept
    assert mounts.lines()["carphone.mp4"]["result_sha256"] == lines["carphone.mp4"]["result_sha256"]

    # Other settings.
    assert mounts.run(effect="solid").code == 0
    third = mounts.outputs()
    assert not any(third[name] == second[name] for name in second)


def test_other_photos_cause_new_work(mounts: Mounts) -> None:
    mounts.add_input(fetch("obama.jpg"))
    mounts.people.mkdir()
    shutil.copyfile(fetch("obama2.jpg"), mounts.people / "obama.jpg")
    assert mounts.run().code == 0
    assert mounts.lines()["obama.jpg"]["hidden"] == 1
    first = mounts.outputs()
    # A new name for the same photo does not.
    (mounts.people / "obama.jpg").rename(mounts.people / "barack.jpg")
    assert mounts.run().code == 0
    assert mounts.outputs() == first
    shutil.copyfile(fetch("biden.jpg"), mounts.people / "barack.jpg")
    assert mounts.run().code == 0
    assert mounts.lines()["obama.jpg"]["hidden"] == 0
    assert mounts.outputs()["obama.jpg"] != first["obama.jpg"]


def test_a_failure_removes_the_earlier_result(mounts: Mounts) -> None:
    video = mounts.add_input(fetch("carphone.mp4"))
    assert mounts.run().code == 0
    video.write_bytes(video.read_bytes()[:20_000])
    end = mounts.run(effect="solid")
    assert end.code == 1
    assert mounts.outputs() == {}
    assert mounts.lines()["carphone.mp4"]["code"] == "broken_media"


def test_a_signal_leaves_no_partial_result(mounts: Mounts, clip: Clips) -> None:
    mounts.add_input(fetch("obama.jpg"), "1.jpg")
    mounts.add_input(clip("edges").path, "2.mp4")
    assert run_with_signal(mounts, signal.SIGTERM, files=2) == 130
    assert "run it again" in mounts.message.read_text()
    first = mounts.outputs()
    plans = {"plans/1.jpg.plan.json", "plans/2.mp4.plan.json"}
    assert first.keys() == {"1.jpg"} | plans, "the analysis was complete"
    assert mounts.lines().keys() == {"1.jpg"}
    assert mounts.run().code == 0
    assert mounts.outputs().items() >= first.items()
    assert mounts.lines()["1.jpg"]["earlier"]
    assert not mounts.lines()["2.mp4"]["earlier"]


def test_a_file_that_crashes_the_process_is_given_up(mounts: Mounts, clip: Clips) -> None:
    mounts.add_input(clip("edges").path, "1.mp4")
    mounts.add_input(fetch("obama.jpg"), "2.jpg")
    assert run_with_signal(mounts, signal.SIGKILL, files=1) == -signal.SIGKILL
    assert list(temporary_files(mounts))
    # A signal is not a crash, and the run removes the temporary files of the crash.
    assert run_with_signal(mounts, signal.SIGTERM, files=2) == 130
    assert list(temporary_files(mounts)) == []
    assert run_with_signal(mounts, signal.SIGKILL, files=3) == -signal.SIGKILL
    assert list(temporary_files(mounts))
    report = mounts.output / "reports" / "local.jsonl"
    report.write_text('{"file": "1.mp4", "stat')

    end = mounts.run()
    assert end.code == 1
    assert list(temporary_files(mounts)) == []
    text = (mounts.output / "reports" / "local.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()[1:]]
    assert [(line["file"], line["status"], line["code"]) for line in lines] == [
        ("1.mp4", "failed", "crashed"),
        ("2.jpg", "done", "ok"),
    ]
    assert mounts.outputs().keys() == {"2.jpg", "plans/2.jpg.plan.json"}


def test_a_crash_of_the_child_fails_one_file(mounts: Mounts, clip: Clips) -> None:
    """The child is killed while it writes the first result."""
    mounts.add_input(clip("edges").path, "1.mp4")
    mounts.add_input(fetch("obama.jpg"), "2.jpg")
    process = mounts.start(sampling="every")
    wait_until(lambda: any(temporary_files(mounts)))
    (child,) = children(process.pid)
    os.kill(child, signal.SIGSEGV)
    end = wait_for_end(process)
    assert end.code == 1
    lines = mounts.lines()
    assert (lines["1.mp4"]["status"], lines["1.mp4"]["code"]) == ("failed", "crashed")
    assert "SIGSEGV" in lines["1.mp4"]["message"]
    assert lines["2.jpg"]["status"] == "done"
    assert list(temporary_files(mounts)) == []
    assert mounts.outputs().keys() == {"2.jpg", "plans/2.jpg.plan.json"}


def test_a_result_without_a_report_is_made_again(mounts: Mounts) -> None:
    """The process was killed after it wrote the result and before it wrote the report."""
    mounts.add_input(fetch("obama.jpg"))
    assert mounts.run().code == 0
    (mounts.output / "reports" / "local.jsonl").unlink()
    begun = mounts.output / "reports" / "local.begun"
    begun.write_text(begun.read_text().splitlines(keepends=True)[0])
    first = mounts.outputs()
    assert mounts.run().code == 0
    assert mounts.outputs().keys() == first.keys()
    assert mounts.outputs()["obama.jpg"] != first["obama.jpg"]


def test_a_run_uses_the_reports_of_all_hosts(mounts: Mounts, tmp_path: Path) -> None:
    for host, file in (("algo-1", "obama.jpg"), ("algo-2", "biden.jpg")):
        mounts.set_host(host)
        given = mounts.add_input(fetch(file))
        assert mounts.run().code == 0
        assert mounts.lines(host).keys() == {file}
        given.unlink()
    assert mounts.outputs().keys() == {
        f"{prefix}{file}{suffix}"
        for file in ("obama.jpg", "biden.jpg")
        for prefix, suffix in (("", ""), ("plans/", ".plan.json"))
    }

    # Another output: three inputs, and reports about two of them.
    other = Mounts(tmp_path / "other")
    for folder in ("plans", "reports"):
        shutil.copytree(mounts.output / folder, other.done / folder)
    for file in ("obama.jpg", "biden.jpg", "obama3.jpg"):
        other.add_input(fetch(file))
    assert other.run().code == 0
    assert other.outputs().keys() == {"obama3.jpg", "plans/obama3.jpg.plan.json"}
    earlier = {name: line["earlier"] for name, line in other.lines().items()}
    assert earlier == {"obama.jpg": True, "biden.jpg": True, "obama3.jpg": False}

    # A report without its plan does not count.
    (other.done / "plans" / "biden.jpg.plan.json").unlink()
    shutil.rmtree(other.output)
    assert other.run().code == 0
    assert {"biden.jpg", "obama3.jpg"} <= other.outputs().keys()
    assert "obama.jpg" not in other.outputs()


def test_two_runs_cannot_share_an_output(mounts: Mounts) -> None:
    mounts.add_input(fetch("obama.jpg"))
    with Records(mounts.output, "local"):
        end = mounts.run()
    assert end.code == 2
    assert "another run" in end.line("job failed")["message"]
    assert mounts.outputs() == {}
    assert mounts.run().code == 0
