"""Start the process of a child: a fork of this one, or a new interpreter.

A fork starts 0.3 s earlier, because it has the modules of its parent. It is only safe while the
parent has one thread.
"""

import importlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn, Protocol

from app.process import use_one_blas_thread

_ROOT = Path(__file__).parents[2]
"""The folder of the package ``app``."""
_WAIT_SECONDS = 0.02
"""Time between looks at a fork that should end."""


class Process(Protocol):
    """A process that was started here."""

    pid: int
    returncode: int | None
    """Exit code, or the negative number of a signal; None until ``poll`` or ``wait`` sees it."""

    def poll(self) -> int | None:
        """Return the exit code if the process has ended."""
        ...

    def wait(self, timeout: float | None = None) -> int:
        """Wait until the process ends.

        Raises:
            subprocess.TimeoutExpired: it does not end in this time.
        """
        ...

    def kill(self) -> None:
        """Send SIGKILL."""
        ...


def spawn(module: str, descriptors: Sequence[int], *, fork: bool) -> Process:
    """Start a process that calls ``main`` of a module with these descriptors.

    The process has a session of its own: signals of a terminal do not reach it.

    Args:
        module: a module of this project that can also be run with ``python -m``.
        descriptors: the open files that it inherits, besides stdout and stderr.
        fork: start it as a fork.
    """
    return _Fork(module, descriptors) if fork else _new_interpreter(module, descriptors)


def _new_interpreter(module: str, descriptors: Sequence[int]) -> Process:
    path = os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = os.environ | {"PYTHONPATH": path}
    use_one_blas_thread(environment)
    return subprocess.Popen(  # noqa: S603 - a module of our own
        # -P: nothing is imported from the working folder.
        [sys.executable, "-P", "-m", module, *map(str, descriptors)],
        pass_fds=tuple(descriptors),
        stdin=subprocess.DEVNULL,
        env=environment,
        start_new_session=True,
    )


class _Fork:
    """A fork of this process; has the methods of ``subprocess.Popen``."""

    def __init__(self, module: str, descriptors: Sequence[int]) -> None:
        self.returncode: int | None = None
        sys.stdout.flush()
        sys.stderr.flush()
        self.pid = os.fork()
        if not self.pid:
            _run_fork(module, descriptors)

    def poll(self) -> int | None:
        if self.returncode is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:  # somebody else has waited for it
                pid, status = self.pid, 0
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        until = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if until is not None and timeout is not None and time.monotonic() > until:
                raise subprocess.TimeoutExpired("fork", timeout)
            time.sleep(_WAIT_SECONDS)
        return code

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)


def _run_fork(module: str, descriptors: Sequence[int]) -> NoReturn:
    """Become the child: give up what belongs to the parent, and run the module."""
    try:
        os.setsid()
        signal.set_wakeup_fd(-1)
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            if callable(signal.getsignal(number)):
                signal.signal(number, signal.SIG_DFL)
        _keep_open(descriptors)
        importlib.import_module(module).main(*descriptors)
    finally:
        os._exit(1)


def _keep_open(descriptors: Sequence[int]) -> None:
    """Close all files but stdout, stderr and these, and read nothing from stdin."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    last = 2
    for descriptor in sorted(descriptors):
        os.closerange(last + 1, descriptor)
        last = descriptor
    os.closerange(last + 1, os.sysconf("SC_OPEN_MAX"))
