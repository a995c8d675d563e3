"""What all commands have in common: options, errors as one line, and exit codes."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeAlias

from app.errors import FaceBlurError, Interrupted
from scripts.aws.cloud import Cloud
from scripts.aws.variables import Variables, add_options, given

Run: TypeAlias = Callable[[Cloud, argparse.Namespace], None]
"""Does the work of a command; raises ``FaceBlurError`` where it fails."""


def make_parser(description: str) -> argparse.ArgumentParser:
    """A parser with the options that every command has; those of its own are added to it."""
    parser = argparse.ArgumentParser(description=description, allow_abbrev=False)
    parser.add_argument("--config", type=Path, metavar="FILE", help="instead of variables.py")
    parser.add_argument(
        "--dry-run", action="store_true", help="change nothing; print the requests that would"
    )
    add_options(parser)
    return parser


def main(parser: argparse.ArgumentParser, run: Run, argv: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code: 0, 1 failed, 2 usage, 130 interrupted."""
    args = parser.parse_args(argv)
    try:
        cloud = Cloud(Variables.load(given(args), args.config), dry_run=args.dry_run)
        run(cloud, args)
    except KeyboardInterrupt:
        return _fail(parser.prog, "interrupted", Interrupted.exit_code)
    except FaceBlurError as error:
        return _fail(parser.prog, str(error), error.exit_code)
    return 0


def _fail(name: str, message: str, code: int) -> int:
    print(f"{name}: error: {' '.join(message.split())}", file=sys.stderr)
    return code
