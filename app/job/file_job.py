"""The work on one file of a job."""

import errno
import hashlib
import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from app.config import Settings
from app.errors import DiskFull, MediaError, OutputError
from app.identity.gallery import Gallery
from app.job.folders import Places
from app.job.inputs import choose_result, plan_name
from app.job.records import History, Records, Task, clear_leftovers
from app.pipeline import Parts, Progress, analyse, give_back_memory, render
from app.plan import VERSION, Plan, sha256_of, together

_LEAST = 16 * 2**20
"""Bytes that have to be free before a file is begun."""
_TRIES = 2
"""A file that has ended the process as often as this is not tried again."""
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Crashing(MediaError):
    """Work on this file has ended the process more than once."""

    code = "crashed"


@dataclass(frozen=True, slots=True)
class Means:
    """What all files are worked on with; ``gallery`` is None where nobody has to be known."""

    settings: Settings
    parts: Parts
    gallery: Gallery | None
    fingerprint: str


def fingerprint(settings: Settings, parts: Parts, photos: Mapping[str, Iterable[Path]]) -> str:
    """Tell whether two runs would do the same to a file, as 64 hexadecimal digits.

    Of the people only their photos count, not their names.
    """
    people = sorted(sorted(sha256_of(photo) for photo in one) for one in photos.values())
    facts = [VERSION, settings.effective(), asdict(parts.models), parts.scale.knots, people]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


class Work:
    """The work on the files of one job, one after the other.

    Args:
        places: the input, and where results and plans go.
        others: all names of the input.
    """

    def __init__(
        self,
        places: Places,
        others: Iterable[str],
        means: Means,
        history: History,
        records: Records,
    ) -> None:
        self._source, self._output = places.input, places.output
        self._others = frozenset(others)
        self._means, self._history, self._records = means, history, records
        self._was_full = False

    def do(self, name: str, progress: Progress) -> dict[str, Any]:
        """Make the result and the plan of a file, unless they are there; what is told about it.

        Raises:
            FaceBlurError: whatever goes wrong on purpose; there is no result then.
        """
        source = self._source / name
        try:
            result, warnings = choose_result(source, name, self._output, self._others)
            task = Task(name, sha256_of(source), self._means.fingerprint)
            earlier = self._history.finished(task, self._output)
            if earlier is not None:
                return {**earlier, "earlier": True}
            self._withdraw(name)
            self._check(task, result, source.stat().st_size)
            return {**self._make(task, result, progress), "warnings": warnings, "earlier": False}
        except OSError as error:
            self._withdraw(name)
            kind = DiskFull if error.errno in _FULL else OutputError
            raise kind(f"the result cannot be written: {error.strerror}") from error
        except Exception as error:
            self._withdraw(name)
            self._was_full |= isinstance(error, DiskFull)
            raise

    def _withdraw(self, name: str) -> None:
        """Remove what an earlier run made of a file: it may hide others than it should now."""
        owned = [result for result, owner in self._history.owners.items() if owner == name]
        for place in (*owned, plan_name(name)) if owned else ():
            (self._output / place).unlink(missing_ok=True)
            if self._history.was_left_open(name):
                clear_leftovers(self._output / place)

    def _check(self, task: Task, result: str, size: int) -> None:
        """Whether to begin at all."""
        owner = self._history.owners.get(result)
        if owner != task.file and (owner is not None or (self._output / result).exists()):
            raise OutputError("a file that is not of this job has the name of the result; move it")
        if self._history.open[task] >= _TRIES:
            raise Crashing("the process ended each time that this file was tried; look at the log")
        free = shutil.disk_usage(self._output).free
        if free < _LEAST or (self._was_full and free < size):
            raise DiskFull("no room left for a result; give the job a larger volume")

    def _make(self, task: Task, result: str, progress: Progress) -> dict[str, Any]:
        self._records.begin(task, result)
        self._history.owners[result] = task.file
        try:
            plan = self._hide(task, result, progress)
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

    def _hide(self, task: Task, result: str, progress: Progress) -> Plan:
        means, source = self._means, self._source / task.file
        place = self._output / plan_name(task.file)
        place.parent.mkdir(parents=True, exist_ok=True)
        plan = analyse(source, means.settings, means.parts, means.gallery, progress)
        if plan.source.sha256 != task.sha256:
            raise MediaError("the file changed while it was read; try again when it is complete")
        give_back_memory()
        with together(self._output / result, plan, place):
            render(source, plan, self._output / result, means.settings, progress, overwrite=True)
        give_back_memory()
        return plan
