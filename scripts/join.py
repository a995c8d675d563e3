"""Join the rendered pieces of a video, without encoding them.

    python -m scripts.join MANIFEST RESULTS --source VIDEO -o OUT

Sound and all other streams come from the original video. A file is refused unless its tag and its
frames show that it is the right piece, rendered. See docs/long-videos.md.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from app.errors import FaceBlurError, Interrupted, OutputError, UsageError
from app.logs import printable
from app.pieces import join, join_plans, read_manifest
from app.plan import write_plan
from app.video import Writing


def make_parser() -> argparse.ArgumentParser:
    """Return the options of the command."""
    parser = argparse.ArgumentParser(
        description="Join the rendered pieces of a video.", allow_abbrev=False
    )
    parser.add_argument("manifest", type=Path, metavar="MANIFEST")
    parser.add_argument("results", type=Path, metavar="RESULTS", help="folder with the results")
    parser.add_argument("--source", type=Path, metavar="VIDEO", required=True)
    parser.add_argument("-o", "--output", type=Path, metavar="OUT", required=True)
    parser.add_argument("--plans", type=Path, metavar="FOLDER", help="plans of the pieces")
    parser.add_argument("--plan", type=Path, metavar="PLAN", help="write one plan for the video")
    parser.add_argument(
        "--keep-location", action="store_true", help="keep location and device metadata"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace existing files")
    return parser


def run(args: argparse.Namespace) -> None:
    """Join the pieces, and their plans if requested.

    Raises:
        FaceBlurError: joining failed; no output was written.
    """
    if (args.plans is None) != (args.plan is None):
        raise UsageError(
            "--plans and --plan belong together: the folder of plans, and the file to write"
        )
    plan = None
    if args.plan is not None:
        if args.plan.exists() and not args.overwrite:
            raise OutputError(
                f"{args.plan}: already exists; choose another name or use --overwrite"
            )
        plan = join_plans(read_manifest(args.manifest), args.plans)
    writing = Writing(overwrite=args.overwrite, keep_location=args.keep_location)
    warnings = join(args.manifest, args.results, args.source, args.output, writing)
    for warning in warnings:
        print(f"join: warning: {printable(warning)}", file=sys.stderr)
    if plan is not None:
        write_plan(plan, args.plan)
    print(printable(f"{args.output}: all pieces joined"))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0, 1 failed, 2 usage or bad input, 130."""
    parser = make_parser()
    args = parser.parse_args(argv)
    try:
        run(args)
    except KeyboardInterrupt:
        print("join: error: interrupted, nothing was written", file=sys.stderr)
        return Interrupted.exit_code
    except FaceBlurError as error:
        print(f"join: error: {printable(' '.join(str(error).split()))}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
