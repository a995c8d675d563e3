"""The process of a command: its argument parser, its signals, and its exit."""

import argparse
import math
import os
import re
import signal
import sys
import threading
import time
import weakref
from collections.abc import Iterator, MutableMapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from app.errors import UsageError

_THREADS = Path("/proc/self/task")
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_CLEANUP_SECONDS = 5.0
"""Time after a signal in which further signals are ignored, so that cleanup can finish."""
_RETRY_SECONDS = 0.02
"""Time after which a signal is sent again; a reader returns sooner."""


_OPTION = "argument (?P<option>[^:]*): "
_REWORDED = {
    r"the following arguments are required: (?P<names>.*)": r"missing: \g<names>",
    r"one of the arguments (?P<names>.*) is required": r"missing: one of \g<names>",
    _OPTION + r"expected (one|at least one) argument": r"\g<option>: its value is missing",
    _OPTION + r"expected .*": r"\g<option>: has too few or too many values",
    _OPTION + r"invalid choice: (?P<value>.*) \(choose from '?(?P<choices>.*?)'?\)": (
        r"\g<option>: there is no \g<value>; choose from \g<choices>"
    ),
    _OPTION + r"invalid int value: (?P<value>.*)": (r"\g<option>: \g<value> is not a whole number"),
    _OPTION + r"invalid float value: (?P<value>.*)": r"\g<option>: \g<value> is not a number",
    _OPTION + r"invalid \S+ value: (?P<value>.*)": r"\g<option>: \g<value> is not possible",
    _OPTION + r"(?P<ours>must be .*)": r"\g<option>: \g<ours>",
    _OPTION + r"ignored explicit argument (?P<value>.*)": (
        r"\g<option>: takes no value; remove \g<value>"
    ),
    _OPTION + r"not allowed with argument (?P<other>.*)": (
        r"\g<option> and \g<other> exclude each other; remove one"
    ),
    r"ambiguous option: (?P<option>.*) could match (?P<names>.*)": (
        r"\g<option> is not the full name of an option: \g<names>"
    ),
}
"""Our words for the messages of ``argparse``, by patterns of these."""
_NEUTRAL = "the options cannot be understood"


class ArgumentParser(argparse.ArgumentParser):
    """An argument parser that reports errors as ``UsageError``: one line, exit code 2.

    The line is in our words, which are the same in all versions of Python, and names the help of
    the command that was used.
    """

    def error(self, message: str) -> NoReturn:
        """Raise the error instead of printing the usage.

        Raises:
            UsageError: always.
        """
        raise UsageError(f"{_reworded(message)} (see {self.prog} --help)")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """Parse arguments, and refuse unknown ones here, where the command is known.

        Raises:
            UsageError: the arguments are wrong.
        """
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(_unknown(unknown))
        return found, unknown


def _unknown(arguments: Sequence[str]) -> str:
    """Describe arguments that no option and no place takes."""
    options = [one.partition("=")[0] for one in arguments if one.startswith("-")]
    if options:
        return f"there is no option {', '.join(options)}"
    return f"too many arguments: {' '.join(arguments)}; remove them"


def _reworded(message: str) -> str:
    """Return a message of ``argparse`` in our words; one of ours stays as it is.

    >>> _reworded("argument --effect: invalid choice: 'dots' (choose from 'blur', 'solid')")
    "--effect: there is no 'dots'; choose from blur, solid"
    """
    for pattern, words in _REWORDED.items():
        if match := re.fullmatch(pattern, message, re.DOTALL):
            return match.expand(words).replace("', '", ", ")
    return _NEUTRAL if message.startswith("argument ") else message


class StopSignal:
    """The handler of SIGINT and SIGTERM; remembers that a signal arrived."""

    def __init__(self) -> None:
        self._last = -math.inf

    @property
    def received(self) -> bool:
        """Whether a signal arrived, even if its ``KeyboardInterrupt`` was caught since."""
        return self._last > -math.inf

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Raise ``KeyboardInterrupt``, unless a signal was handled a moment ago.

        A library that calls a reader of ours would drop the exception, and go on. So a signal that
        arrives there is sent again a moment later.
        """
        if _is_called_by_library(frame):
            later = threading.Timer(_RETRY_SECONDS, os.kill, (os.getpid(), number))
            later.daemon = True
            later.start()
            return
        if time.monotonic() - self._last > _CLEANUP_SECONDS:
            self._last = time.monotonic()
            raise KeyboardInterrupt


def _is_called_by_library(frame: FrameType | None) -> bool:
    """Whether a frame or one of its callers belongs to a reader of ours, or to a finalizer.

    Readers are in modules with ``CALLED_BY_LIBRARY``. Python drops the exceptions of finalizers.
    """
    while frame is not None:
        if frame.f_globals.get("CALLED_BY_LIBRARY") or frame.f_globals is vars(weakref):
            return True
        frame = frame.f_back
    return False


@contextmanager
def stoppable() -> Iterator[StopSignal]:
    """Raise ``KeyboardInterrupt`` on SIGINT or SIGTERM inside the block.

    Partial output is removed while the exception propagates. Signals that follow soon are ignored,
    because they would interrupt that cleanup.
    """
    stop = StopSignal()
    before = {number: signal.signal(number, stop.handle) for number in _SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run_at_ordinary_priority() -> None:
    """Give up a real-time priority of all threads of this process.

    SVT-AV1 takes the highest one for itself and its caller when it runs as root. Then other
    processes, also the one that answers pings, get no time on a busy machine.
    """
    if not hasattr(os, "sched_setscheduler"):
        return
    for thread in _THREADS.iterdir():
        with suppress(OSError):  # it has ended, or the system does not allow it
            os.sched_setscheduler(int(thread.name), os.SCHED_OTHER, os.sched_param(0))


def use_one_blas_thread(environment: MutableMapping[str, str] = os.environ) -> None:
    """Let numpy multiply in one thread, unless the user has chosen; call it before numpy is loaded.

    Our matrices are small, a face or a few: threads wait for each other longer than they work, and
    waiting takes CPU time.
    """
    environment.setdefault("OPENBLAS_NUM_THREADS", "1")


def exit_now(code: int) -> NoReturn:
    """Flush stdout and stderr, and end the process without waiting for threads.

    Interrupted encoders work on for seconds; nothing needs their output.
    """
    with suppress(OSError):  # the reader of the pipe is gone
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)
