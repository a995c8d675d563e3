"""One run of the job: check and load everything, then process the files one after the other."""

import logging
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from app.config import ServiceSettings, Settings
from app.errors import FaceBlurError, MediaError
from app.isolation import ChildFault
from app.job.file_job import FileJob
from app.job.folders import Folders, Inputs, find_files
from app.job.records import FOLDER, History, Records
from app.job.session import Session
from app.logs import LOGGER, describe_exception, redact
from app.process import StopSignal

_PROGRESS_SECONDS = 30.0
"""Time between lines of the log during work on a file."""
_LOGGED_FIELDS = (
    *("status", "code", "seconds", "frames", "tracks", "hidden"),
    *("uncertain", "unclear", "not_found", "bytes", "earlier"),
)
"""Fields of the report that are also logged: none of them contains names."""


@dataclass(slots=True)
class Summary:
    """The number of files of a run by status, and of failures by code."""

    report: str
    codes: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)

    @property
    def failed(self) -> int:
        """The number of failed files."""
        return self.statuses["failed"]

    @property
    def text(self) -> str:
        """The summary as one line."""
        total = self.statuses["done"] + self.failed
        if not self.failed:
            return f"{total} of {total} files done"
        reasons = ", ".join(f"{code} {count}" for code, count in self.codes.most_common())
        return f"{self.failed} of {total} files failed: {reasons}; see {self.report}"

    def count(self, line: dict[str, Any]) -> None:
        """Count a line of the report."""
        self.statuses[line["status"]] += 1
        if line["status"] == "failed":
            self.codes[line["code"]] += 1


class ProgressLog:
    """Logs the progress of one file at regular intervals."""

    def __init__(self, number: int) -> None:
        self._number, self._last = number, time.monotonic()

    def __call__(self, stage: str, done: int, expected: int | None) -> None:
        """Log the progress if the interval has passed."""
        if time.monotonic() - self._last >= _PROGRESS_SECONDS:
            self._last = time.monotonic()
            fields = {"number": self._number, "stage": stage, "done": done, "expected": expected}
            LOGGER.info("progress", extra={"fields": fields})


def run(folders: Folders, stop: StopSignal) -> Summary:
    """Process all files of the input.

    Raises:
        UsageError: the settings, the people or the output are wrong; no file was processed.
        ModelError: the models cannot be used.
        DiskFull: the report cannot be written.
        KeyboardInterrupt: a signal arrived; the report lists the finished files.
    """
    people = {} if folders.people is None else {"people": Path(folders.people)}
    settings, limits = Settings.load(**people), ServiceSettings.load()
    with (
        Records(folders.output, folders.host) as records,
        Session(settings, limits, folders.people) as session,
    ):
        inputs = find_files(folders.input)
        history = History.read(folders.done, folders.output)
        job = FileJob(folders, inputs.files, session, history, records)
        _log("ready", files=len(inputs.files), people=session.people)
        summary = Summary(f"{FOLDER}/{folders.host}.jsonl")
        for line in _unprocessed(inputs):
            summary.count(line)
            records.add(line)
        for number, name in enumerate(inputs.files, 1):
            line = _process_file(
                job, name, number, folders.labels | {folders.input / name: "a file"}
            )
            summary.count(line)
            records.add(line)
            if stop.received:
                raise KeyboardInterrupt
    _log("finished", is_error=summary.failed > 0, **summary.statuses, message=summary.text)
    return summary


def _unprocessed(inputs: Inputs) -> Iterator[dict[str, Any]]:
    """Yield the lines of files and folders that are not processed."""
    for name in inputs.hidden:
        yield _line(name, "skipped", "hidden", "its name, or that of a folder, begins with a dot")
    for name in inputs.system:
        yield _line(name, "skipped", "system", "a file of the operating system")
    for name in inputs.unreadable:
        yield _line(name, "failed", MediaError.code, "the folder cannot be listed")


def _process_file(
    job: FileJob, name: str, number: int, labels: Mapping[Path, str]
) -> dict[str, Any]:
    """Process a file, and return its line of the report, whether it failed or not."""
    began = time.monotonic()
    try:
        fields = job.run(name, ProgressLog(number))
        fields["warnings"] = [redact(text, labels) for text in fields["warnings"]]
        line = _line(name, "done", "ok", "") | fields
    except FaceBlurError as error:
        line = _line(name, "failed", error.code, redact(str(error), labels))
    except Exception as error:  # noqa: BLE001 - the other files must still be processed
        fields = error.description if isinstance(error, ChildFault) else describe_exception(error)
        _log("internal error", is_error=True, number=number, **fields)
        message = "internal error of Face blur; see the log of the job"
        line = _line(name, "failed", FaceBlurError.code, message)
    if not line.get("earlier"):
        line["seconds"] = round(time.monotonic() - began, 3)
    logged = {key: line[key] for key in _LOGGED_FIELDS if key in line}
    _log("file", is_error=line["status"] == "failed", number=number, **logged)
    return line


def _line(name: str, status: str, code: str, message: str) -> dict[str, Any]:
    return {"file": name, "status": status, "code": code, "message": message}


def _log(event: str, *, is_error: bool = False, **fields: object) -> None:
    LOGGER.log(logging.ERROR if is_error else logging.INFO, event, extra={"fields": fields})
