"""The end of a run: the summary for people or as JSON, the contact sheet, and the exit code."""

import json
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from app.cli.progress import print_message, warn
from app.plan import NO_FACE_FOUND, Plan, Summary, summarise
from app.report import contact_sheet, save_png
from app.video import Media, open_source

NOT_FOUND = 3
"""Exit code with ``--require-found`` if a listed person was not found: the result is complete, and
needs a look."""


def show_plan(args: Namespace, plan: Plan, more: Mapping[str, Any] | None = None) -> int:
    """Print the summary of a finished run, in JSON with ``more``, and return its exit code."""
    summary = summarise(plan)
    show_summary(args.output, summary, quiet=args.quiet)
    if args.json:
        print_json(args.output, {**summary.as_json(), **(more or {})})
    return exit_code(args, missing=bool(summary.not_found))


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


def exit_code(args: Namespace, *, missing: bool) -> int:
    """Return the exit code of a run without failures."""
    return NOT_FOUND if args.require_found and missing else 0
