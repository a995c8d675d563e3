"""The job again: after an interruption, a crash, a change, and elsewhere."""

import json
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.job.records import Records
from testmedia.clip import Clip
from testmedia.fetch import fetch
from tests.job.starting import Mounts, ended

Clips = Callable[[str], Clip]


@pytest.fixture
def mounts(tmp_path: Path) -> Mounts:
    return Mounts(tmp_path / "ml")


def parts(mounts: Mounts) -> Iterator[Path]:
    return mounts.output.rglob(".*.part")


def wait(process: "subprocess.Popen[str]", until: Callable[[], bool]) -> None:
    """Wait for something that a process does; one that does not is ended."""
    end = time.monotonic() + 60
    while not until():
        if process.poll() is not None or time.monotonic() > end:
            process.kill()
            pytest.fail(f"it has not come about: {process.communicate()}")
        time.sleep(0.005)


def signalled(mounts: Mounts, number: signal.Signals, files: int = 1) -> int:
    """The exit code of a run that gets a signal while it renders the file of this number."""
    process = mounts.start()
    wait(process, lambda: len(mounts.begun()) == files and any(parts(mounts)))
    process.send_signal(number)
    if number == signal.SIGKILL:
        process.communicate()
        return process.returncode
    return ended(process).code


def test_what_is_there_is_not_done_again(mounts: Mounts) -> None:
    photo = mounts.give(fetch("obama.jpg"), "x/photo.jpg")
    mounts.give(fetch("carphone.mp4"))
    assert mounts.run().code == 0
    first, lines = mounts.made(), mounts.lines()
    assert not any(line["earlier"] for line in lines.values())

    assert mounts.run(threads=1).code == 0
    assert mounts.made() == first
    again = mounts.lines()
    assert all(line["earlier"] for line in again.values())
    assert again["carphone.mp4"]["result_sha256"] == lines["carphone.mp4"]["result_sha256"]

    # Names are not trusted: not that of the result, nor that of the file.
    (mounts.output / "carphone.mp4").write_bytes(b"something else")
    shutil.copyfile(fetch("biden.jpg"), photo)
    assert mounts.run().code == 0
    second = mounts.made()
    assert second.keys() == first.keys()
    assert all(second[name] != first[name] for name in first)

    # Nor that of the plan.
    (mounts.output / "plans" / "carphone.mp4.plan.json").write_text("{}")
    assert mounts.run().code == 0
    third = mounts.made()
    assert {name for name in third if third[name] == second[name]} == {
        "x/photo.jpg",
        "plans/x/photo.jpg.plan.json",
    }

    # Other settings are other work.
    assert mounts.run(effect="solid").code == 0
    fourth = mounts.made()
    assert not any(fourth[name] == third[name] for name in third)


def test_other_photos_are_other_work(mounts: Mounts) -> None:
    mounts.give(fetch("obama.jpg"))
    mounts.people.mkdir()
    shutil.copyfile(fetch("obama2.jpg"), mounts.people / "obama.jpg")
    assert mounts.run().code == 0
    assert mounts.lines()["obama.jpg"]["hidden"] == 1
    first = mounts.made()
    # The same photo of somebody with another name says nothing new.
    (mounts.people / "obama.jpg").rename(mounts.people / "barack.jpg")
    assert mounts.run().code == 0
    assert mounts.made() == first
    shutil.copyfile(fetch("biden.jpg"), mounts.people / "barack.jpg")
    assert mounts.run().code == 0
    assert mounts.lines()["obama.jpg"]["hidden"] == 0
    assert mounts.made()["obama.jpg"] != first["obama.jpg"]


def test_a_file_that_fails_now_loses_what_an_earlier_run_made_of_it(mounts: Mounts) -> None:
    film = mounts.give(fetch("carphone.mp4"))
    assert mounts.run().code == 0
    film.write_bytes(film.read_bytes()[:20_000])
    end = mounts.run(effect="solid")
    assert end.code == 1
    assert mounts.made() == {}
    assert mounts.lines()["carphone.mp4"]["code"] == "broken_media"


def test_a_signal_leaves_nothing_half_done(mounts: Mounts, clip: Clips) -> None:
    mounts.give(fetch("obama.jpg"), "1.jpg")
    mounts.give(clip("edges").path, "2.mp4")
    assert signalled(mounts, signal.SIGTERM, files=2) == 130
    assert "run it again" in mounts.message.read_text()
    first = mounts.made()
    assert first.keys() == {"1.jpg", "plans/1.jpg.plan.json"}
    assert mounts.lines().keys() == {"1.jpg"}
    assert mounts.run().code == 0
    assert mounts.made().items() >= first.items()
    assert mounts.lines()["1.jpg"]["earlier"]
    assert not mounts.lines()["2.mp4"]["earlier"]


def test_a_file_that_ends_the_process_is_not_tried_for_ever(mounts: Mounts, clip: Clips) -> None:
    mounts.give(clip("edges").path, "1.mp4")
    mounts.give(fetch("obama.jpg"), "2.jpg")
    assert signalled(mounts, signal.SIGKILL, files=1) == -signal.SIGKILL
    assert list(parts(mounts))
    # A signal is no crash, and cleans up what the crash has left.
    assert signalled(mounts, signal.SIGTERM, files=2) == 130
    assert list(parts(mounts)) == []
    assert signalled(mounts, signal.SIGKILL, files=3) == -signal.SIGKILL
    assert list(parts(mounts))
    report = mounts.output / "reports" / "local.jsonl"
    report.write_text('{"file": "1.mp4", "stat')

    end = mounts.run()
    assert end.code == 1
    assert list(parts(mounts)) == []
    text = (mounts.output / "reports" / "local.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()[1:]]
    assert [(line["file"], line["status"], line["code"]) for line in lines] == [
        ("1.mp4", "failed", "crashed"),
        ("2.jpg", "done", "ok"),
    ]
    assert mounts.made().keys() == {"2.jpg", "plans/2.jpg.plan.json"}


def test_what_a_killed_process_had_named_is_made_again(mounts: Mounts) -> None:
    """Killed after the result got its name and before the report told so."""
    mounts.give(fetch("obama.jpg"))
    assert mounts.run().code == 0
    (mounts.output / "reports" / "local.jsonl").unlink()
    begun = mounts.output / "reports" / "local.begun"
    begun.write_text(begun.read_text().splitlines(keepends=True)[0])
    first = mounts.made()
    assert mounts.run().code == 0
    assert mounts.made().keys() == first.keys()
    assert mounts.made()["obama.jpg"] != first["obama.jpg"]


def test_another_host_goes_on_with_the_reports_of_all(mounts: Mounts, tmp_path: Path) -> None:
    for host, file in (("algo-1", "obama.jpg"), ("algo-2", "biden.jpg")):
        mounts.be(host)
        given = mounts.give(fetch(file))
        assert mounts.run().code == 0
        assert mounts.lines(host).keys() == {file}
        given.unlink()
    assert mounts.made().keys() == {
        f"{prefix}{file}{suffix}"
        for file in ("obama.jpg", "biden.jpg")
        for prefix, suffix in (("", ""), ("plans/", ".plan.json"))
    }

    # Elsewhere, with three files and what is told of two of them.
    other = Mounts(tmp_path / "other")
    for folder in ("plans", "reports"):
        shutil.copytree(mounts.output / folder, other.done / folder)
    for file in ("obama.jpg", "biden.jpg", "obama3.jpg"):
        other.give(fetch(file))
    assert other.run().code == 0
    assert other.made().keys() == {"obama3.jpg", "plans/obama3.jpg.plan.json"}
    earlier = {name: line["earlier"] for name, line in other.lines().items()}
    assert earlier == {"obama.jpg": True, "biden.jpg": True, "obama3.jpg": False}

    # A report without its plan is not believed.
    (other.done / "plans" / "biden.jpg.plan.json").unlink()
    shutil.rmtree(other.output)
    assert other.run().code == 0
    assert {"biden.jpg", "obama3.jpg"} <= other.made().keys()
    assert "obama.jpg" not in other.made()


def test_two_runs_do_not_share_an_output(mounts: Mounts) -> None:
    mounts.give(fetch("obama.jpg"))
    with Records(mounts.output, "local"):
        end = mounts.run()
    assert end.code == 2
    assert "another run" in end.line("stopped")["message"]
    assert mounts.made() == {}
    assert mounts.run().code == 0
