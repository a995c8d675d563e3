"""Whose turn it is, and what has to stop: one job at a time, and a bounded number of waiters."""

import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from app.errors import Busy, Interrupted

Check = Callable[[], None]
"""Raises ``Interrupted`` when the work is in vain."""

_POLL = 0.1
"""Seconds between looks at whether a waiting request is still wanted."""
_LOOK = 0.25
"""Seconds between looks at whether the client is still there."""
_GONE = select.POLLHUP | select.POLLERR | getattr(select, "POLLRDHUP", 0)


class Caller:
    """The other end of a request, as far as its socket tells.

    Args:
        connection: None where there is none to look at, as in tests of the routes alone.
        idle: seconds after which a client that sends or takes nothing is given up.
    """

    def __init__(self, connection: socket.socket | None, idle: float) -> None:
        self._connection = connection
        self._looked = 0.0
        self._poll = select.poll()
        self._polling = threading.Lock()
        if connection is not None:
            connection.settimeout(idle)
            self._poll.register(connection, _GONE)

    def check(self) -> None:
        """See whether the client waits for the answer; cheap enough for every frame.

        Raises:
            Interrupted: it closed the connection.
        """
        now = time.monotonic()
        if now - self._looked < _LOOK:
            return
        self._looked = now
        with self._polling:  # media that lies elsewhere is read in a thread, which checks too
            gone = self._connection is not None and self._poll.poll(0)
        if gone:
            raise Interrupted("the client went away")

    def hang_up(self) -> None:
        """Read no more: whoever waits for bytes of the client gets the end of them."""
        if self._connection is not None:
            try:
                self._connection.shutdown(socket.SHUT_RD)
            except OSError:  # closed already, which is as good
                return


class Runner:
    """Admits requests, gives them the device one after the other, and stops them at the end.

    Args:
        queue: how many may wait.
        patience: seconds that one waits, at most.
    """

    def __init__(self, queue: int, patience: float) -> None:
        self._places = threading.BoundedSemaphore(queue + 1)
        self._device = threading.Lock()
        self._patience = patience
        self._deadline: float | None = None
        self._receiving: set[Caller] = set()

    @property
    def stopping(self) -> bool:
        """Whether the service has been told to end."""
        return self._deadline is not None

    def stop(self, grace: float) -> None:
        """Let running work go on for ``grace`` seconds, and all else end now.

        Called from a signal handler: it takes no lock.
        """
        self._deadline = time.monotonic() + grace
        for caller in tuple(self._receiving):
            caller.hang_up()

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """A place in the queue, or at the device.

        Raises:
            Busy: there is none.
            Interrupted: the service is about to end.
        """
        self._check_open()
        if not self._places.acquire(blocking=False):
            raise Busy("other requests are being worked on; try again later")
        try:
            yield
        finally:
            self._places.release()

    @contextmanager
    def receiving(self, caller: Caller) -> Iterator[Check]:
        """The time in which a body is read; the check is that for each block of it."""
        self._receiving.add(caller)
        try:
            self._check_open()
            yield self._check_open
        finally:
            self._receiving.discard(caller)

    @contextmanager
    def turn(self, caller: Caller) -> Iterator[Check]:
        """The device; the check is that for each frame.

        Raises:
            Busy: it was not free in time.
            Interrupted: waiting is in vain.
        """
        until = time.monotonic() + self._patience
        while not self._device.acquire(timeout=_POLL):
            self._check_open()
            caller.check()
            if time.monotonic() >= until:
                raise Busy("the request before this one takes long; try again later")

        def check() -> None:
            if self._deadline is not None and time.monotonic() >= self._deadline:
                raise Interrupted("the service is being stopped; try again later")
            caller.check()

        try:
            yield check
        finally:
            self._device.release()

    def _check_open(self) -> None:
        if self.stopping:
            raise Interrupted("the service is being stopped; try again later")
