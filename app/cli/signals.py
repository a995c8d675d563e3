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


@contextmanager
def stoppable() -> Iterator[None]:
    """Raise ``KeyboardInterrupt`` at a signal, and ignore those that follow it soon.

    Files are taken away while it propagates; a second signal would break into that and leave some.
    """
    stopped = -math.inf

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a handler's arguments
        nonlocal stopped
        if time.monotonic() - stopped > _PATIENCE:
            stopped = time.monotonic()
            raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
