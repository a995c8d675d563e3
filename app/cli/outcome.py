"""The end of a run: the summary for people or as JSON, the contact sheet, and the exit code."""

import json
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.cli.progress import print_message, warn
from app.contact_sheet import contact_sheet, save_png
from app.edits import EditedPlan, list_words
from app.plan import NO_FACE_FOUND, Plan, Summary, summarise
from app.video import Media, open_source

NEEDS_A_LOOK = 3
"""Exit code with ``--require-found`` if a listed person was not found, and with
``--require-review`` if doubts are open: the result is complete, and needs a look."""


def show_plan(args: Namespace, edited: EditedPlan, more: Mapping[str, Any] | None = None) -> int:
    """Print the summary of a finished run, in JSON with ``more``, and return its exit code."""
    summary = summarise(edited.plan)
    show_summary(args.output, summary, quiet=args.quiet)
    if edited.review_required and (args.command == "render" or args.require_review):
        warn(review_words(len(edited.open_doubts)), quiet=args.quiet)
    if args.json:
        print_json(args.output, summary.as_json() | edited.facts() | dict(more or {}))
    return exit_code(args, missing=bool(summary.not_found), unreviewed=edited.review_required)


def edits_words(edited: EditedPlan) -> str:
    """Return the number of edits, and the names of the reviewers."""
    return f"{counted(edited.edits, 'edit')} by {list_words(edited.reviewers)}"


def review_words(doubts: int) -> str:
    """Return the warning that a result must not be published yet."""
    return f"review required: {counted(doubts, 'doubt')} open"


def counted(number: int, noun: str) -> str:
    """Return a number with its noun.

    >>> counted(1, "edit"), counted(2, "edit")
    ('1 edit', '2 edits')
    """
    return f"{number} {noun}{'' if number == 1 else 's'}"


def draw_sheet(media: Media, plan: Plan, output: Path, sheet: Path) -> None:
    """Write the contact sheet of a finished run as PNG.

    Raises:
        OutputError, DiskFull: it cannot be written; the result is complete.
    """
    save_png(contact_sheet(open_source(media), open_source(Media(output)), plan), sheet)


def show_summary(output: Path, summary: Summary, *, quiet: bool) -> None:
    """Print the counts, a line for each person, and warnings."""
    print_message(f"{output}: {headline(summary)}", quiet=quiet)
    for line in summary.lines():
        print_message(f"  {line}", quiet=quiet)
    if not summary.tracks:
        warn(f"{output}: {NO_FACE_FOUND}", quiet=quiet)
    for name in summary.not_found:
        warn(f"{name} was not found in this video", quiet=quiet)


def headline(summary: Summary) -> str:
    """Return the number of hidden faces as words."""
    return f"{summary.hidden} of {summary.tracks} face tracks hidden"


def print_json(output: Path | None, summary: Mapping[str, Any]) -> None:
    """Print one line of JSON on stdout: the summary of a run, and its result or None."""
    # ASCII, so that names that are not valid Unicode become escapes.
    print(json.dumps({"output": None if output is None else str(output), **summary}), flush=True)


def exit_code(args: Namespace, *, missing: bool, unreviewed: bool) -> int:
    """Return the exit code of a run without failures.

    ``missing``: a listed person was not found; ``unreviewed``: doubts are open.
    """
    needs_a_look = (args.require_found and missing) or (args.require_review and unreviewed)
    return NEEDS_A_LOOK if needs_a_look else 0
