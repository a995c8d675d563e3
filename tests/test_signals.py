"""Signals end the work, also if they arrive while a library reads through our readers."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.process import stoppable
from app.video import open_source, pinned
from testmedia.videos import VideoSpec

INSIDE = """
def inside(work):
    work()
"""


def run_inside(*, called_by_library: bool) -> Callable[[Callable[[], None]], None]:
    """Return a function of a module that a library calls, or of another one."""
    space: dict[str, Any] = {"CALLED_BY_LIBRARY": called_by_library}
    exec(INSIDE, space)
    inside: Callable[[Callable[[], None]], None] = space["inside"]
    return inside


def interrupt() -> None:
    os.kill(os.getpid(), signal.SIGINT)
    for _ in range(100):
        """Give the interpreter occasions to call the handler."""


def wait_for_interrupt() -> None:
    end = time.monotonic() + 5
    while time.monotonic() < end:
        time.sleep(0.001)


def test_a_signal_raises_at_once() -> None:
    with stoppable() as stop, pytest.raises(KeyboardInterrupt):
        run_inside(called_by_library=False)(interrupt)
    assert stop.received


def test_a_signal_during_a_callback_raises_afterwards() -> None:
    with stoppable() as stop:
        run_inside(called_by_library=True)(interrupt)
        assert not stop.received
        with pytest.raises(KeyboardInterrupt):
            wait_for_interrupt()
        assert stop.received


def test_a_signal_while_a_video_is_read_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    source = VideoSpec(count=40).write(tmp_path / "in.mp4")
    real, calls = pinned.PinnedFile.read_block, list[int]()

    def interrupted(self: pinned.PinnedFile, number: int) -> bytes:
        calls.append(number)
        if len(calls) == 2:
            interrupt()
        return real(self, number)

    def read() -> None:
        assert sum(1 for _ in open_source(source)) == 40
        wait_for_interrupt()

    monkeypatch.setattr(pinned.PinnedFile, "read_block", interrupted)
    with stoppable(), pytest.raises(KeyboardInterrupt):
        read()
    assert len(calls) >= 2
    assert "ignored" not in capfd.readouterr().err
