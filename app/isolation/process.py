"""One child process: its start, its messages, its memory and its end."""

import os
import signal
import socket
import subprocess
import time
from contextlib import suppress

from app.errors import Crashed, FaceBlurError, MediaTooLarge
from app.isolation.errors import restore_failure
from app.isolation.limits import used_memory
from app.isolation.messages import Channel, ChannelClosed, Message
from app.isolation.spawn import spawn

_POLL_SECONDS = 0.05
"""Time between looks at the child's memory, and at the caller's reasons to stop."""


class ChildEnded(Exception):
    """The child crashed, was killed for its memory, or made no progress and was killed."""

    def __init__(self, error: FaceBlurError) -> None:
        super().__init__(str(error))
        self.error = error


class RequestFailed(Exception):
    """The handler of the child raised an exception; the child is ready for the next request."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class Reports:
    """Receives the reports of a child; the methods of a subclass may raise to stop the work."""

    def progress(self, stage: str, done: int, expected: int | None) -> None:
        """Called with progress, as ``app.types.Progress``; the stage is empty for ``check``."""

    def facts(self, facts: Message) -> None:
        """Called with facts, also of requests that fail later."""

    def check(self) -> None:
        """Called at least every 0.1 s."""


class ChildProcess:
    """A running child.

    Args:
        module: the module that it runs.
        memory: bytes that it may use.
        fork: start it as a fork of this process.
    """

    def __init__(self, module: str, memory: int, *, fork: bool = False) -> None:
        self._memory = memory
        self.has_begun = False
        """Whether the child has taken the last request."""
        ours, theirs = socket.socketpair()
        lifeline, self._lifeline = os.pipe()
        self._channel = Channel(ours)
        try:
            self._process = spawn(module, (theirs.fileno(), lifeline), fork=fork)
        finally:
            theirs.close()
            os.close(lifeline)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the process has not ended."""
        return self._process.poll() is None

    def ask(self, request: Message) -> None:
        """Send a request.

        Raises:
            ChildEnded: the child has ended.
        """
        self.has_begun = False
        try:
            self._channel.send({"kind": "request", "request": request})
        except ChannelClosed:
            raise self._crash() from None

    def wait(self, reports: Reports, stall: float) -> Message:
        """Return the answer to the last request.

        Args:
            reports: receives the reports until then.
            stall: longest time without a report of progress, in seconds.

        Raises:
            RequestFailed: the handler raised an exception.
            ChildEnded: the child ended, or had to be killed.
            Exception: as raised by ``reports``.
        """
        deadline = time.monotonic() + stall
        while True:
            for message in self._receive():
                match message.get("kind"):
                    case "done":
                        return dict(message["answer"])
                    case "failed":
                        raise RequestFailed(restore_failure(message))
                    case "begun":
                        self.has_begun = True
                    case "facts":
                        reports.facts(dict(message["facts"]))
                    case "progress":
                        deadline = time.monotonic() + stall
                        reports.progress(message["stage"], message["done"], message["expected"])
            if used_memory(self.pid) > self._memory:
                raise self._too_large()
            if time.monotonic() > deadline:
                self.kill()
                raise ChildEnded(Crashed(f"the work was stopped: no progress in {stall:g} s"))
            reports.check()

    def stop(self, timeout: float) -> bool:
        """Order the child to stop its work; return whether it did in this time in seconds."""
        deadline = time.monotonic() + timeout
        try:
            self._channel.send({"kind": "stop"})
            while time.monotonic() < deadline:
                for message in self._channel.receive(_POLL_SECONDS):
                    if message.get("kind") in {"done", "failed"}:
                        return True
        except ChannelClosed:
            return False
        return False

    def kill(self) -> None:
        """End the process at once, and free its resources here."""
        with suppress(ProcessLookupError):
            self._process.kill()
        self._process.wait()
        self._channel.close()
        with suppress(OSError):  # closed already
            os.close(self._lifeline)
        self._lifeline = -1

    def _crash(self) -> ChildEnded:
        """Return the error for a child that has closed its channel."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        code = self._process.returncode
        self.kill()
        if code is not None and code < 0:
            return ChildEnded(Crashed(f"{_CRASHED} ({_signal_name(-code)}); {_ADVICE}"))
        return ChildEnded(Crashed(f"{_CRASHED}; {_ADVICE}"))

    def _receive(self) -> list[Message]:
        try:
            return self._channel.receive(_POLL_SECONDS)
        except ChannelClosed:
            raise self._crash() from None

    def _too_large(self) -> ChildEnded:
        self.kill()
        limit = f"{self._memory / 2**20:.0f} MiB of memory"
        return ChildEnded(MediaTooLarge(f"the work needs more than the {limit} that are allowed"))


_CRASHED = "the process that reads the media crashed"
_ADVICE = "the media is damaged, or the machine has too little memory"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"
