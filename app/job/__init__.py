"""The Processing job: hide faces in all videos and images of a folder, and write a report.

The image runs ``python -m app.job`` as ``process``. Exit codes: 0 all files done, 1 some files
failed, 2 wrong settings or people (before any work), 130 interrupted. A file that fails does not
stop the others. An interrupted run continues where it stopped when it is started again.
"""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from app.errors import FaceBlurError, Interrupted
from app.job.folders import FAILURE_MESSAGE, SAGEMAKER_ROOT, Folders, find_folders, make_parser
from app.logs import LOGGER, configure_logging, describe_exception, redact
from app.process import exit_now, stoppable

__all__ = ["main", "process"]

_MAX_MESSAGE_BYTES = 1024
"""The length of a failure message that SageMaker shows."""


def process() -> NoReturn:
    """Entry point of the job: run ``main``, then exit without waiting for encoders."""
    exit_now(main())


def main(argv: Sequence[str] | None = None) -> int:
    """Run the job of ``argv`` (default: ``sys.argv``) and the environment; return its exit code."""
    configure_logging()
    root = SAGEMAKER_ROOT
    try:
        args = make_parser().parse_args(sys.argv[1:] if argv is None else argv)
        root = args.root
        folders = find_folders(args)
    except FaceBlurError as error:
        code, message = _log_failure(error, {})
    else:
        code, message = _run(folders)
    if code:
        _write_failure_message(root / FAILURE_MESSAGE, message)
    return code


def _run(folders: Folders) -> tuple[int, str]:
    """Run the job; return its exit code and the reason for it."""
    try:
        with stoppable() as stop:
            # Imported here so that a signal during the import is handled like any other.
            from app.job.run import run

            summary = run(folders, stop)
    except KeyboardInterrupt:
        message = "interrupted; run it again with the same output to continue"
        LOGGER.error("interrupted", extra={"fields": {"message": message}})
        return Interrupted.exit_code, message
    except FaceBlurError as error:
        return _log_failure(error, folders.labels)
    except Exception as error:  # noqa: BLE001 - reports bugs
        LOGGER.critical("internal error", extra={"fields": describe_exception(error)})
        return 1, "internal error of Face blur; see the log of the job"
    return int(summary.failed > 0), summary.text


def _log_failure(error: FaceBlurError, labels: Mapping[Path, str]) -> tuple[int, str]:
    message = redact(str(error), labels)
    fields = {"code": error.code, "message": message}
    LOGGER.critical("job failed", extra={"fields": fields})
    return error.exit_code, message


def _write_failure_message(path: Path, message: str) -> None:
    """Write the reason of the failure for SageMaker, if its folder exists."""
    if path.parent.is_dir():
        try:
            path.write_bytes(message.encode("utf-8", "replace")[:_MAX_MESSAGE_BYTES])
        except OSError as error:
            fields = describe_exception(error)
            LOGGER.warning("failure message not written", extra={"fields": fields})
