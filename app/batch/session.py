"""The session of a batch: a child process with models and people that works on its files."""

import threading
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from app.config import Settings
from app.errors import Interrupted
from app.isolation import Limits, Reports, Supervisor
from app.isolation.limits import reading_seconds
from app.isolation.messages import Message
from app.types import Progress

_ENGINE = "app.batch.engine"


@dataclass(frozen=True, slots=True)
class Start:
    """The facts with which a child starts.

    ``people`` is the folder or ``s3://`` prefix of the photos, or None. With ``names`` messages may
    contain the names of photos, and the child writes no log.
    """

    settings: Settings
    limits: Limits
    people: str | None
    names: bool = False

    def message(self) -> Message:
        """Return the message for the child."""
        settings = self.settings.model_dump(mode="json", exclude_unset=True)
        return {"settings": settings, "people": self.people, "names": self.names}


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
        start: settings, limits and people.
        stopping: set to stop the work.
        loaded: the facts of another session with the same start, which has read the photos.

    Raises:
        PeopleError: a photo cannot be used.
        StorageError: S3 does not return the photos.
        ModelError: a pack is missing or damaged, or the device is not available.
    """

    def __init__(
        self, start: Start, stopping: threading.Event, loaded: Message | None = None
    ) -> None:
        known = {} if loaded is None else {"loaded": loaded}
        self._stopping = stopping
        self._child = Supervisor(_ENGINE, start.message() | known, start.limits)
        self._child.launch(fork=threading.active_count() == 1)
        self.facts = self._child.load()

    @property
    def fingerprint(self) -> str:
        """The fingerprint of settings, models and photos: see ``FaceBlur.fingerprint``."""
        return str(self.facts["fingerprint"])

    def ask(self, request: Message, size: int, progress: Progress | None = None) -> Message:
        """Let the child handle a request about a file of ``size`` bytes.

        Raises:
            FaceBlurError: the work failed, or the child crashed.
            Interrupted: the work should stop.
            ChildFault: a bug in the child.
        """
        reports = _WorkReports(progress, self._stopping)
        return self._child.run(request, reports, allowance=reading_seconds(size))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._child.close()
