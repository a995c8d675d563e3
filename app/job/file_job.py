"""The work on one file of a job."""

import shutil
from collections.abc import Collection
from typing import Any

from app.errors import Crashed, DiskFull, OutputError, reason_of
from app.files import is_disk_full, remove_leftovers
from app.job.folders import Folders
from app.job.records import History, Records, Task
from app.job.session import Session
from app.plan import NO_FACE_FOUND
from app.types import Progress

_MIN_FREE = 16 * 2**20
"""Bytes that must be free before work on a file begins."""
_MAX_CRASHES = 2
"""Crashes of the process after which a file is not tried again."""


class FileJob:
    """Processes the files of one job, one after the other.

    Args:
        folders: the input, and the folder of results and plans.
        names: the names of all inputs.
        session: the child process that works on the files.
        history: the reports of earlier runs.
        records: the reports of this run.
    """

    def __init__(
        self,
        folders: Folders,
        names: Collection[str],
        session: Session,
        history: History,
        records: Records,
    ) -> None:
        self._input, self._output = folders.input, folders.output
        self._names = frozenset(names)
        self._session, self._history, self._records = session, history, records
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
            raise kind(f"the result cannot be written: {reason_of(error)}") from error
        except Exception as error:
            self._remove_earlier_result(name)
            self._was_full |= isinstance(error, DiskFull)
            raise

    def _run(self, name: str, progress: Progress) -> dict[str, Any]:
        path = self._input / name
        size = path.stat().st_size if path.is_file() else 0
        looked = self._session.ask(
            {
                "do": "look",
                "input": str(path),
                "name": name,
                "output": str(self._output),
                "taken": self._similar_names(name),
            },
            size,
        )
        task = Task(name, looked["sha256"], self._session.fingerprint)
        earlier = self._history.find_done(task, self._output)
        if earlier is not None:
            return {**earlier, "earlier": True}
        self._remove_earlier_result(name)
        self._check_task(task, looked["result"], size)
        fields = self._process(task, looked["result"], size, progress)
        warnings = [*looked["warnings"], *([] if fields["tracks"] else [NO_FACE_FOUND])]
        return {**fields, "warnings": warnings, "earlier": False}

    def _similar_names(self, name: str) -> list[str]:
        """Return the other inputs that have a name which this one's result could get."""
        return [other for other in self._names if other != name and other.startswith(name)]

    def _remove_earlier_result(self, name: str) -> None:
        """Remove the result of an earlier run, in which other people may be hidden."""
        results = [result for result, owner in self._history.owners.items() if owner == name]
        for path in (*results, plan_name(name)) if results else ():
            (self._output / path).unlink(missing_ok=True)
            if self._history.was_interrupted(name):
                remove_leftovers((self._output / path).parent)

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
            raise Crashed("the process crashed each time at this file; see the log")
        free = shutil.disk_usage(self._output).free
        if free < _MIN_FREE or (self._was_full and free < size):
            raise DiskFull("no space left for the result; give the job a larger volume")

    def _process(self, task: Task, result: str, size: int, progress: Progress) -> dict[str, Any]:
        self._records.begin(task, result)
        self._history.owners[result] = task.file
        plan = plan_name(task.file)
        (self._output / plan).parent.mkdir(parents=True, exist_ok=True)
        request = {
            "do": "hide",
            "input": str(self._input / task.file),
            "sha256": task.sha256,
            "result": str(self._output / result),
            "plan": str(self._output / plan),
        }
        try:
            fields = self._session.ask(request, size, progress)
        except BaseException:
            # The child may have been killed while it wrote.
            for path in (result, plan):
                remove_leftovers((self._output / path).parent)
            raise
        finally:
            self._records.end(task)
        return {
            "source_sha256": task.sha256,
            "settings": task.settings,
            "output": result,
            "plan": plan,
            **fields,
        }


def plan_name(name: str) -> str:
    """Return the name of a file's plan, relative to the output.

    >>> plan_name("day 1/a.mp4")
    'plans/day 1/a.mp4.plan.json'
    """
    return f"plans/{name}.plan.json"
