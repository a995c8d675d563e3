"""The process of a command: its argument parser, its signals, and its exit."""

import argparse
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

from app.errors import UsageError

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_CLEANUP_SECONDS = 5.0
"""Time after a signal in which further signals are ignored, so that cleanup can finish."""
_RETRY_SECONDS = 0.02
"""Time after which a signal is sent again; a reader returns sooner."""


class ArgumentParser(argparse.ArgumentParser):
    """An argument parser that reports errors as ``UsageError``: one line, exit code 2."""

    def error(self, message: str) -> NoReturn:
        """Raise the error instead of printing the usage.

        Raises:
            UsageError: always.
        """
        raise UsageError(f"{message} (see {self.prog} --help)")


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
    """Whether a frame, or one of its callers, is code of a module with ``CALLED_BY_LIBRARY``."""
    while frame is not None:
        if frame.f_globals.get("CALLED_BY_LIBRARY"):
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


def exit_now(code: int) -> NoReturn:
    """Flush stdout and stderr, and end the process without waiting for threads.

    Interrupted encoders work on for seconds; nothing needs their output.
    """
    with suppress(OSError):  # the reader of the pipe is gone
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)
