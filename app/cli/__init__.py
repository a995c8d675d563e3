"""The command line: parses, calls the library, and turns errors into exit codes.

Exit codes: 0 done, 1 failed, 2 usage or bad input, 130 interrupted. Nothing but what was asked for
goes to stdout; progress, warnings and errors go to stderr, an error as one line.
"""

import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

from app.errors import FaceBlurError, Interrupted
from app.signals import stoppable

__all__ = ["main", "process"]


def process() -> NoReturn:
    """Be the process ``face-blur``: as ``main``, and then out at once.

    Nothing is left to do then, but encoders that were interrupted go on with what they have for
    seconds before they can be taken down in order.
    """
    code = main()
    with suppress(OSError):  # nobody reads any more
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command in ``argv`` (default: those of the process); returns its exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    try:
        with stoppable():
            # Not before: an interruption while libraries are loaded is one like any other.
            from app.cli.parser import make_parser

            parsed = make_parser().parse_args(arguments)
            # Help and wrong options need not wait for the libraries of models and media.
            from app.cli.commands import run

            run(parsed)
    except KeyboardInterrupt:
        return _fail("interrupted, no output was written", Interrupted.exit_code)
    except FaceBlurError as error:
        return _fail(str(error), error.exit_code)
    except Exception as error:  # noqa: BLE001 - the last resort of the process, and it says so
        if "--debug" in arguments:
            traceback.print_exc()
        what = f"{type(error).__name__}: {error}"
        return _fail(f"{what}; this is a bug, run with --debug for the traceback", 1)
    return 0


def _fail(message: str, exit_code: int) -> int:
    print(f"face-blur: error: {' '.join(message.splitlines())}", file=sys.stderr)
    return exit_code
