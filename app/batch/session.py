"""The sessions of a batch: child processes with models and people that work on its files."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from app.config import ServiceSettings, Settings
from app.errors import Interrupted
from app.isolation import Limits, Pool, Reports, Supervisor
from app.isolation.limits import reading_seconds
from app.isolation.messages import Message
from app.types import Progress
from app.workers import Shares

_ENGINE = "app.batch.engine"


@dataclass(frozen=True, slots=True)
class Start:
    """The facts with which the children start, and their number.

    ``people`` is the folder or ``s3://`` prefix of the photos, or None. With ``names`` messages may
    contain the names of photos, and the children write no log.
    """

    settings: Settings
    limits: Limits
    people: str | None
    names: bool = False
    workers: int = 1

    def message(self) -> Message:
        """Return the message for each child."""
        settings = self.settings.model_dump(mode="json", exclude_unset=True)
        return {"settings": settings, "people": self.people, "names": self.names}


def shared_start(
    settings: Settings,
    limits: ServiceSettings,
    people: str | None,
    *,
    files: int,
    names: bool = False,
) -> Start:
    """Return the start of workers that share the machine, as many as these settings allow.

    Args:
        settings: of the work; their ``threads`` apply to each worker.
        limits: the number of workers, and the limits of each.
        people: the folder or ``s3://`` prefix of the photos, or None.
        files: the number of files; there are not more workers.
        names: messages may contain names.
    """
    shares = Shares.of_machine(
        limits.workers, memory=limits.max_memory, threads=settings.threads, tasks=files
    )
    shared = settings if shares.threads is None else settings.changed(threads=shares.threads)
    bounds = Limits(shares.memory, limits.stall_seconds)
    return Start(shared, bounds, people, names, shares.workers)


class _WorkReports(Reports):
    def __init__(self, progress: Progress | None, stopping: threading.Event) -> None:
        self._progress, self._stopping = progress, stopping

    def progress(self, stage: str, done: int, expected: int | None) -> None:
        if self._progress is not None and stage:
            self._progress(stage, done, expected)

    def check(self) -> None:
        if self._stopping.is_set():
            raise Interrupted("interrupted")


class Session:
    """A supervised child process with models and people.

    Args:
        child: the child, which has loaded everything.
        facts: its answer: see ``app.batch.engine.load``.
        stopping: set to stop the work.
    """

    def __init__(self, child: Supervisor, facts: Message, stopping: threading.Event) -> None:
        self._child, self.facts, self._stopping = child, facts, stopping

    @property
    def fingerprint(self) -> str:
        """The fingerprint of settings, models and photos: see ``FaceBlur.fingerprint``."""
        return str(self.facts["fingerprint"])

    @property
    def devices(self) -> dict[str, str | None]:
        """The devices that the child uses: see ``device_facts``."""
        names = ("device", "provider", "driver", "encoder")
        return {name: self.facts["devices"][name] for name in names}

    def ask(self, request: Message, size: int, progress: Progress | None = None) -> Message:
        """Let the child handle a request about a file of ``size`` bytes.

        Raises:
            FaceBlurError: the work failed, or the child crashed.
            Interrupted: the work should stop.
            ChildFault: a bug in the child.
        """
        reports = _WorkReports(progress, self._stopping)
        return self._child.run(request, reports, allowance=reading_seconds(size))


@contextmanager
def sessions(start: Start, stopping: threading.Event) -> Iterator[tuple[Session, ...]]:
    """Start the children and wait until they have loaded everything; they end with the block.

    Args:
        start: settings, limits, people, and the number of children.
        stopping: set to stop the work.

    Raises:
        PeopleError: a photo cannot be used.
        StorageError: S3 does not return the photos.
        ModelError: a pack is missing or damaged, or the device is not available.
    """
    with Pool(_ENGINE, start.message(), start.limits, start.workers) as pool:
        pool.launch(fork=threading.active_count() == 1)
        facts = pool.load()
        yield tuple(Session(child, facts, stopping) for child in pool.supervisors)
