"""The work on one file of a batch."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.batch.given import GivenPlan, check_edited, find_edits, plan_name
from app.batch.records import History, Records, Task
from app.batch.session import Session
from app.errors import Crashed, DiskFull, Interrupted, OutputError, reason_of
from app.files import is_disk_full, remove_leftovers, sha256_of
from app.plan import NO_FACE_FOUND, is_edited
from app.temporary import remove_unchecked
from app.types import Progress

_MIN_FREE = 16 * 2**20
"""Bytes that must be free before work on a file begins."""
_MAX_CRASHES = 2
"""Crashes of the process after which a file is not tried again."""


class FileJob:
    """Processes files of a batch, one after the other; others may do so beside it.

    Args:
        files: the names of all inputs, and the files.
        outputs: the folder of results and plans, and that of an earlier output with plans.
        session: the child process that works on the files.
        history: the reports of earlier runs.
        records: the reports of this run.
    """

    def __init__(
        self,
        files: Mapping[str, Path],
        outputs: tuple[Path, Path],
        session: Session,
        history: History,
        records: Records,
    ) -> None:
        self._files, (self._output, self._done) = files, outputs
        self._session, self._history, self._records = session, history, records
        self._was_full = False

    def run(self, name: str, progress: Progress) -> dict[str, Any]:
        """Write the result and the plan of a file, unless they exist.

        Returns:
            Fields of its line in the report.

        Raises:
            FaceBlurError: the work failed, and the file has no result.
            Interrupted: the work was stopped; the plan is left if it was complete.
        """
        try:
            return self._run(name, progress)
        except Interrupted:
            raise
        except OSError as error:
            self._remove_earlier_result(name)
            kind = DiskFull if is_disk_full(error) else OutputError
            raise kind(f"the result cannot be written: {reason_of(error)}") from error
        except Exception as error:
            self._remove_earlier_result(name)
            self._was_full |= isinstance(error, DiskFull)
            raise

    def _run(self, name: str, progress: Progress) -> dict[str, Any]:
        path = self._files[name]
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
        given = find_edits([folder / plan_name(name) for folder in self._folders])
        edits = None if given is None else given.edits
        earlier = self._history.find_done(task, self._output, edits)
        if earlier is not None:
            return {**earlier, "earlier": True}
        if given is not None:
            check_edited(self._history, task)
        else:
            given = self._find_plan(task)
        self._remove_earlier_result(name, keep=given)
        self._check_task(task, looked["result"], size)
        fields = self._process(task, looked["result"], size, progress, given)
        warnings = [*looked["warnings"], *([] if fields["tracks"] else [NO_FACE_FOUND])]
        return {**fields, "warnings": warnings, "earlier": False}

    def _similar_names(self, name: str) -> list[str]:
        """Return the other inputs that have a name which this one's result could get."""
        return [other for other in self._files if other != name and other.startswith(name)]

    @property
    def _folders(self) -> tuple[Path, ...]:
        """The folders that may have plans, the most important one first."""
        return tuple(dict.fromkeys((self._output, self._done)))

    def _find_plan(self, task: Task) -> GivenPlan | None:
        """Return the plan that the result must follow, or None if the file must be analysed.

        Raises:
            PlanError: a plan was changed, but its file or the settings have changed since.
        """
        for folder in self._folders:
            path = folder / plan_name(task.file)
            if not path.is_file():
                continue
            sha256, written = sha256_of(path), self._history.written.get(task.file, {})
            if sha256 not in written:
                check_edited(self._history, task)
                return GivenPlan(path, sha256, edited=True)
            if written[sha256] == task:
                return GivenPlan(path, sha256, edited=False)
        return None

    def _remove_earlier_result(self, name: str, keep: GivenPlan | None = None) -> None:
        """Remove the result of an earlier run, in which other people may be hidden.

        Its plan is removed too, unless it was edited, or ``keep`` is in use.
        """
        results = self._history.results_of(name)
        for result in results:
            (self._output / result).unlink(missing_ok=True)
        plan = self._output / plan_name(name)
        is_kept = keep is not None and keep.path == plan
        written = self._history.written.get(name, {})
        if not is_kept and plan.is_file() and sha256_of(plan) in written and not is_edited(plan):
            plan.unlink()
        if self._history.was_interrupted(name):
            for path in (*results, plan_name(name)):
                remove_leftovers((self._output / path).parent)
                remove_unchecked((self._output / path).parent)
            _new_plan(plan).unlink(missing_ok=True)

    def _check_task(self, task: Task, result: str, size: int) -> None:
        """Check that the work can begin.

        Raises:
            OutputError: the name of the result is taken.
            Crashed: the process crashed each time at this file.
            DiskFull: too little space is free.
        """
        owner = self._history.owners.get(result)
        if owner != task.file and (owner is not None or (self._output / result).exists()):
            raise OutputError("another file has the name of the result; move it away")
        if self._history.unfinished[task] >= _MAX_CRASHES:
            raise Crashed("the process crashed each time at this file; see the log")
        free = shutil.disk_usage(self._output).free
        if free < _MIN_FREE or (self._was_full and free < size):
            raise DiskFull("no space left for the result; free some space")

    def _process(
        self, task: Task, result: str, size: int, progress: Progress, given: GivenPlan | None
    ) -> dict[str, Any]:
        self._records.begin(task, result)
        self._history.claim(result, task.file)
        plan = plan_name(task.file)
        (self._output / plan).parent.mkdir(parents=True, exist_ok=True)
        request = {"input": str(self._files[task.file]), "sha256": task.sha256}
        try:
            if given is None:
                given = self._analyse(task, request, size, progress)
            rendering = {
                "do": "render",
                "result": str(self._output / result),
                "plan": str(given.path),
                "plan_sha256": given.sha256,
                "keep_plan": str(self._output / plan),
                "edited": given.edited,
                "edits_sha256": given.edits,
            }
            fields = self._session.ask(request | rendering, size, progress)
        except BaseException:
            # The child may have been killed while it wrote.
            for path in (result, plan):
                remove_leftovers((self._output / path).parent)
            remove_unchecked((self._output / result).parent)
            _new_plan(self._output / plan).unlink(missing_ok=True)
            raise
        finally:
            self._records.end(task)
        return {
            "source_sha256": task.sha256,
            "settings": task.settings,
            "output": result,
            "plan": plan,
            "edited": given.edited,
            "edits_sha256": given.edits,
            **self._session.devices,
            **fields,
        }

    def _analyse(
        self, task: Task, request: Mapping[str, Any], size: int, progress: Progress
    ) -> GivenPlan:
        """Write the plan, and record its hash: from now on any other hash means an edited plan."""
        path = self._output / plan_name(task.file)
        # It gets its name when its hash is recorded: the process may be killed in between.
        new = _new_plan(path)
        done = self._session.ask({**request, "do": "analyse", "plan": str(new)}, size, progress)
        self._records.analysed(task, done["plan_sha256"])
        self._history.add_plan(task, done["plan_sha256"])
        new.replace(path)
        return GivenPlan(path, done["plan_sha256"], edited=False)


def _new_plan(plan: Path) -> Path:
    """Return the name of a plan whose hash is not recorded yet."""
    return plan.with_name(f".{plan.name}.new")
