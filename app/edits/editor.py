"""The editor: makes edits, keeps them in a journal, and takes them back."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from app.edits.journal import Journal
from app.edits.operations import applied, prepared
from app.edits.records import Edit, Operation, Target
from app.edits.review import Review
from app.errors import EditsError, UsageError
from app.files import sha256_of
from app.plan.files import read_plan
from app.plan.places import edits_path
from app.plan.records import Plan
from app.video import Media


class Editor:
    """A plan with its journal.

    Each undo takes back the last edit that is in effect, and each redo the last undo. Any other
    edit ends the possibility to redo.

    Raises:
        EditsError: the journal has an edit that is impossible.
    """

    def __init__(self, plan: Plan, journal: Journal) -> None:
        self.journal = journal
        self._states = [Review.of(plan)]
        self._done: list[Edit] = []
        self._undone: list[tuple[Edit, Review]] = []
        for edit in journal.edits:
            try:
                self._apply(edit)
            except ValueError as error:
                # Without the reason, which may name people: the service must not.
                raise EditsError(
                    f"{journal.path}: line {edit.number}: the edit does not fit the plan; restore"
                    " the file"
                ) from error

    @staticmethod
    def open(plan: Path, edits: Path | None = None) -> "Editor":
        """Read a plan and its edits; default: those beside it.

        Raises:
            PlanError: the plan cannot be read or is wrong.
            EditsError: the edits are damaged, or belong to another plan.
        """
        read = read_plan(plan)
        return Editor(read, Journal(edits or edits_path(plan), sha256_of(Media(plan))))

    @property
    def review(self) -> Review:
        """The present state."""
        return self._states[-1]

    @property
    def in_effect(self) -> Sequence[Edit]:
        """The edits that were not taken back."""
        return tuple(self._done)

    @property
    def history(self) -> Sequence[tuple[Edit, Review, Review]]:
        """The edits in effect, each with the states before and after it."""
        return tuple(zip(self._done, self._states, self._states[1:], strict=False))

    @property
    def undoable(self) -> Edit | None:
        """The edit that an undo would take back."""
        return self._done[-1] if self._done else None

    @property
    def redoable(self) -> Edit | None:
        """The edit that a redo would make again."""
        return self._undone[-1][0] if self._undone else None

    def edit(self, operation: Operation, target: Target, after: Any, reviewer: str) -> Edit:
        """Make an edit and record it.

        Raises:
            UsageError: the edit is impossible; the message says why.
            EditConflict: somebody else has edited the plan.
            OutputError, DiskFull: the journal cannot be written; the edit is not made.
        """
        try:
            before, completed = prepared(self.review, operation, target, after)
            return self._record(operation, target, before, completed, reviewer)
        except ValueError as error:
            raise UsageError(f"{operation} {target}: {error}") from error

    def undo(self, reviewer: str) -> Edit:
        """Take back the last edit that is in effect; this is recorded too.

        Raises:
            UsageError: no edit is in effect.
            EditConflict, OutputError, DiskFull: as ``edit``.
        """
        if self.undoable is None:
            raise UsageError("there is no edit to take back")
        return self._record("undo", Target("edit", self.undoable.number), None, None, reviewer)

    def redo(self, reviewer: str) -> Edit:
        """Make the edit again that was taken back last; this is recorded too.

        Raises:
            UsageError: no edit was taken back.
            EditConflict, OutputError, DiskFull: as ``edit``.
        """
        if self.redoable is None:
            raise UsageError("there is no edit to make again")
        return self._record("redo", Target("edit", self.redoable.number), None, None, reviewer)

    def _record(
        self, operation: Operation, target: Target, before: Any, after: Any, reviewer: str
    ) -> Edit:
        number = len(self.journal.edits) + 1
        edit = Edit(number, _now(), reviewer, operation, target, before, after, self.journal.head)
        kept = self._states[:], self._done[:], self._undone[:]
        try:
            self._apply(edit)
            self.journal.append(edit)
        except BaseException:
            self._states, self._done, self._undone = kept
            raise
        return edit

    def _apply(self, edit: Edit) -> None:
        if edit.operation == "undo":
            _check_last(edit, self.undoable)
            self._undone.append((self._done.pop(), self._states.pop()))
        elif edit.operation == "redo":
            _check_last(edit, self.redoable)
            again, state = self._undone.pop()
            self._done.append(again)
            self._states.append(state)
        else:
            self._states.append(applied(self.review, edit))
            self._done.append(edit)
            self._undone.clear()


def _check_last(edit: Edit, last: Edit | None) -> None:
    if last is None or edit.target != Target("edit", last.number):
        raise ValueError(f"{edit.operation} is not about the last edit")


def _now() -> str:
    """Return the present time in UTC, in milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
