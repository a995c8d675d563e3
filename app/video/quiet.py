"""Keep libraries in C from writing to stderr, where only messages to the user belong."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_STDERR = 2
_LOCK = threading.Lock()
"""Two threads that save and restore the descriptor in turn would lose it."""


@contextmanager
def silenced() -> Iterator[None]:
    """Discard what the process writes to its descriptor of stderr during the block.

    libtiff prints its view of every damaged file, and has no setting against it that Pillow passes
    on. All threads are silenced, so keep the block short.
    """
    with _LOCK:
        try:
            kept = os.dup(_STDERR)
        except OSError:  # closed: there is nothing to silence
            yield
            return
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, _STDERR)
            yield
        finally:
            os.dup2(kept, _STDERR)
            os.close(kept)
            os.close(nowhere)
