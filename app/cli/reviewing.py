"""``face-blur review``: look at who was hidden, correct it, and write the result."""

import argparse
import getpass
from argparse import Namespace
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from app.cli.progress import print_message
from app.config import Settings
from app.errors import OutputError, UsageError
from app.pipeline import first_possible, result_names
from app.video import Media

if TYPE_CHECKING:
    from app.review.desk import Case

REVIEW_REQUIRED = 3
"""Exit code if a doubt was not settled: the result may be complete, and needs a look."""
_PACKAGE = "flask"
"""Of the extra ``service``, which the lean installation does not have."""
_FOLDER = Path("face-blur-review")
"""Where the files of a review without a video go: visible, in the working folder."""


def add_review_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``review``, but for those of settings."""
    parser.add_argument(
        "inputs",
        nargs="*",
        type=Path,
        metavar="INPUT",
        help="video or image (default: choose files in the page)",
    )
    parser.add_argument(
        "--plan",
        type=Path,
        metavar="PLAN",
        help="plan to review (default: INPUT with .plan.json; made if it is missing)",
    )
    parser.add_argument(
        *("-o", "--output"),
        type=Path,
        metavar="OUT",
        help="result to write (default: INPUT with .hidden before its suffix)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing result")
    parser.add_argument("--reviewer", metavar="NAME", help="your name (default: the login name)")
    parser.add_argument(
        "--folder",
        type=Path,
        default=_FOLDER,
        metavar="DIR",
        help=f"folder for files that are chosen in the page (default: {_FOLDER})",
    )
    parser.add_argument("--port", type=_port, default=0, metavar="N", help="port (default: any)")
    parser.add_argument("--no-browser", action="store_true", help="only print the address")
    parser.add_argument("--quiet", action="store_true", help="print nothing but the address")


def review(args: Namespace, settings: Settings) -> int:
    """Serve the review until it is interrupted; return the exit code.

    Raises:
        UsageError: options contradict each other, or a package is missing.
        PlanError: a plan or its edits are wrong.
        OutputError: the result or the port cannot be used.
    """
    if find_spec(_PACKAGE) is None:
        raise UsageError("the review needs flask; install face-blur with its extra service")
    # Flask is slow to import, and belongs to an extra.
    from app.review.desk import Desk
    from app.review.server import ReviewServer

    if len(args.inputs) != 1 and (args.plan is not None or args.output is not None):
        raise UsageError("--plan and --output are for one INPUT; remove them")
    desk = Desk(args.reviewer or _login(), settings, None if args.inputs else args.folder)
    for path in args.inputs:
        desk.add(_case(args, path))
    server = ReviewServer(desk, args.port)
    print(server.url, flush=True)
    print_message("press Ctrl-C to end the review", quiet=args.quiet)
    with suppress(KeyboardInterrupt):
        server.run(browse=not args.no_browser)
    return _end(desk.open_doubts(), quiet=args.quiet)


def _end(doubts: Sequence[tuple[str, int]], *, quiet: bool) -> int:
    """Say which videos still need a review, and return the exit code."""
    for name, number in doubts:
        if number:
            print_message(f"{name}: review required, {number} open", quiet=quiet)
    return REVIEW_REQUIRED if any(number for _, number in doubts) else 0


def _case(args: Namespace, path: Path) -> "Case":
    from app.review.desk import Case

    media = Media(path)
    plan = args.plan or path.with_name(f"{path.stem}.plan.json")
    output = args.output or _output(media, path)
    case = Case(path, plan, output)
    if output.exists() and not (args.overwrite or case.has_result):
        raise OutputError(f"{output}: exists; choose another name with -o, or add --overwrite")
    return case


def _output(media: Media, path: Path) -> Path:
    names = result_names(f"{path.stem}.hidden{path.suffix}", media.kind)
    name, _ = first_possible(media, path.parent, names, overwrite=True)
    return path.with_name(name)


def _login() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user without a name, as in containers
        return "reviewer"


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) < 2**16):
        raise argparse.ArgumentTypeError("must be a number from 0 to 65535")
    return int(text)
