"""One run of a batch: check and load everything, then process the files."""

import queue
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.batch.file_job import FileJob
from app.batch.inputs import Inputs
from app.batch.records import FOLDER, History, Line, Records
from app.batch.session import Session, Start, sessions
from app.errors import FaceBlurError, Interrupted, MediaError
from app.isolation import ChildFault
from app.logs import describe_exception, redact
from app.process import StopSignal
from app.types import Progress


@dataclass(frozen=True, slots=True)
class Batch:
    """The files of a run, and the folders of its results.

    ``done`` may hold the ``plans`` and ``reports`` of an earlier output. ``host`` is the name of
    the report. ``labels`` replace paths in the messages of the report; None: keep all paths.
    """

    inputs: Inputs
    output: Path
    done: Path
    host: str = "local"
    labels: Mapping[Path, str] | None = None


@dataclass(slots=True)
class Totals:
    """The number of files of a run by status, and of failures by code."""

    report: str
    codes: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    not_found: int = 0
    """Files in which a listed person was not found."""
    review_required: int = 0
    """Files with open doubts."""

    @property
    def failed(self) -> int:
        """The number of failed files."""
        return self.statuses["failed"]

    @property
    def text(self) -> str:
        """The totals as one line."""
        total = self.statuses["done"] + self.failed
        if not self.failed:
            return f"{total} of {total} files done"
        reasons = ", ".join(f"{code} {count}" for code, count in self.codes.most_common())
        return f"{self.failed} of {total} files failed: {reasons}; see {self.report}"

    def count(self, line: Line) -> None:
        """Count a line of the report."""
        self.statuses[line["status"]] += 1
        self.not_found += bool(line.get("not_found"))
        self.review_required += bool(line.get("review_required"))
        if line["status"] == "failed":
            self.codes[line["code"]] += 1


class Listener:
    """Is told what happens in a run, from any of its threads."""

    def ready(self, files: int, workers: Sequence[Session]) -> None:
        """Called before the first file."""

    def progress(self, number: int, name: str) -> Progress:  # noqa: ARG002
        """Return a function that is told the progress of a file."""
        return lambda stage, done, expected: None  # noqa: ARG005

    def processed(self, number: int, line: Line, summary: Mapping[str, Any] | None) -> None:
        """Called after each file with its line of the report, and the summary of a new result."""

    def bug(self, number: int, description: Mapping[str, Any]) -> None:
        """Called when a file fails because of a bug."""


def run(batch: Batch, start: Start, stop: StopSignal, listener: Listener) -> Totals:
    """Process all files, at most ``start.workers`` at the same time.

    Raises:
        UsageError: the settings, the people or the output are wrong; no file was processed.
        ModelError: the models cannot be used.
        DiskFull: the report cannot be written.
        KeyboardInterrupt: a signal arrived; the report lists the finished files.
    """
    stopping = threading.Event()
    with (
        Records(batch.output, batch.host) as records,
        sessions(start, stopping) as workers,
    ):
        history = History.read(batch.done, batch.output)
        listener.ready(len(batch.inputs.files), workers)
        return _Work(batch, records, listener, workers, history).run(stop, stopping)


class _Work:
    """The files of a batch, and the workers that are free."""

    def __init__(
        self,
        batch: Batch,
        records: Records,
        listener: Listener,
        workers: Sequence[Session],
        history: History,
    ) -> None:
        self._batch, self._records, self._listener = batch, records, listener
        self._sessions, self._history = workers, history
        self._free: queue.SimpleQueue[FileJob] = queue.SimpleQueue()
        for session in workers:
            folders = batch.output, batch.done
            self._free.put(FileJob(batch.inputs.files, folders, session, history, records))
        self._totals = Totals(f"{FOLDER}/{batch.host}.jsonl")
        self._lock = threading.Lock()

    def run(self, stop: StopSignal, stopping: threading.Event) -> Totals:
        """Process all files."""
        for line in _unprocessed(self._batch.inputs):
            self._finish(0, line)
        with ThreadPoolExecutor(len(self._sessions), "file") as pool:
            try:
                for group in self._groups():
                    futures = [pool.submit(self._process, *file) for file in group]
                    done, _ = wait(futures, return_when=FIRST_EXCEPTION)
                    for future in done:
                        future.result()
            finally:
                stopping.set()
                pool.shutdown(wait=True, cancel_futures=True)
        if stop.received:
            raise KeyboardInterrupt
        return self._totals

    def _groups(self) -> list[list[tuple[int, str]]]:
        """Return the files with their numbers, in groups that are processed one after the other.

        A file that was in work when an earlier run was killed may be the reason: it is processed
        alone, so that no other file is blamed if it happens again.
        """
        files = list(enumerate(self._batch.inputs.files, 1))
        if len(self._sessions) == 1:
            return [files]
        suspects = self._history.unfinished_files(self._sessions[0].fingerprint)
        alone = [[file] for file in files if file[1] in suspects]
        return [*alone, [file for file in files if file[1] not in suspects]]

    def _process(self, number: int, name: str) -> None:
        """Process a file with a worker that is free."""
        job = self._free.get()
        try:
            line = self._line_of(job, number, name)
        finally:
            self._free.put(job)
        self._finish(number, line)

    def _finish(self, number: int, line: dict[str, Any]) -> None:
        """Report about a file."""
        summary = line.pop("summary", None)
        with self._lock:
            self._totals.count(line)
            self._records.add(line)
            self._listener.processed(number, line, summary)

    def _line_of(self, job: FileJob, number: int, name: str) -> dict[str, Any]:
        """Process a file, and return its line of the report, whether it failed or not."""
        began = time.monotonic()
        try:
            fields = job.run(name, self._listener.progress(number, name))
            fields["warnings"] = [self._redact(text, name) for text in fields["warnings"]]
            line = _line(name, "done", "ok", "") | fields
        except Interrupted:
            raise
        except FaceBlurError as error:
            line = _line(name, "failed", error.code, self._redact(str(error), name))
        except Exception as error:  # noqa: BLE001 - the other files must still be processed
            described = (
                error.description if isinstance(error, ChildFault) else describe_exception(error)
            )
            self._listener.bug(number, described)
            message = "internal error of Face blur; see the log"
            line = _line(name, "failed", FaceBlurError.code, message)
        if not line.get("earlier"):
            line["seconds"] = round(time.monotonic() - began, 3)
        return line

    def _redact(self, text: str, name: str) -> str:
        labels = self._batch.labels
        if labels is None:
            return " ".join(text.split()).removeprefix(f"{self._batch.inputs.files[name]}: ")
        return redact(text, {**labels, self._batch.inputs.files[name]: "a file"})


def _unprocessed(inputs: Inputs) -> Iterator[dict[str, Any]]:
    """Yield the lines of files and folders that are not processed."""
    for name in inputs.hidden:
        yield _line(name, "skipped", "hidden", "its name, or that of a folder, begins with a dot")
    for name in inputs.system:
        yield _line(name, "skipped", "system", "a file of the operating system")
    for name in inputs.unreadable:
        yield _line(name, "failed", MediaError.code, "the folder cannot be listed")


def _line(name: str, status: str, code: str, message: str) -> dict[str, Any]:
    return {"file": name, "status": status, "code": code, "message": message}
