"""The plans that exist before the work on a file: edited ones, and those of an earlier run."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from app.batch.records import History, Task
from app.errors import EditsError, PlanError
from app.files import sha256_of
from app.plan import edits_path, is_edited


@dataclass(frozen=True, slots=True)
class GivenPlan:
    """A plan that exists before the work: ``edited``, or left by an earlier run of this task.

    ``sha256`` is the hash of the plan file, and ``edits`` that of the journal beside it, if any.
    """

    path: Path
    sha256: str
    edited: bool
    edits: str | None = None


def plan_name(name: str) -> str:
    """Return the name of a file's plan, relative to the output.

    >>> plan_name("day 1/a.mp4")
    'plans/day 1/a.mp4.plan.json'
    """
    return f"plans/{name}.plan.json"


def find_edits(plans: Sequence[Path]) -> GivenPlan | None:
    """Return the plan with edits that the result must follow, or None if there are no edits.

    Of two journals, the one that continues the other counts.

    Args:
        plans: the places of the plan, in the output and in an earlier one.

    Raises:
        EditsError: there are edits without their plan, or two plans or journals that contradict
            each other.
    """
    edited = {plan: _content(plan) for plan in plans if is_edited(plan)}
    if any(not plan.is_file() for plan in edited):
        raise EditsError(
            "there are edits without their plan; restore the plan, or move the edits away"
        )
    for plan, content in edited.items():
        if all(content.startswith(other) for other in edited.values()):
            sha256 = sha256_of(plan)
            if any(other.is_file() and sha256_of(other) != sha256 for other in plans):
                break
            return GivenPlan(plan, sha256, True, hashlib.sha256(content).hexdigest())
    if edited:
        raise EditsError(
            "its plan or edits in the output differ from those in the earlier one; move some away"
        )
    return None


def _content(plan: Path) -> bytes:
    try:
        return edits_path(plan).read_bytes()
    except OSError as error:
        raise EditsError("the edits of its plan cannot be read; restore them") from error


def check_edited(history: History, task: Task) -> None:
    """Check that an edited plan comes from this task, if the reports know its analysis.

    Raises:
        PlanError: it does not.
    """
    _, analysed = history.newest.get(task.file, ("", task))
    if analysed == task:
        return
    changed = "file" if analysed.sha256 != task.sha256 else "settings or photos"
    raise PlanError(
        f"its plan was edited, but the {changed} changed; use those again, or move the plan and its"
        " edits away to analyse the file anew"
    )
