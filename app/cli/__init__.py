"""The command line: parse the arguments, run the command, and turn errors into exit codes.

Exit codes: 0 done, 1 failed, 2 usage error or bad input, 3 a hidden face can be seen (verify,
--verify), with --require-found a listed person was not found, with --require-review a doubt is
open, or a review or report says that a review is required, 130 interrupted. Only the output of a
command goes to stdout. Progress, warnings and errors go to stderr; an error is one line.
"""

import sys
import traceback
from collections.abc import Sequence
from typing import NoReturn

from app.errors import FaceBlurError, Interrupted
from app.logs import printable
from app.process import exit_now, stoppable, use_one_blas_thread

__all__ = ["main", "process"]


def process() -> NoReturn:
    """Entry point of ``face-blur``: run ``main``, then exit without waiting for encoders."""
    use_one_blas_thread()
    exit_now(main())


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command in ``argv`` (default: ``sys.argv``), and return its exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    try:
        with stoppable() as stop:
            # Imported here so that a signal during the import is handled like any other.
            from app.cli.parser import make_parser

            # Without a command, the help says which there are.
            parsed = make_parser().parse_args(arguments or ["--help"])
            if "run" in parsed:
                parsed.run(parsed)
                return 0
            # After parsing: --help and wrong options need not wait for the libraries.
            from app.cli.commands import run

            return run(parsed, stop)
    except KeyboardInterrupt:
        return _fail("interrupted, no output was written", Interrupted.exit_code)
    except FaceBlurError as error:
        return _fail(str(error), error.exit_code)
    except Exception as error:  # noqa: BLE001 - reports bugs
        if "--debug" in arguments:
            traceback.print_exc()
        summary = f"{type(error).__name__}: {error}"
        return _fail(f"{summary}; this is a bug, run with --debug for the traceback", 1)


def _fail(message: str, exit_code: int) -> int:
    line = printable(" ".join(message.splitlines()))
    print(f"face-blur: error: {line}", file=sys.stderr)
    return exit_code
