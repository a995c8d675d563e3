"""The state that all requests share, and the queue for the engines.

Each engine works on one request at a time, and a limited number of requests wait. Work stops when
its client disconnects, or when the service ends.
"""

import os
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.config import ServiceSettings, Settings
from app.errors import Busy, Interrupted
from app.isolation import Pool, Supervisor
from app.storage import S3Uri, parse_prefixes
from app.web.metrics import Metrics

Check = Callable[[], None]
"""Raises ``Interrupted`` if the work should stop."""

_QUEUE_POLL_SECONDS = 0.1
"""Time between checks whether a waiting request should stop."""
_CLIENT_POLL_SECONDS = 0.25
"""Time between checks whether the client is connected."""
_DISCONNECTED = select.POLLHUP | select.POLLERR | getattr(select, "POLLRDHUP", 0)
"""Events of a client that has closed its sending half, or has gone."""
_STOPPING = "the service is stopping; try again later"


class Client:
    """The connection to the client of one request.

    Args:
        connection: its socket; None without a server, as in tests of the routes.
        idle: seconds after which a client that sends or receives nothing is disconnected.
        protocol: the version of HTTP.
    """

    def __init__(
        self, connection: socket.socket | None, idle: float, protocol: str = "HTTP/1.1"
    ) -> None:
        self._connection = connection
        self._checked = 0.0
        self._poll = select.poll()
        self._may_probe = protocol == "HTTP/1.1"
        if connection is not None:
            connection.settimeout(idle)
            self._poll.register(connection, _DISCONNECTED)

    def check(self) -> None:
        """Check that the client is still connected; cheap enough for many calls a second.

        A client may close its sending half and wait for the response. To tell it from one that has
        gone, it is sent "100 Continue" once, which HTTP/1.1 allows at any time before a response:
        the system of a client that has gone rejects it.

        Raises:
            Interrupted: the client has closed the connection.
        """
        now = time.monotonic()
        if self._connection is None or now - self._checked < _CLIENT_POLL_SECONDS:
            return
        self._checked = now
        events = sum(event for _, event in self._poll.poll(0))
        if events & (select.POLLHUP | select.POLLERR):
            raise Interrupted("the client disconnected")
        if events and self._may_probe:
            self._may_probe = False
            with suppress(OSError):  # the next check finds the reason
                self._connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")

    def stop_reading(self) -> None:
        """Make all reads from the client return the end of the data."""
        if self._connection is not None:
            try:
                self._connection.shutdown(socket.SHUT_RD)
            except OSError:  # closed already
                return


class Runner:
    """Admits requests, gives each of them an engine, and stops them at the end.

    Args:
        engines: the child processes that work on media; each has one request at a time.
        queue: number of requests that may wait for an engine.
        queue_seconds: longest time that a request waits.
    """

    def __init__(self, engines: Pool, queue: int, queue_seconds: float) -> None:
        self._engines = engines
        self._admissions = threading.BoundedSemaphore(len(engines) + queue)
        self._queue_seconds = queue_seconds
        self._deadline: float | None = None
        self._receiving: set[Client] = set()

    @property
    def stopping(self) -> bool:
        """Whether the service is about to end."""
        return self._deadline is not None

    def stop(self, grace: float) -> None:
        """Stop running work after ``grace`` seconds, and everything else now.

        Called from a signal handler, so it must not take a lock.
        """
        self._deadline = time.monotonic() + grace
        for client in tuple(self._receiving):
            client.stop_reading()

    @contextmanager
    def admit(self) -> Iterator[None]:
        """Hold a place in the queue.

        Raises:
            Busy: the queue is full.
            Interrupted: the service is stopping.
        """
        self._check_open()
        if not self._admissions.acquire(blocking=False):
            raise Busy("other requests are being processed; try again later")
        try:
            yield
        finally:
            self._admissions.release()

    @contextmanager
    def receive(self, client: Client) -> Iterator[Check]:
        """Allow ``stop`` to interrupt the upload; yields the check for each block of the body."""
        self._receiving.add(client)
        try:
            self._check_open()
            yield self._check_open
        finally:
            self._receiving.discard(client)

    @contextmanager
    def use_engine(self, client: Client) -> Iterator[tuple[Supervisor, Check]]:
        """Wait for an engine and hold it; yields it, and the check for each frame.

        Raises:
            Busy: no engine was free in time.
            Interrupted: the client disconnected, or the service is stopping.
        """
        until = time.monotonic() + self._queue_seconds
        while (engine := self._engines.take(_QUEUE_POLL_SECONDS)) is None:
            self._check_open()
            client.check()
            if time.monotonic() >= until:
                raise Busy("the previous request takes too long; try again later")

        def check() -> None:
            if self._deadline is not None and time.monotonic() >= self._deadline:
                raise Interrupted(_STOPPING)
            client.check()

        try:
            yield engine, check
        finally:
            self._engines.put_back(engine)

    def _check_open(self) -> None:
        if self.stopping:
            raise Interrupted(_STOPPING)


@dataclass(frozen=True, slots=True)
class Service:
    """The settings, limits and state of one service.

    ``engines`` work in child processes that have the models and the people of the service.
    ``tickets`` are the S3 prefixes that tickets may use.
    """

    settings: Settings
    limits: ServiceSettings
    spool: Path
    engines: Pool
    runner: Runner
    metrics: Metrics
    tickets: tuple[S3Uri, ...] = ()

    @property
    def ready(self) -> bool:
        """Whether a request can succeed: not about to stop, a spool for it, an engine to work."""
        return (
            not self.runner.stopping
            and os.access(self.spool, os.W_OK | os.X_OK)
            and self.engines.revive()
        )

    def stop(self, grace: float) -> None:
        """Stop soon: see ``Runner.stop``."""
        self.runner.stop(grace)


def load_service(
    engines: Pool, settings: Settings, limits: ServiceSettings, spool: Path
) -> tuple[Service, dict[str, Any]]:
    """Wait until all engines have loaded models and people.

    Returns:
        The service, and facts for the log: the number of its people, and its devices.

    Raises:
        ModelError: a pack is missing or damaged, or the device is not available.
        PlaceError: a prefix for tickets is invalid.
        PeopleError: a photo cannot be read or used; the message contains no names.
    """
    tickets = parse_prefixes(limits.tickets)
    runner = Runner(engines, limits.queue, limits.queue_seconds)
    loaded = engines.load()
    service = Service(settings, limits, spool, engines, runner, Metrics(), tickets)
    return service, {"people": len(loaded["people"]), **loaded["devices"]}
