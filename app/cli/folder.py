"""``face-blur blur`` with several inputs or a folder: results, plans and reports in one folder.

The work is that of the Processing job: a file that fails does not stop the others, and a run that
was interrupted continues where it stopped.
"""

from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from app.batch.inputs import Inputs, gather
from app.batch.records import Line
from app.batch.run import Batch, Listener, Totals, run
from app.batch.session import Session, Start, shared_start
from app.cli.outcome import exit_code, print_json, review_words
from app.cli.progress import StatusLine, print_message, warn
from app.config import ServiceSettings, Settings
from app.edits import edited_plan
from app.errors import Interrupted, UsageError
from app.logs import silence_logging
from app.plan import Appearance, Summary, summarise
from app.process import StopSignal
from app.types import Progress
from app.video.kinds import BY_SUFFIX

_SINGLE_OPTIONS = {
    "plan": "--plan",
    "sheet": "--sheet",
    "overwrite": "--overwrite",
    "begin": "--from",
    "end": "--to",
}
"""Options of ``blur`` that have no meaning for a folder."""
_FACTS = ("earlier", "edited", "edits", "reviewers", "open_doubts", "review_required")
"""Fields of a report that are also printed as JSON; reports of earlier versions lack some."""


def is_folder_run(args: Namespace) -> bool:
    """Whether the results go to a folder."""
    return (
        len(args.inputs) > 1 or args.is_folder or any(map(_is_folder, (*args.inputs, args.output)))
    )


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # the name is too long
        return False


def blur_folder(args: Namespace, settings: Settings, stop: StopSignal) -> int:
    """Hide the faces in all files of the inputs; return the exit code.

    Raises:
        UsageError: an option has no meaning here, or inputs, people and output overlap.
        FaceBlurError: as ``app.batch.run.run``.
        Interrupted: a signal arrived.
    """
    _check_options(args, settings)
    inputs = gather(args.inputs)
    _check_folders(args, settings)
    silence_logging()
    start = _start(args, settings, len(inputs.files))
    display = _Display(args, inputs, start.workers)
    batch = Batch(inputs, args.output, args.output)
    try:
        totals = run(batch, start, stop, display)
    except KeyboardInterrupt:
        raise Interrupted("interrupted; the same command continues") from None
    finally:
        display.close()
    return _finish(args, totals)


def _check_options(args: Namespace, settings: Settings) -> None:
    for name, option in _SINGLE_OPTIONS.items():
        if getattr(args, name):
            raise UsageError(
                f"{option} is for one file; {args.output} is a folder, which has plans of its own"
            )
    if settings.select:
        raise UsageError("--select is for one file; use --people for several")


def _check_folders(args: Namespace, settings: Settings) -> None:
    """Check that no folder contains another one."""
    output = args.output.resolve()
    is_file = args.output.exists() or (_is_media_name(args.output) and not args.is_folder)
    if is_file and not args.output.is_dir():
        raise UsageError(f"{args.output}: names a file; name a folder for the results of a folder")
    for path in args.inputs:
        source = path.resolve()
        if not path.is_dir():
            continue
        if output.is_relative_to(source) or source.is_relative_to(output):
            raise UsageError(f"{args.output}: overlaps with {path}; choose another folder")
        if settings.people is not None and settings.people.resolve().is_relative_to(source):
            raise UsageError(f"{settings.people}: the photos are inside {path}; move them away")


def _is_media_name(path: Path) -> bool:
    return path.suffix.lower() in BY_SUFFIX


def _start(args: Namespace, settings: Settings, files: int) -> Start:
    given = {} if args.workers is None else {"workers": args.workers}
    people = None if settings.people is None else str(settings.people)
    return shared_start(settings, ServiceSettings.load(**given), people, files=files, names=True)


def _finish(args: Namespace, totals: Totals) -> int:
    print_message(f"{args.output}: {totals.text}", quiet=args.quiet and not totals.failed)
    if totals.failed:
        return 1
    return exit_code(args, missing=totals.not_found > 0, unreviewed=totals.review_required > 0)


class _Display(Listener):
    """Prints a line for each file, and on a terminal the progress of the file in work."""

    def __init__(self, args: Namespace, inputs: Inputs, workers: int) -> None:
        self._args, self._total = args, len(inputs.files)
        self._status = StatusLine()
        self._has_status = workers == 1 and not args.quiet

    def ready(self, files: int, workers: Sequence[Session]) -> None:  # noqa: ARG002 - known before
        for doubt in workers[0].facts["doubts"]:
            warn(doubt, quiet=self._args.quiet)

    def progress(self, number: int, name: str) -> Progress:
        def show(stage: str, done: int, expected: int | None) -> None:
            if self._has_status:
                part = f" {100 * done // expected} %" if expected else ""
                self._status.show(f"{self._place(number)} {name}: {stage}{part}")

        return show

    def processed(self, number: int, line: Line, summary: Mapping[str, Any] | None) -> None:
        self.close()
        failed = line["status"] == "failed"
        place = f"{self._place(number)} " if number else ""
        print_message(
            f"{place}{line['file']}: {_words(line)}", quiet=self._args.quiet and not failed
        )
        for text in line.get("warnings", ()) if not line.get("earlier") else ():
            warn(f"{line['file']}: {text}", quiet=self._args.quiet)
        if summary is not None:
            self._show_people(_summary(summary))
            if line["review_required"] and (line["edits"] or self._args.require_review):
                warn(f"{line['file']}: {review_words(line['open_doubts'])}", quiet=self._args.quiet)
        if self._args.json and line["status"] != "skipped":
            self._print_json(line, summary)

    def _print_json(self, line: Line, summary: Mapping[str, Any] | None) -> None:
        facts = {name: line[name] for name in ("file", "status", "code", "message")}
        if line["status"] == "done":
            if summary is None:  # of an earlier run
                summary = summarise(edited_plan(self._args.output / line["plan"])).as_json()
            facts |= {name: line[name] for name in _FACTS if name in line} | dict(summary)
        print_json(self._args.output / line["output"] if "output" in line else None, facts)

    def bug(self, number: int, description: Mapping[str, Any]) -> None:
        self.close()
        where = "; ".join(map(str, description.get("where", ())))
        text = f"{self._place(number)} bug: {description.get('error')} {where}"
        print_message(text, quiet=not self._args.debug)

    def close(self) -> None:
        """Remove the progress."""
        if self._has_status:
            self._status.clear()

    def _place(self, number: int) -> str:
        return f"[{number}/{self._total}]"

    def _show_people(self, summary: Summary) -> None:
        for line in summary.lines():
            print_message(f"  {line}", quiet=self._args.quiet)
        for name in summary.not_found:
            warn(f"{name} was not found", quiet=self._args.quiet)


def _words(line: Line) -> str:
    """Return the outcome of a file as words."""
    if line["status"] != "done":
        return f"{line['status']}: {line['message']}"
    if line.get("earlier"):
        return "done by an earlier run"
    edited = ", by its edited plan" if line.get("edited") else ""
    return (
        f"{line['hidden']} of {line['tracks']} face tracks hidden{edited}, {line['seconds']:.1f} s"
    )


def _summary(values: Mapping[str, Any]) -> Summary:
    appearances = tuple(Appearance(**one) for one in values["appearances"])
    return Summary(
        **{**values, "appearances": appearances, "not_found": tuple(values["not_found"])}
    )
