"""The work on one file of a job."""

import shutil
from collections.abc import Iterable
from typing import Any

from app.errors import DiskFull, MediaError, OutputError
from app.files import is_disk_full, remove_leftovers, sha256_of
from app.job.folders import Folders
from app.job.inputs import choose_result, plan_name
from app.job.records import History, Records, Task
from app.pipeline import FaceBlur
from app.plan import Plan
from app.types import Progress
from app.video import Media

_MIN_FREE = 16 * 2**20
"""Bytes that must be free before work on a file begins."""
_MAX_CRASHES = 2
"""A file that has ended the process this often is not tried again."""


class Crashing(MediaError):
    """Work on this file has ended the process more than once."""

    code = "crashed"


class FileJob:
    """Works on the files of one job, one after the other.

    Args:
        folders: the input, and the folders for results and plans.
        names: the names of all inputs.
        face_blur: the session, with models and gallery.
        history: the reports of earlier runs.
        records: the reports of this run.
    """

    def __init__(
        self,
        folders: Folders,
        names: Iterable[str],
        face_blur: FaceBlur,
        history: History,
        records: Records,
    ) -> None:
        self._source, self._output = folders.input, folders.output
        self._names = frozenset(names)
        self._face_blur, self._history, self._records = face_blur, history, records
        self._fingerprint = face_blur.fingerprint
        self._was_full = False

    def run(self, name: str, progress: Progress) -> dict[str, Any]:
        """Make the result and the plan of a file, unless they exist; returns fields of its report.

        Raises:
            FaceBlurError: the work failed; there is no result then.
        """
        try:
            return self._run(name, progress)
        except OSError as error:
            self._withdraw(name)
            kind = DiskFull if is_disk_full(error) else OutputError
            raise kind(f"the result cannot be written: {error.strerror}") from error
        except Exception as error:
            self._withdraw(name)
            self._was_full |= isinstance(error, DiskFull)
            raise

    def _run(self, name: str, progress: Progress) -> dict[str, Any]:
        media = Media(self._source / name)
        result, warnings = choose_result(media, name, self._output, self._names)
        task = Task(name, media.sha256, self._fingerprint)
        earlier = self._history.finished(task, self._output)
        if earlier is not None:
            return {**earlier, "earlier": True}
        self._withdraw(name)
        self._check(task, result, (self._source / name).stat().st_size)
        made = self._make(task, media, result, progress)
        return {**made, "warnings": warnings, "earlier": False}

    def _withdraw(self, name: str) -> None:
        """Remove what an earlier run made of a file: it may hide other people than it should."""
        owned = [result for result, owner in self._history.owners.items() if owner == name]
        for place in (*owned, plan_name(name)) if owned else ():
            (self._output / place).unlink(missing_ok=True)
            if self._history.was_left_open(name):
                remove_leftovers(self._output / place)

    def _check(self, task: Task, result: str, size: int) -> None:
        """Check whether the work may begin."""
        owner = self._history.owners.get(result)
        if owner != task.file and (owner is not None or (self._output / result).exists()):
            raise OutputError("a file that is not of this job has the name of the result; move it")
        if self._history.open[task] >= _MAX_CRASHES:
            raise Crashing("the process ended each time that this file was tried; look at the log")
        free = shutil.disk_usage(self._output).free
        if free < _MIN_FREE or (self._was_full and free < size):
            raise DiskFull("no room left for a result; give the job a larger volume")

    def _make(self, task: Task, media: Media, result: str, progress: Progress) -> dict[str, Any]:
        self._records.begin(task, result)
        self._history.owners[result] = task.file
        try:
            plan = self._hide(task, media, result, progress)
        finally:
            self._records.end(task)
        made, planned = self._output / result, plan_name(task.file)
        return {
            "source_sha256": task.sha256,
            "settings": task.settings,
            "output": result,
            "result_sha256": sha256_of(made),
            "bytes": made.stat().st_size,
            "plan": planned,
            "plan_sha256": sha256_of(self._output / planned),
            **plan.counts,
        }

    def _hide(self, task: Task, media: Media, result: str, progress: Progress) -> Plan:
        place = self._output / plan_name(task.file)
        place.parent.mkdir(parents=True, exist_ok=True)
        return self._face_blur.blur(
            media, self._output / result, progress, plan=place, overwrite=True
        )
