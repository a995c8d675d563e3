"""``face-blur edits``: list the edits of a plan, take them back, check or take over some."""

import getpass
import json
import os
from argparse import Namespace
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

from app.cli.outcome import counted, edits_words, review_words
from app.cli.progress import print_message, warn
from app.edits import (
    Doubt,
    Edit,
    EditedPlan,
    Editor,
    Target,
    open_existing,
    take_over,
    words_of,
    words_of_doubt,
)
from app.errors import UsageError
from app.files import check_destination
from app.logs import printable
from app.plan import write_plan


def run_edits(args: Namespace) -> int:
    """Run the command ``edits``; return its exit code.

    Raises:
        PlanError: the plan cannot be read or is wrong.
        EditsError: a line of the edits was changed or is missing, or they belong to another plan.
        UsageError: there is no edit to take back or to make again, or an option has no effect.
    """
    if args.reviewer is not None and not (args.undo or args.redo or args.old_plan):
        raise UsageError("--reviewer has no effect if nothing is changed; remove it")
    if args.old_plan is not None:
        _take_over(args)
        return 0
    editor = open_existing(args.plan, args.edits)
    for name, action in _ACTIONS.items():
        if getattr(args, name):
            action(args, editor)
            return 0
    _show(args, editor)
    return 0


def default_reviewer() -> str:
    """Return the name of the user on this machine."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in a container
        return f"user {os.getuid()}"


def _reviewer(args: Namespace) -> str:
    return default_reviewer() if args.reviewer is None else str(args.reviewer)


def _undo(args: Namespace, editor: Editor) -> None:
    undone = editor.undoable
    editor.undo(_reviewer(args))
    _report(args, editor, "taken back", undone)


def _redo(args: Namespace, editor: Editor) -> None:
    redone = editor.redoable
    editor.redo(_reviewer(args))
    _report(args, editor, "made again", redone)


def _report(args: Namespace, editor: Editor, done: str, edit: Edit | None) -> None:
    assert edit is not None
    if args.json:
        print(json.dumps({"edit": editor.journal.edits[-1].number, done: edit.number}))
    else:
        print(printable(f"{done}: {_line(edit)}"))


def _check(args: Namespace, editor: Editor) -> None:
    """Report success: the journal was checked when it was read."""
    edits = len(editor.journal.edits)
    if args.json:
        print(json.dumps({"edits": edits, "head": EditedPlan.of(editor).head}))
    else:
        print(printable(f"{args.plan}: {counted(edits, 'edit')}, complete and unchanged"))


def _export(args: Namespace, editor: Editor) -> None:
    check_destination(args.export, overwrite=False, inputs=(args.plan,))
    write_plan(editor.review.to_plan(), args.export)
    print_message(f"{args.export}: the plan with its edits", quiet=args.quiet)


_ACTIONS: dict[str, Callable[[Namespace, Editor], None]] = {
    "undo": _undo,
    "redo": _redo,
    "check": _check,
    "export": _export,
}
"""What the command does, by the option that asks for it."""


def _take_over(args: Namespace) -> None:
    """Take over the edits of an older plan, and list those that do not fit."""
    done = take_over(Editor.open(args.old_plan), args.plan, _reviewer(args), args.edits)
    if args.json:
        edits = [_edit_json(edit, in_effect=True) for edit in done.edits]
        print(json.dumps({"edits": edits, "unfit": list(done.unfit)}))
        return
    print(f"{counted(len(done.edits), 'edit')} taken over")
    for edit in done.edits:
        print(printable(f"  {_line(edit)}"))
    for text in done.unfit:
        print(printable(f"does not fit: {text}"))


def _show(args: Namespace, editor: Editor) -> None:
    """Print all edits, and the open doubts."""
    edited = EditedPlan.of(editor)
    if args.json:
        print(json.dumps(_as_json(args, editor, edited)))
        return
    for line in _lines(editor, edited):
        print(printable(line))
    if edited.review_required:
        warn(review_words(len(edited.open_doubts)), quiet=args.quiet)


def _lines(editor: Editor, edited: EditedPlan) -> Iterator[str]:
    yield edits_words(edited) if edited.edits else "no edits"
    effective = {edit.number for edit in editor.in_effect}
    for edit in editor.journal.edits:
        was_undone = edit.target.kind != "edit" and edit.number not in effective
        yield f"  {_line(edit)}{' [not in effect]' if was_undone else ''}"
    for doubt in edited.open_doubts:
        yield f"open: {words_of_doubt(doubt)}"


def _line(edit: Edit) -> str:
    return f"{edit.number}  {edit.time}  {edit.reviewer}  {words_of(edit)}"


def _as_json(args: Namespace, editor: Editor, edited: EditedPlan) -> dict[str, Any]:
    effective = {edit.number for edit in editor.in_effect}
    return {
        "plan": str(args.plan),
        "edits": [
            _edit_json(edit, in_effect=edit.number in effective) for edit in editor.journal.edits
        ],
        "reviewers": list(edited.reviewers),
        "head": edited.head,
        "open_doubts": [_doubt_json(doubt) for doubt in edited.open_doubts],
        "review_required": edited.review_required,
    }


def _edit_json(edit: Edit, *, in_effect: bool) -> dict[str, Any]:
    values = asdict(edit) | {"target": _target_json(edit.target)}
    return values | {"words": words_of(edit), "in_effect": in_effect}


def _doubt_json(doubt: Doubt) -> dict[str, Any]:
    return {
        "sort": doubt.sort,
        "target": _target_json(doubt.target),
        "first": doubt.first,
        "last": doubt.last,
        "reason": doubt.reason,
    }


def _target_json(target: Target) -> dict[str, int | str]:
    return {target.kind: target.name}
