"""Ctrl-C and SIGTERM: stop at once, take away what was begun."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stoppable() -> Iterator[None]:
    """Raise ``KeyboardInterrupt`` at the first signal, and ignore the ones that follow it.

    Cleaning up goes on while it propagates; a second signal would break into that and leave files.
    """

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a handler's arguments
        for one in _SIGNALS:
            signal.signal(one, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
