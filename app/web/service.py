"""The state that all requests share, and the queue for the device.

One request at a time uses the device, and a limited number of others wait. Work stops when its
client disconnects, or when the service ends.
"""

import select
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.config import ServiceSettings, Settings
from app.errors import Busy, Interrupted, PeopleError
from app.identity.gallery import Gallery
from app.logs import LOGGER, redact
from app.pipeline import DOUBTFUL_PHOTOS, FaceBlur, load_parts, photo_labels
from app.storage import S3Uri, parse_prefixes, people_folder
from app.web.metrics import Metrics

Check = Callable[[], None]
"""Raises ``Interrupted`` if the work should stop."""

_QUEUE_POLL_SECONDS = 0.1
"""Time between checks whether a waiting request should stop."""
_CLIENT_POLL_SECONDS = 0.25
"""Time between checks whether the client is connected."""
_DISCONNECTED = select.POLLHUP | select.POLLERR | getattr(select, "POLLRDHUP", 0)
_STOPPING = "the service is stopping; try again later"


class Client:
    """The connection to the client of one request.

    Args:
        connection: its socket; None without a server, as in tests of the routes.
        idle: seconds after which a client that sends or receives nothing is disconnected.
    """

    def __init__(self, connection: socket.socket | None, idle: float) -> None:
        self._connection = connection
        self._checked = 0.0
        self._poll = select.poll()
        self._polling = threading.Lock()
        if connection is not None:
            connection.settimeout(idle)
            self._poll.register(connection, _DISCONNECTED)

    def check(self) -> None:
        """Check that the client is still connected; cheap enough for every frame.

        Raises:
            Interrupted: the client has closed the connection.
        """
        now = time.monotonic()
        if now - self._checked < _CLIENT_POLL_SECONDS:
            return
        self._checked = now
        with self._polling:  # threads that read media from S3 check, too
            disconnected = self._connection is not None and self._poll.poll(0)
        if disconnected:
            raise Interrupted("the client disconnected")

    def stop_reading(self) -> None:
        """Make all reads from the client return the end of the data."""
        if self._connection is not None:
            try:
                self._connection.shutdown(socket.SHUT_RD)
            except OSError:  # closed already
                return


class Runner:
    """Admits requests, gives them the device one after the other, and stops them at the end.

    Args:
        queue: number of requests that may wait.
        queue_seconds: longest time that a request waits.
    """

    def __init__(self, queue: int, queue_seconds: float) -> None:
        self._admissions = threading.BoundedSemaphore(queue + 1)
        self._device = threading.Lock()
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
    def use_device(self, client: Client) -> Iterator[Check]:
        """Wait for the device and hold it; yields the check for each frame.

        Raises:
            Busy: the device was not free in time.
            Interrupted: the client disconnected, or the service is stopping.
        """
        until = time.monotonic() + self._queue_seconds
        while not self._device.acquire(timeout=_QUEUE_POLL_SECONDS):
            self._check_open()
            client.check()
            if time.monotonic() >= until:
                raise Busy("the previous request takes too long; try again later")

        def check() -> None:
            if self._deadline is not None and time.monotonic() >= self._deadline:
                raise Interrupted(_STOPPING)
            client.check()

        try:
            yield check
        finally:
            self._device.release()

    def _check_open(self) -> None:
        if self.stopping:
            raise Interrupted(_STOPPING)


@dataclass(frozen=True, slots=True)
class Service:
    """The session, limits and state of one service.

    ``face_blur`` has the models, recogniser included, and the people that the service knows.
    ``tickets`` are the S3 prefixes that tickets may use.
    """

    face_blur: FaceBlur
    limits: ServiceSettings
    spool: Path
    runner: Runner
    metrics: Metrics
    tickets: tuple[S3Uri, ...] = ()

    @property
    def settings(self) -> Settings:
        """The settings of the service; a request may change some of them for itself."""
        return self.face_blur.settings

    def stop(self, grace: float) -> None:
        """Stop soon: see ``Runner.stop``."""
        self.runner.stop(grace)


def load_service(
    settings: Settings, limits: ServiceSettings, people: str | None, spool: Path
) -> Service:
    """Load models and people, and clear the spool of files that a crash has left.

    Raises:
        ModelError: a pack is missing or damaged, or the device is not available.
        PlaceError: a prefix for tickets is invalid.
        PeopleError: a photo cannot be read or used; the message contains no names.
    """
    tickets = parse_prefixes(limits.tickets)
    for leftover in spool.iterdir():
        shutil.rmtree(leftover, ignore_errors=True)
    # Any request may bring photos of people, so the recogniser is always loaded.
    parts = load_parts(settings, recogniser=True)
    face_blur = FaceBlur(settings, parts=parts, gallery=Gallery(()))
    if people is not None:
        face_blur = _with_people(face_blur, people, spool)
    runner = Runner(limits.queue, limits.queue_seconds)
    return Service(face_blur, limits, spool, runner, Metrics(), tickets)


def _with_people(face_blur: FaceBlur, people: str, spool: Path) -> FaceBlur:
    with people_folder(people, spool) as folder:
        try:
            session = face_blur.with_people(folder)
        except PeopleError as error:
            message = redact(str(error), photo_labels(folder))
            raise PeopleError(f"{message}; check them with: face-blur people") from error
    if doubts := session.gallery.doubts:
        fields = {"doubts": len(doubts), "message": DOUBTFUL_PHOTOS}
        LOGGER.warning("doubtful photos", extra={"fields": fields})
    return session
