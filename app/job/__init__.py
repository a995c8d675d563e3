"""The Processing job: every video and image of a folder into another one, with a report.

``python -m app.job`` is what the image runs as ``process``. Exit codes: 0 all done, 1 some files
failed, 2 wrong settings or people, before any work, 130 interrupted. A file that fails never stops
the others, and a run that was interrupted goes on where it was when it is started again.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from app.errors import FaceBlurError, Interrupted
from app.job.folders import MESSAGE, ROOT, Folders, find_folders, make_parser
from app.logs import LOGGER, describe, public, start_logging
from app.signals import stoppable

__all__ = ["main", "process"]

_LONGEST = 1024
"""Bytes of a message that SageMaker shows."""


def process() -> NoReturn:
    """Be the process: as ``main``, and then out at once, without waiting for encoders."""
    code = main()
    with suppress(OSError):  # nobody reads any more
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def main(argv: Sequence[str] | None = None) -> int:
    """Do the job that ``argv`` (default: of the process) and the environment ask for."""
    start_logging()
    root = ROOT
    try:
        given = make_parser().parse_args(sys.argv[1:] if argv is None else argv)
        root = given.root
        places = find_folders(given)
    except FaceBlurError as error:
        code, message = _stopped(error, {})
    else:
        code, message = _run(places)
    if code:
        _leave(root / MESSAGE, message)
    return code


def _run(places: Folders) -> tuple[int, str]:
    """The exit code, and why it is what it is."""
    try:
        with stoppable() as stop:
            # Not before: an interruption while libraries are loaded is one like any other.
            from app.job.run import run

            summary = run(places, stop)
    except KeyboardInterrupt:
        message = "interrupted; run it again on the same output to go on"
        LOGGER.error("interrupted", extra={"fields": {"message": message}})
        return Interrupted.exit_code, message
    except FaceBlurError as error:
        return _stopped(error, places.labels)
    except Exception as error:  # noqa: BLE001 - the last resort of the process, and it says so
        LOGGER.critical("bug", extra={"fields": describe(error)})
        return 1, "a fault of Face blur; its log tells where"
    return int(summary.failed > 0), summary.text


def _stopped(error: FaceBlurError, labels: Mapping[Path, str]) -> tuple[int, str]:
    message = public(str(error), labels)
    fields = {"code": error.code, "message": message}
    LOGGER.critical("stopped", extra={"fields": fields})
    return error.exit_code, message


def _leave(path: Path, message: str) -> None:
    """Write what SageMaker shows as the reason, where it is SageMaker that runs this."""
    if path.parent.is_dir():
        try:
            path.write_bytes(message.encode("utf-8", "replace")[:_LONGEST])
        except OSError as error:
            LOGGER.warning("no message", extra={"fields": describe(error)})
