"""Ctrl-C and SIGTERM: stop at once, take away what was begun."""

import math
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_PATIENCE = 5.0
"""Seconds of cleaning up that a second signal does not disturb."""


class Stop:
    """Whether a signal has come; what raised for it may have been dealt with since."""

    def __init__(self) -> None:
        self._last = -math.inf

    @property
    def asked(self) -> bool:
        """Whether the process is to end."""
        return self._last > -math.inf

    def handle(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - as handlers are
        """Raise, unless that has been done a moment ago."""
        if time.monotonic() - self._last > _PATIENCE:
            self._last = time.monotonic()
            raise KeyboardInterrupt


@contextmanager
def stoppable() -> Iterator[Stop]:
    """Raise ``KeyboardInterrupt`` at a signal, and ignore those that follow it soon.

    Files are taken away while it propagates; a second signal would break into that and leave some.
    """
    stop = Stop()
    before = {number: signal.signal(number, stop.handle) for number in _SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
