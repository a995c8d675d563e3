"""The reports of a batch: written for each file, and read when the batch runs again.

``reports/HOST.jsonl`` has a line of JSON for each processed file; the latest line about a file
counts. ``reports/HOST.begun`` records when work on a file began and ended, and the hash of its plan
as soon as that is written. A file that began more often than it ended was in progress when the
process was killed. A plan whose hash is in no report was changed by a person.
"""

import errno
import fcntl
import json
import os
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self, TypeAlias

from app.errors import ConfigError, DiskFull, FaceBlurError, reason_of
from app.files import is_disk_full, sha256_of
from app.validation import parse_json

Line: TypeAlias = Mapping[str, Any]

FOLDER = "reports"
"""The folder of the reports, relative to the output."""


@dataclass(frozen=True, slots=True)
class Task:
    """The work on a file: its name, its content, and the fingerprint of the session."""

    file: str
    sha256: str
    settings: str


@dataclass(slots=True)
class History:
    """The reports of earlier runs: of this output, or of another output.

    Several threads may use it after it has been read, each for other files.
    """

    latest: dict[str, tuple[Line, Path]] = field(default_factory=dict)
    """The latest line about each file, and the output of that run."""
    unfinished: Counter[Task] = field(default_factory=Counter)
    """How often each task began without ending."""
    owners: dict[str, str] = field(default_factory=dict)
    """The input of each result, both as names."""
    written: dict[str, dict[str, Task]] = field(default_factory=dict)
    """The plans of each file that analyses wrote: the hash of each, and its task."""
    newest: dict[str, tuple[str, Task]] = field(default_factory=dict)
    """The time and the task of the newest of these plans for each file."""
    _owning: threading.Lock = field(default_factory=threading.Lock)
    """Held while ``owners`` is read as a whole or changed."""

    @classmethod
    def read(cls, *outputs: Path) -> Self:
        """Read all reports of some outputs. Lines that a crash cut off are ignored.

        Raises:
            ConfigError: a report cannot be read.
        """
        history = cls()
        try:
            for output in outputs:
                history._read(output)
        except OSError as error:
            raise ConfigError(f"an earlier report cannot be read: {reason_of(error)}") from error
        return history

    def _read(self, output: Path) -> None:
        for path in sorted((output / FOLDER).glob("*.jsonl")):
            for line in _read_lines(path):
                self._add_line(line, output)
        for path in sorted((output / FOLDER).glob("*.begun")):
            for line in _read_lines(path):
                self._count_event(line)

    def _add_line(self, line: Line, output: Path) -> None:
        name = str(line.get("file"))
        if line.get("output"):
            self.owners[str(line["output"])] = name
        if line.get("plan_sha256") and not line.get("edited"):
            task = Task(name, str(line.get("source_sha256")), str(line.get("settings")))
            self._add_plan(task, line)
        previous = self.latest.get(name)
        if previous is None or str(previous[0].get("time")) <= str(line.get("time")):
            self.latest[name] = line, output

    def _count_event(self, line: Line) -> None:
        task = Task(*(str(line.get(key)) for key in ("file", "sha256", "settings")))
        if line.get("event") == "analysed":
            self._add_plan(task, line)
            return
        self.unfinished[task] += 1 if line.get("event") == "begun" else -1
        if line.get("output"):
            self.owners[str(line["output"])] = task.file

    def add_plan(self, task: Task, sha256: str) -> None:
        """Remember that the analysis of a task has written a plan just now."""
        self._add_plan(task, {"plan_sha256": sha256, "time": _now()})

    def _add_plan(self, task: Task, line: Line) -> None:
        self.written.setdefault(task.file, {})[str(line.get("plan_sha256"))] = task
        time = str(line.get("time"))
        if time >= self.newest.get(task.file, ("", task))[0]:
            self.newest[task.file] = time, task

    def find_done(self, task: Task, current: Path, edits: str | None) -> Line | None:
        """Return the line about a task if it is done, and its result and plan are unchanged.

        ``edits`` is the hash of the journal that its plan has now, or None if it has none.

        Results of another output than ``current`` may be absent: only its plans and reports need
        to be mounted.
        """
        line, output = self.latest.get(task.file, ({}, current))
        expected = ("done", task.sha256, task.settings, edits)
        keys = ("status", "source_sha256", "settings", "edits_sha256")
        if tuple(line.get(key) for key in keys) != expected:
            return None
        result = output / str(line["output"])
        absent_elsewhere = output != current and not result.exists()
        if not absent_elsewhere and not _has_sha256(result, line["result_sha256"]):
            return None
        return line if _has_sha256(output / str(line["plan"]), line["plan_sha256"]) else None

    def results_of(self, file: str) -> list[str]:
        """Return the names of the results that belong to a file."""
        with self._owning:
            return [result for result, owner in self.owners.items() if owner == file]

    def claim(self, result: str, file: str) -> None:
        """Remember that a result belongs to a file."""
        with self._owning:
            self.owners[result] = file

    def unfinished_files(self, settings: str) -> frozenset[str]:
        """Return the files that were in work with a fingerprint when a process ended."""
        return frozenset(
            task.file
            for task, count in self.unfinished.items()
            if count > 0 and task.settings == settings
        )

    def was_interrupted(self, file: str) -> bool:
        """Whether a process ended during work on the file, and may have left temporary files."""
        return any(task.file == file and count > 0 for task, count in self.unfinished.items())


def _has_sha256(path: Path, sha256: object) -> bool:
    return path.is_file() and sha256_of(path) == sha256


def _read_lines(path: Path) -> Iterator[Line]:
    for text in path.read_text("utf-8", errors="replace").splitlines():
        try:
            line = parse_json(text)
        except ValueError:
            continue
        if isinstance(line, dict):
            yield line


class Records:
    """The reports of this run, locked until ``close``.

    Raises:
        ConfigError: the output is not writable, or another run is writing to it.
    """

    def __init__(self, output: Path, host: str) -> None:
        self._paths = [output / FOLDER / f"{host}.{kind}" for kind in ("jsonl", "begun")]
        try:
            (output / FOLDER).mkdir(parents=True, exist_ok=True)
            (output / "plans").mkdir(exist_ok=True)
            if not os.access(output, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, "")
            self._report, self._begun = (
                os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644) for path in self._paths
            )
        except OSError as error:
            raise ConfigError(
                f"the output is not writable for user {os.getuid()} ({reason_of(error)}); change "
                "its permissions, or build the image with --build-arg USER_ID=0"
            ) from error
        self._lock()
        for file in (self._report, self._begun):
            _complete_last_line(file)

    def _lock(self) -> None:
        try:
            fcntl.flock(self._report, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigError(
                "another run is writing to this output; wait until it ends"
            ) from error

    def add(self, line: Line) -> None:
        """Add a line to the report, with the current time."""
        self._write(self._report, {**line, "time": _now()})

    def begin(self, task: Task, output: str) -> None:
        """Record that work on a file begins."""
        self._write(self._begun, {**_event("begun", task), "output": output})

    def analysed(self, task: Task, plan_sha256: str) -> None:
        """Record that the plan of a file is written."""
        self._write(self._begun, {**_event("analysed", task), "plan_sha256": plan_sha256})

    def end(self, task: Task) -> None:
        """Record that work on a file ended, with or without success."""
        self._write(self._begun, _event("ended", task))

    @staticmethod
    def _write(file: int, line: Line) -> None:
        # ASCII, so that names that are not valid Unicode are kept as escapes.
        data = (json.dumps(line) + "\n").encode("ascii")
        try:
            os.write(file, data)
            os.fsync(file)
        except OSError as error:
            kind = DiskFull if is_disk_full(error) else FaceBlurError
            raise kind(f"the report cannot be written: {reason_of(error)}") from error

    def close(self) -> None:
        """Close the files, which releases the lock."""
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


def _complete_last_line(file: int) -> None:
    """Add a newline after a line that a crash cut off, so that the next line stays readable."""
    size = os.fstat(file).st_size
    if size and os.pread(file, 1, size - 1) != b"\n":
        os.write(file, b"\n")
