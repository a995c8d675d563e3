"""The command ``verify``, and the second look of ``blur --verify`` and ``render --verify``."""

import json
from argparse import Namespace
from pathlib import Path

from app.cli.progress import make_progress, print_message, warn
from app.edits import edited_plan
from app.errors import VerificationError
from app.pipeline import FaceBlur
from app.plan import Plan, write_plan
from app.types import Progress
from app.verification import Checked, render_checked, verify
from app.video import Media


def show_verification(args: Namespace, session: FaceBlur) -> int:
    """Look at a result, print what was found, and return the exit code.

    Raises:
        PlanError: the plan cannot be read, or belongs to another source.
        MediaError: a file cannot be read.
    """
    plan = edited_plan(args.plan)
    source = None if args.media is None else Media(args.media)
    for doubt in session.gallery.doubts:
        warn(doubt, quiet=args.quiet)
    with make_progress(quiet=args.quiet) as progress:
        found = verify(session, plan, Media(args.result), source, progress)
    if args.json:
        print(json.dumps({"result": str(args.result), **found.as_json()}), flush=True)
    else:
        for line in found.lines():
            print(line, flush=True)
    return 0 if found.clean else VerificationError.exit_code


def render(
    args: Namespace, session: FaceBlur, media: Media, plan: Plan, progress: Progress
) -> Checked | None:
    """Write the result; with the setting ``verify``, look at it before it gets its name.

    Raises:
        VerificationError: a hidden face can still be seen; nothing is written.
        FaceBlurError: as ``FaceBlur.render``.
    """
    if not session.settings.verify:
        session.render(media, plan, args.output, progress, overwrite=args.overwrite)
        return None
    checked = render_checked(session, media, plan, args.output, progress, overwrite=args.overwrite)
    if checked.repaired and args.command == "blur" and args.plan is not None:
        write_plan(checked.plan, args.plan)
    return checked


def show_checked(output: Path, checked: Checked, *, quiet: bool) -> None:
    """Print what the second look has found."""
    for finding in checked.repaired:
        warn(f"{output}: hidden after a second look: {finding.line}", quiet=quiet)
    print_message(
        f"{output}: looked at again: no hidden face can be seen in {checked.frames} frames",
        quiet=quiet,
    )
