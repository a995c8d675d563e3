"""The work on one file of a job."""

import shutil
from collections.abc import Collection
from pathlib import Path
from typing import Any

from app.errors import DiskFull, MediaError, OutputError
from app.files import is_disk_full, remove_leftovers, sha256_of
from app.job.folders import Folders
from app.job.records import History, Records, Task
from app.pipeline import FaceBlur, first_possible, result_names
from app.plan import NO_FACE_FOUND, Plan
from app.types import Progress
from app.video import Media

_MIN_FREE = 16 * 2**20
"""Bytes that must be free before work on a file begins."""
_MAX_CRASHES = 2
"""Crashes of the process after which a file is not tried again."""


class RepeatedCrash(MediaError):
    """The process ended more than once while it worked on this file."""

    code = "crashed"


class FileJob:
    """Processes the files of one job, one after the other.

    Args:
        folders: the input, and the folder of results and plans.
        names: the names of all inputs.
        face_blur: the session, with models and gallery.
        history: the reports of earlier runs.
        records: the reports of this run.
    """

    def __init__(
        self,
        folders: Folders,
        names: Collection[str],
        face_blur: FaceBlur,
        history: History,
        records: Records,
    ) -> None:
        self._input, self._output = folders.input, folders.output
        self._names = frozenset(names)
        self._face_blur, self._history, self._records = face_blur, history, records
        self._fingerprint = face_blur.fingerprint
        self._was_full = False

    def run(self, name: str, progress: Progress) -> dict[str, Any]:
        """Write the result and the plan of a file, unless they exist.

        Returns:
            Fields of its line in the report.

        Raises:
            FaceBlurError: the work failed, and the file has no result.
        """
        try:
            return self._run(name, progress)
        except OSError as error:
            self._remove_earlier_result(name)
            kind = DiskFull if is_disk_full(error) else OutputError
            raise kind(f"the result cannot be written: {error.strerror}") from error
        except Exception as error:
            self._remove_earlier_result(name)
            self._was_full |= isinstance(error, DiskFull)
            raise

    def _run(self, name: str, progress: Progress) -> dict[str, Any]:
        media = Media(self._input / name)
        result, warnings = choose_result(media, name, self._output, self._names)
        task = Task(name, media.sha256, self._fingerprint)
        earlier = self._history.find_done(task, self._output)
        if earlier is not None:
            return {**earlier, "earlier": True}
        self._remove_earlier_result(name)
        self._check_task(task, result, (self._input / name).stat().st_size)
        fields = self._process(task, media, result, progress)
        if not fields["tracks"]:
            warnings = [*warnings, NO_FACE_FOUND]
        return {**fields, "warnings": warnings, "earlier": False}

    def _remove_earlier_result(self, name: str) -> None:
        """Remove the result of an earlier run, in which other people may be hidden."""
        results = [result for result, owner in self._history.owners.items() if owner == name]
        for path in (*results, plan_name(name)) if results else ():
            (self._output / path).unlink(missing_ok=True)
            if self._history.was_interrupted(name):
                remove_leftovers(self._output / path)

    def _check_task(self, task: Task, result: str, size: int) -> None:
        """Check that the work can begin.

        Raises:
            OutputError: the name of the result is taken.
            RepeatedCrash: the process crashed each time at this file.
            DiskFull: too little space is free.
        """
        owner = self._history.owners.get(result)
        if owner != task.file and (owner is not None or (self._output / result).exists()):
            raise OutputError("another file has the name of the result; move it away")
        if self._history.unfinished[task] >= _MAX_CRASHES:
            raise RepeatedCrash("the process crashed each time at this file; see the log")
        free = shutil.disk_usage(self._output).free
        if free < _MIN_FREE or (self._was_full and free < size):
            raise DiskFull("no space left for the result; give the job a larger volume")

    def _process(self, task: Task, media: Media, result: str, progress: Progress) -> dict[str, Any]:
        self._records.begin(task, result)
        self._history.owners[result] = task.file
        try:
            plan = self._hide_faces(task, media, result, progress)
        finally:
            self._records.end(task)
        output, plan_path = self._output / result, plan_name(task.file)
        return {
            "source_sha256": task.sha256,
            "settings": task.settings,
            "output": result,
            "result_sha256": sha256_of(output),
            "bytes": output.stat().st_size,
            "plan": plan_path,
            "plan_sha256": sha256_of(self._output / plan_path),
            **plan.counts,
        }

    def _hide_faces(self, task: Task, media: Media, result: str, progress: Progress) -> Plan:
        path = self._output / plan_name(task.file)
        path.parent.mkdir(parents=True, exist_ok=True)
        return self._face_blur.blur(
            media, self._output / result, progress, plan=path, overwrite=True
        )


def plan_name(name: str) -> str:
    """Return the name of a file's plan, relative to the output.

    >>> plan_name("day 1/a.mp4")
    'plans/day 1/a.mp4.plan.json'
    """
    return f"plans/{name}.plan.json"


def choose_result(
    media: Media, name: str, output: Path, inputs: Collection[str]
) -> tuple[str, list[str]]:
    """Choose the name of a result, relative to ``output``, and create its folder.

    Args:
        media: the input.
        name: its name, relative to the folder of inputs.
        output: the folder of results.
        inputs: the names of all inputs; the name of another input is not available.

    Returns:
        The name, and warnings of content that will be converted or dropped.

    Raises:
        MediaError: the file cannot be read.
        OutputError: no format can hold the result, or its name belongs to another input.
    """
    names = result_names(name, media.kind)
    (output / name).parent.mkdir(parents=True, exist_ok=True)
    chosen, warnings = first_possible(media, output, names, overwrite=True)
    if chosen != name and chosen in inputs:
        raise OutputError("its result would get the name of another input; rename one of them")
    return chosen, warnings
