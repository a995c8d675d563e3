"""One run of the job: the batch of the folders that SageMaker mounts, with a log."""

import logging
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from app.batch.inputs import Inputs, find_files
from app.batch.records import Line
from app.batch.run import Batch, Listener, Totals
from app.batch.run import run as run_batch
from app.batch.session import Session, shared_start
from app.config import ServiceSettings, Settings
from app.job.folders import Folders
from app.logs import LOGGER
from app.process import StopSignal
from app.temporary import place_facts
from app.types import Progress

_PROGRESS_SECONDS = 30.0
"""Time between lines of the log during work on a file."""
_LOGGED_FIELDS = (
    *("status", "code", "seconds", "frames", "tracks", "hidden"),
    *("uncertain", "unclear", "not_found", "bytes", "earlier", "edited"),
    *("edits", "open_doubts", "review_required"),
)
"""Fields of the report that are also logged: none of them contains names."""


def run(folders: Folders, stop: StopSignal, inputs: Inputs | None = None) -> Totals:
    """Process all files of the input, or those of ``inputs``.

    Raises:
        FaceBlurError, KeyboardInterrupt: as ``app.batch.run``.
    """
    people = {} if folders.people is None else {"people": Path(folders.people)}
    settings, limits = Settings.load(**people), ServiceSettings.load()
    files = inputs or find_files(folders.input)
    start = shared_start(settings, limits, folders.people, files=len(files.files))
    batch = Batch(files, folders.output, folders.done, folders.host, folders.labels)
    totals = run_batch(batch, start, stop, _LogListener())
    _log("finished", is_error=totals.failed > 0, **totals.statuses, message=totals.text)
    return totals


class _LogListener(Listener):
    """Writes the events of a run to the log."""

    def ready(self, files: int, workers: Sequence[Session]) -> None:
        loaded = workers[0].facts
        facts = loaded["devices"] | place_facts(Path(tempfile.gettempdir()))
        _log("ready", files=files, people=len(loaded["people"]), workers=len(workers), **facts)

    def progress(self, number: int, name: str) -> Progress:  # noqa: ARG002 - names are not logged
        return _ProgressLog(number)

    def processed(self, number: int, line: Line, summary: Mapping[str, Any] | None) -> None:  # noqa: ARG002 - has names
        if number:
            logged = {key: line[key] for key in _LOGGED_FIELDS if key in line}
            _log("file", is_error=line["status"] == "failed", number=number, **logged)

    def bug(self, number: int, description: Mapping[str, Any]) -> None:
        _log("internal error", is_error=True, number=number, **description)


class _ProgressLog:
    """Logs the progress of one file at regular intervals."""

    def __init__(self, number: int) -> None:
        self._number, self._last = number, time.monotonic()

    def __call__(self, stage: str, done: int, expected: int | None) -> None:
        """Log the progress if the interval has passed."""
        if time.monotonic() - self._last >= _PROGRESS_SECONDS:
            self._last = time.monotonic()
            fields = {"number": self._number, "stage": stage, "done": done, "expected": expected}
            LOGGER.info("progress", extra={"fields": fields})


def _log(event: str, *, is_error: bool = False, **fields: object) -> None:
    LOGGER.log(logging.ERROR if is_error else logging.INFO, event, extra={"fields": fields})
