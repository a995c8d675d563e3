"""The session of a job: the child process that works on its files."""

import threading
from types import TracebackType
from typing import Self

from app.config import ServiceSettings, Settings
from app.isolation import Limits, Reports, Supervisor
from app.isolation.messages import Message
from app.types import Progress

_ENGINE = "app.job.engine"
_SLOWEST_READ = 20e6
"""Bytes per second of the slowest disk: some steps, such as hashing, read a whole file without
progress, and get more time for a larger file."""


class _ProgressReports(Reports):
    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress

    def progress(self, stage: str, done: int, expected: int | None) -> None:
        if self._progress is not None and stage:
            self._progress(stage, done, expected)


class Session:
    """A supervised child process with models and people.

    Args:
        settings: the settings of the job.
        limits: memory and time of the child.
        people: folder or ``s3://`` prefix of the photos, or None.

    Raises:
        PeopleError: a photo cannot be used; the message contains no names.
        StorageError: S3 does not return the photos.
        ModelError: a pack is missing or damaged, or the device is not available.
    """

    def __init__(self, settings: Settings, limits: ServiceSettings, people: str | None) -> None:
        start = {
            "settings": settings.model_dump(mode="json", exclude_unset=True),
            "people": people,
        }
        bounds = Limits(limits.max_memory, limits.stall_seconds)
        self._child = Supervisor(_ENGINE, start, bounds)
        self._child.launch(fork=threading.active_count() == 1)
        facts = self._child.load()
        self.fingerprint: str = facts["fingerprint"]
        """The fingerprint of settings, models and photos: see ``FaceBlur.fingerprint``."""
        self.people = len(facts["people"])
        """The number of people."""

    def ask(self, request: Message, size: int, progress: Progress | None = None) -> Message:
        """Let the child handle a request about a file of ``size`` bytes.

        Raises:
            FaceBlurError: the work failed, or the child crashed.
            ChildFault: a bug in the child.
        """
        return self._child.run(request, _ProgressReports(progress), allowance=size / _SLOWEST_READ)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._child.close()
