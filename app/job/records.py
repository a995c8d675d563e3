"""What is written down about each file, and read again when the job is run again.

``reports/HOST.jsonl`` has a line for each file when it is finished with; of several lines about a
file the latest counts. ``reports/HOST.begun`` tells when work on a file began and ended: a file
with more beginnings than ends was being worked on when the process was killed.
"""

import errno
import fcntl
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self, TypeAlias

from app.errors import ConfigError, DiskFull, FaceBlurError
from app.files import is_disk_full, sha256_of

Line: TypeAlias = Mapping[str, Any]

FOLDER = "reports"


@dataclass(frozen=True, slots=True)
class Task:
    """A file (its name below the input), what is in it, and what would be done with it."""

    file: str
    sha256: str
    settings: str


@dataclass(slots=True)
class History:
    """What earlier runs did: to this output, or to another one of which we have the reports."""

    latest: dict[str, tuple[Line, Path]] = field(default_factory=dict)
    """The last line about each file, and the output that it is about."""
    open: Counter[Task] = field(default_factory=Counter)
    """How often a task was begun and did not end."""
    owners: dict[str, str] = field(default_factory=dict)
    """The file that each result is of, by the result's name."""

    @classmethod
    def read(cls, *outputs: Path) -> Self:
        """Read all reports of some outputs. Lines that were cut off by a crash tell nothing.

        Raises:
            ConfigError: one of them cannot be read.
        """
        history = cls()
        try:
            for output in outputs:
                history._read(output)
        except OSError as error:
            raise ConfigError(f"an earlier report cannot be read: {error.strerror}") from error
        return history

    def _read(self, output: Path) -> None:
        for path in sorted((output / FOLDER).glob("*.jsonl")):
            for line in _lines(path):
                self._add(line, output)
        for path in sorted((output / FOLDER).glob("*.begun")):
            for line in _lines(path):
                self._count(line)

    def _add(self, line: Line, output: Path) -> None:
        name = str(line.get("file"))
        if line.get("output"):
            self.owners[str(line["output"])] = name
        known = self.latest.get(name)
        if known is None or str(known[0].get("time")) <= str(line.get("time")):
            self.latest[name] = line, output

    def _count(self, line: Line) -> None:
        task = Task(*(str(line.get(key)) for key in ("file", "sha256", "settings")))
        self.open[task] += 1 if line.get("event") == "begun" else -1
        if line.get("output"):
            self.owners[str(line["output"])] = task.file

    def finished(self, task: Task, here: Path) -> Line | None:
        """The line about a file that is done with: the same content and settings, and all there.

        Of an output elsewhere the results may be missing, as they need not be brought along.
        """
        line, output = self.latest.get(task.file, ({}, here))
        wanted = ("done", task.sha256, task.settings)
        if tuple(line.get(key) for key in ("status", "source_sha256", "settings")) != wanted:
            return None
        result = output / str(line["output"])
        there = _is(result, line["result_sha256"]) or (output != here and not result.exists())
        return line if there and _is(output / str(line["plan"]), line["plan_sha256"]) else None

    def was_left_open(self, file: str) -> bool:
        """Whether a process ended while it worked on the file, which may have left something."""
        return any(task.file == file and count > 0 for task, count in self.open.items())


def _is(path: Path, sha256: object) -> bool:
    return path.is_file() and sha256_of(path) == sha256


def _lines(path: Path) -> Iterator[Line]:
    for text in path.read_text("utf-8", errors="replace").splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict):
            yield line


class Records:
    """The records of this run; locked while it lasts.

    Raises:
        ConfigError: they cannot be written there, or another run does so.
    """

    def __init__(self, output: Path, host: str) -> None:
        self._paths = [output / FOLDER / f"{host}.{kind}" for kind in ("jsonl", "begun")]
        try:
            (output / FOLDER).mkdir(parents=True, exist_ok=True)
            (output / "plans").mkdir(exist_ok=True)
            if not os.access(output, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            self._report, self._begun = (
                os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644) for path in self._paths
            )
        except OSError as error:
            raise ConfigError(
                f"the output cannot be written by user {os.getuid()} ({error.strerror}); let that "
                "user write it, or build the image with --build-arg USER_ID=0"
            ) from error
        self._lock()
        for file in (self._report, self._begun):
            _end_line(file)

    def _lock(self) -> None:
        try:
            fcntl.flock(self._report, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError("another run writes to this output; wait for it") from error

    def tell(self, line: Line) -> None:
        """Add a line to the report; its time is now."""
        self._write(self._report, {**line, "time": _now()})

    def begin(self, task: Task, output: str) -> None:
        """Write down that work on a file begins."""
        self._write(self._begun, {**_event("begun", task), "output": output})

    def end(self, task: Task) -> None:
        """Write down that it ended, well or not."""
        self._write(self._begun, _event("ended", task))

    @staticmethod
    def _write(file: int, line: Line) -> None:
        # ASCII: names that are no text survive as escapes.
        data = (json.dumps(line) + "\n").encode("ascii")
        try:
            os.write(file, data)
            os.fsync(file)
        except OSError as error:
            kind = DiskFull if is_disk_full(error) else FaceBlurError
            raise kind(f"the report cannot be written: {error.strerror}") from error

    def close(self) -> None:
        """Let go of the lock."""
        os.close(self._report)
        os.close(self._begun)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _event(event: str, task: Task) -> dict[str, str]:
    return {
        "event": event,
        "time": _now(),
        "file": task.file,
        "sha256": task.sha256,
        "settings": task.settings,
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _end_line(file: int) -> None:
    """End a line that a crash has cut off, so that the next one is read."""
    size = os.fstat(file).st_size
    if size and os.pread(file, 1, size - 1) != b"\n":
        os.write(file, b"\n")
