"""The plan to render: a plan with its edits, and the facts about them for a report."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from app.edits.doubts import Doubt, open_doubts
from app.edits.editor import Editor
from app.edits.review import Review
from app.errors import EditsError
from app.plan.cards import decided
from app.plan.files import read_plan
from app.plan.records import Plan


@dataclass(frozen=True)
class EditedPlan:
    """A plan after edits.

    Attributes:
        review: the state after the edits.
        edits: the number of lines of the journal.
        reviewers: the names of those who made them, in the order of their first edits.
        head: the hash of the last line, or None without edits.
    """

    review: Review
    edits: int = 0
    reviewers: tuple[str, ...] = ()
    head: str | None = None

    @staticmethod
    def of(editor: Editor) -> "EditedPlan":
        """Return the present state of an editor."""
        edits = editor.journal.edits
        reviewers = tuple(dict.fromkeys(edit.reviewer for edit in edits))
        return EditedPlan(
            editor.review, len(edits), reviewers, editor.journal.head if edits else None
        )

    @cached_property
    def plan(self) -> Plan:
        """The plan to render."""
        return self.review.to_plan()

    @cached_property
    def open_doubts(self) -> tuple[Doubt, ...]:
        """The doubts that nobody has settled."""
        return tuple(open_doubts(self.review))

    @property
    def review_required(self) -> bool:
        """Whether somebody must still look at something before the result is published."""
        return bool(self.open_doubts)

    def facts(self) -> dict[str, Any]:
        """Return the facts about the edits as JSON-ready values."""
        return {
            "edits": self.edits,
            "reviewers": list(self.reviewers),
            "open_doubts": len(self.open_doubts),
            "review_required": self.review_required,
        }

    def decided(self, *, hide: Collection[str] = (), keep: Collection[str] = ()) -> "EditedPlan":
        """Return the plan with all tracks of some people hidden or kept.

        Raises:
            UsageError: a name is not that of a card, or is in both lists.
        """
        if not hide and not keep:
            return self
        known = self.review.tracks
        tracks = decided(self.plan, hide=hide, keep=keep).tracks
        changed = self.review.with_tracks([track for track in tracks if track.id in known])
        return replace(self, review=changed)


def open_existing(plan: Path, edits: Path | None = None) -> Editor:
    """Read a plan and its edits; a journal that is named must have some.

    Args:
        plan: the plan.
        edits: its journal; default: the one beside it, if there is one.

    Raises:
        PlanError: the plan cannot be read or is wrong.
        EditsError: the edits are damaged or missing, or belong to another plan.
    """
    if edits is not None and not edits.exists():
        raise EditsError(f"{edits}: does not exist; name the file with the edits of the plan")
    editor = Editor.open(plan, edits)
    if edits is not None and not editor.journal.edits:
        raise EditsError(f"{edits}: has no edits; name the file with the edits of the plan")
    return editor


def with_edits(plan: Path, edits: Path | None = None, *, ignore: bool = False) -> EditedPlan:
    """Read a plan and its edits.

    Args:
        plan: the plan.
        edits: its journal; default: the one beside it, if there is one.
        ignore: leave the edits out.

    Raises:
        PlanError: the plan cannot be read or is wrong.
        EditsError: the edits are damaged or missing, or belong to another plan.
    """
    if ignore:
        return EditedPlan(Review.of(read_plan(plan)))
    return EditedPlan.of(open_existing(plan, edits))


def edited_plan(plan: Path | str, edits: Path | str | None = None) -> Plan:
    """Return a plan with its edits, to be rendered; default: those beside it, if there are any.

    Raises:
        PlanError: the plan cannot be read or is wrong.
        EditsError: the edits are damaged or missing, or belong to another plan.
    """
    return with_edits(Path(plan), None if edits is None else Path(edits)).plan
