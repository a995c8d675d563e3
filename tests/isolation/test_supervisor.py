"""The supervisor against a child that crashes, hangs, and uses too much memory."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.errors import (
    Crashed,
    Interrupted,
    MediaTooLarge,
    ModelError,
    PeopleError,
    UnsupportedMedia,
)
from app.isolation import ChildFault, Limits, Reports, Supervisor
from app.isolation.messages import Message
from tests.processes import is_running, wait_until

MODULE = "tests.isolation.toy_child"
MEMORY = 256 * 2**20
ROOT = Path(__file__).parents[2]


@pytest.fixture
def supervisor() -> Iterator[Supervisor]:
    one = Supervisor(MODULE, {}, Limits(memory=MEMORY, stall=2))
    yield one
    one.close()


def ask(supervisor: Supervisor, do: str, *values: object) -> object:
    return supervisor.run({"do": do, "with": values})["value"]


def test_a_child_serves_many_requests(supervisor: Supervisor) -> None:
    first = supervisor.load()
    assert [ask(supervisor, "echo", text) for text in ("a", "ü" * 100_000)] == ["a", "ü" * 100_000]
    assert supervisor.process == first["pid"]


@pytest.mark.parametrize("do", ["crash", "kill", "exit"])
def test_a_crash_fails_its_request_and_the_next_one_works(supervisor: Supervisor, do: str) -> None:
    first = supervisor.load()
    with pytest.raises(Crashed, match="crashed"):
        ask(supervisor, do)
    assert ask(supervisor, "echo", "again") == "again"
    assert supervisor.process not in {None, first["pid"]}


def test_the_signal_of_a_crash_is_named(supervisor: Supervisor) -> None:
    with pytest.raises(Crashed, match="SIGSEGV"):
        ask(supervisor, "crash")


def test_a_hang_that_holds_the_interpreter_is_ended(supervisor: Supervisor) -> None:
    began = time.monotonic()
    with pytest.raises(Crashed, match="no progress in 2 s"):
        ask(supervisor, "hang")
    assert 2 <= time.monotonic() - began < 4
    assert ask(supervisor, "echo", "again") == "again"


@pytest.mark.parametrize(("do", "size"), [("fill", 8 * MEMORY), ("map", 2 * MEMORY)])
def test_too_much_memory_fails_the_request(supervisor: Supervisor, do: str, size: int) -> None:
    with pytest.raises(MediaTooLarge, match="memory"):
        ask(supervisor, do, size)
    assert ask(supervisor, "fill", MEMORY // 8) == MEMORY // 8


def test_a_file_cannot_grow_over_its_limit(supervisor: Supervisor, tmp_path: Path) -> None:
    path = tmp_path / "file"
    with pytest.raises(ChildFault) as caught:
        ask(supervisor, "write", str(path), 1000, 5000)
    assert caught.value.description["error"] == "OSError"
    assert path.stat().st_size <= 1000


def test_errors_arrive_with_their_type(supervisor: Supervisor) -> None:
    with pytest.raises(UnsupportedMedia, match="not a video"):
        ask(supervisor, "refuse")
    with pytest.raises(ChildFault) as caught:
        ask(supervisor, "fail")
    assert caught.value.description["error"] == "ZeroDivisionError"
    assert any("toy_child.py" in line for line in caught.value.description["where"])


def test_failures_of_loading_arrive(supervisor: Supervisor) -> None:
    with pytest.raises(PeopleError, match="no photos"):
        Supervisor(MODULE, {"fail": True}, Limits(memory=MEMORY)).load()
    with pytest.raises(ModelError, match="SIGSEGV"):
        Supervisor(MODULE, {"crash": True}, Limits(memory=MEMORY)).load()


def test_a_fork_is_a_child_like_any_other(tmp_path: Path) -> None:
    # A fork has the memory of its parent, here that of all tests.
    supervisor = Supervisor(MODULE, {}, Limits(memory=8 * MEMORY, stall=2))
    with (tmp_path / "held").open("wb") as held:
        supervisor.launch(fork=True)
        first = supervisor.load()["pid"]
        open_files = {str(one.readlink()) for one in Path(f"/proc/{first}/fd").iterdir()}
    assert held.name not in open_files, "a fork keeps no file of its parent open"
    assert ask(supervisor, "echo", "x") == "x"
    with pytest.raises(Crashed, match="SIGSEGV"):
        ask(supervisor, "crash")
    assert ask(supervisor, "echo", "again") == "again"
    assert supervisor.process != first
    supervisor.close()


def test_a_new_child_gets_the_answer_of_the_first(supervisor: Supervisor) -> None:
    first = supervisor.load()
    with pytest.raises(Crashed):
        ask(supervisor, "kill")
    assert supervisor.load()["given"] == first


class Collect(Reports):
    def __init__(self) -> None:
        self.told: list[Message] = []
        self.steps: list[tuple[str, int]] = []

    def facts(self, facts: Message) -> None:
        self.told.append(facts)

    def progress(self, stage: str, done: int, expected: int | None) -> None:
        self.steps.append((stage, done))
        if done > 50:
            raise Interrupted("enough")


def test_reports_arrive_and_may_stop_the_work(supervisor: Supervisor) -> None:
    reports = Collect()
    first = supervisor.load()
    supervisor.run({"do": "echo", "with": ["abc"]}, reports)
    assert reports.told == [{"length": 3}]
    began = time.monotonic()
    with pytest.raises(Interrupted, match="enough"):
        supervisor.run({"do": "spin"}, reports)
    assert time.monotonic() - began < 3
    assert reports.steps == sorted(reports.steps)
    # The child stopped by itself, and serves on.
    assert (ask(supervisor, "echo", "x"), supervisor.process) == ("x", first["pid"])


def test_a_child_that_does_not_stop_is_killed(
    supervisor: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.isolation.supervisor._STOP_SECONDS", 0.3)
    supervisor.load()

    class Stop(Reports):
        def check(self) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        supervisor.run({"do": "hang"}, Stop())
    assert ask(supervisor, "echo", "again") == "again"


def test_an_idle_child_is_revived(supervisor: Supervisor) -> None:
    first = supervisor.load()["pid"]
    os.kill(first, signal.SIGKILL)
    os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
    assert supervisor.revive()
    assert supervisor.process != first
    assert ask(supervisor, "echo", "again") == "again"


def test_requests_of_many_threads_run_one_after_the_other(supervisor: Supervisor) -> None:
    answers: list[object] = []
    threads = [
        threading.Thread(target=lambda n=n: answers.append(ask(supervisor, "echo", str(n))))
        for n in range(5)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(str, answers)) == list("01234")


def test_limits_of_the_child(supervisor: Supervisor) -> None:
    limits = ask(supervisor, "limits")
    assert isinstance(limits, dict)
    assert (limits["core"], limits["oom"]) == (0, "1000")
    assert 0 < limits["files"] <= 512
    assert limits["path"] == str(ROOT)


PARENT = f"""
import os, sys
from app.isolation import Limits, Supervisor
child = Supervisor({MODULE!r}, {{}}, Limits(memory={MEMORY}))
print(child.load()["pid"], flush=True)
child.run({{"do": sys.argv[1]}})
"""


@pytest.mark.parametrize("do", ["hang", "spin"])
def test_the_child_ends_with_its_parent(do: str) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, do], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    time.sleep(0.3)
    assert Path(f"/proc/{child}").exists()
    parent.kill()
    parent.wait()
    parent.stdout.close()
    wait_until(lambda: not is_running(child), 5)


@pytest.mark.parametrize(
    "modules", ["app.web.server, app.web.routes, app.web.service", "app.batch.run"]
)
def test_parents_have_no_library_that_reads_media(modules: str) -> None:
    program = f"import sys, {modules}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert not {"av", "cv2", "PIL", "onnxruntime"} & set(done.stdout.split())
