"""``face-blur report``: write the report of a review as one HTML page."""

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.cli.progress import make_progress, print_message
from app.config import Settings
from app.errors import OutputError, UsageError
from app.files import check_destination

if TYPE_CHECKING:
    from app.pipeline import LastResult

REVIEW_REQUIRED = 3
"""Exit code if a doubt is open, or the result does not fit: the report is complete."""


def add_report(commands: Any) -> None:
    """Add the command ``report``; ``commands`` are the subparsers of the parser."""
    parser = commands.add_parser(
        "report",
        help="write a report of a plan, its edits and its result",
        description="Write one HTML page: people, doubts, pictures with hidden faces, edits and"
        " hashes. It loads nothing, and can be printed. Exit code 3: a review is required.",
        allow_abbrev=False,
    )
    parser.add_argument("plan", type=Path, help="plan written by analyse")
    parser.add_argument(
        "--media",
        type=Path,
        required=True,
        metavar="IN",
        help="video or image for which the plan was made",
    )
    parser.add_argument("--result", type=Path, metavar="OUT", help="rendered video or image")
    parser.add_argument(
        "--people", metavar="DIR", help="folder of reference photos, to report doubts about them"
    )
    parser.add_argument(
        "--edits",
        type=Path,
        metavar="FILE",
        help="edits of a reviewer (default: PLAN.edits.jsonl, without .json, beside the plan)",
    )
    parser.add_argument(
        "--verification",
        type=Path,
        metavar="FILE",
        help="what face-blur verify --json has printed about the result",
    )
    parser.add_argument(
        *("-o", "--output"),
        type=Path,
        required=True,
        metavar="REPORT.html",
        help="page to write",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing page")
    parser.add_argument("--quiet", action="store_true", help="show no progress and no state")
    parser.add_argument("--config", type=Path, metavar="FILE", help="TOML file of settings")
    parser.add_argument(
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="set any setting of the rendering or of the models (repeatable)",
    )
    parser.add_argument("--debug", action="store_true", help="show the traceback of a bug")


def report(args: Namespace, settings: Settings) -> int:
    """Write the report, print its state, and return the exit code.

    Raises:
        FaceBlurError: an input cannot be used, or the page cannot be written.
    """
    # --help need not wait for the libraries.
    from app.edits import Editor, edits_path
    from app.plan.settings import rendering_settings
    from app.reporting import make_report, read_second_look, write_report
    from app.video import Media

    edits = args.edits or edits_path(args.plan)
    if args.edits is not None and not edits.exists():
        raise UsageError(f"{edits}: does not exist; leave out --edits if nothing was edited")
    _check_output(args, edits)
    second_look = None if args.verification is None else read_second_look(args.verification)
    editor, media = Editor.open(args.plan, edits), Media(args.media)
    settings = rendering_settings(editor.review.plan, settings, args.plan)
    media.accept_truncated = settings.accept_truncated
    with make_progress(quiet=args.quiet) as progress:
        made = make_report(
            editor,
            media,
            settings,
            result=args.result,
            last=_last_result(args),
            second_look=second_look,
            people=settings.people,
            progress=progress,
        )
    write_report(made, args.output, overwrite=args.overwrite)
    print_message(f"{args.output}: {made.sentence}", quiet=args.quiet)
    return 0 if made.is_done else REVIEW_REQUIRED


def _last_result(args: Namespace) -> "LastResult | None":
    """Return the record that a review has made of its last rendering, if there is one.

    Raises:
        PlanError: it is damaged.
    """
    from app.pipeline import LastResult
    from app.review.rendering import record_path

    record = record_path(args.plan)
    return LastResult.read(record) if args.result is not None and record.exists() else None


def _check_output(args: Namespace, edits: Path) -> None:
    """Check before any work that the page can be written, and is no input.

    Raises:
        OutputError: it cannot, or is one.
    """
    given = (args.media, args.plan, edits, args.result, args.verification)
    inputs = tuple(path for path in given if path is not None)
    check_destination(args.output, overwrite=args.overwrite, inputs=inputs)
    if args.output.suffix.lower() not in {".html", ".htm"}:
        raise OutputError(f"{args.output}: is no HTML file; give it a name that ends in .html")
