"""The Processing job: hide faces in all videos and images of a folder, and write a report.

The image runs ``python -m app.job`` as ``process``. Exit codes: 0 all files done, 1 some files
failed, 2 wrong settings or people (before any work), 130 interrupted. A file that fails does not
stop the others. An interrupted run continues where it stopped when it is started again.
``python -m app.job step NAME`` is one step of the pipeline: see ``app.job.steps``.
"""

import sys
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn, TypeAlias

from app.errors import FaceBlurError, Interrupted
from app.job.failures import log_failure, write_failure_message
from app.job.folders import FAILURE_MESSAGE, SAGEMAKER_ROOT, find_folders, make_parser
from app.job.places import find_place, make_step_parser
from app.logs import LOGGER, configure_logging, describe_exception
from app.process import StopSignal, exit_now, stoppable

__all__ = ["main", "process"]

Work: TypeAlias = Callable[[StopSignal], tuple[int, str]]
"""Does the work of a job; returns its exit code, and the reason for it."""
_STEP = "step"
"""The first argument of a step of the pipeline."""


def process() -> NoReturn:
    """Entry point of the job: run ``main``, then exit without waiting for encoders."""
    exit_now(main())


def main(argv: Sequence[str] | None = None) -> int:
    """Run the job of ``argv`` (default: ``sys.argv``) and the environment; return its exit code."""
    configure_logging()
    words = list(sys.argv[1:] if argv is None else argv)
    is_step = words[:1] == [_STEP]
    root = SAGEMAKER_ROOT
    try:
        args = (make_step_parser() if is_step else make_parser()).parse_args(words[is_step:])
        root = args.root
        work, labels = (_step if is_step else _batch)(args)
    except FaceBlurError as error:
        code, message = log_failure(error, {})
    else:
        code, message = _run(work, labels)
    if code:
        write_failure_message(root / FAILURE_MESSAGE, message)
    return code


def _batch(args: Namespace) -> tuple[Work, Mapping[Path, str]]:
    """Return the work on all files of a folder, and the labels of its paths."""
    folders = find_folders(args)

    def work(stop: StopSignal) -> tuple[int, str]:
        # Imported here so that a signal during the import is handled like any other.
        from app.job.diagnosis import write_diagnosis
        from app.job.run import run

        if args.doctor:
            write_diagnosis(args.root, folders.output, folders.people)
        summary = run(folders, stop)
        return int(summary.failed > 0), summary.text

    return work, folders.labels


def _step(args: Namespace) -> tuple[Work, Mapping[Path, str]]:
    """Return the work of a step, and the labels of its paths."""
    place = find_place(args)

    def work(stop: StopSignal) -> tuple[int, str]:
        from app.job.steps import STEPS

        return 0, STEPS[args.step](place, args, stop)

    return work, place.labels


def _run(work: Work, labels: Mapping[Path, str]) -> tuple[int, str]:
    """Do the work; return its exit code and the reason for it."""
    try:
        with stoppable() as stop:
            return work(stop)
    except KeyboardInterrupt:
        message = "interrupted; run it again with the same output to continue"
        LOGGER.error("interrupted", extra={"fields": {"message": message}})
        return Interrupted.exit_code, message
    except FaceBlurError as error:
        return log_failure(error, labels)
    except Exception as error:  # noqa: BLE001 - reports bugs
        LOGGER.critical("internal error", extra={"fields": describe_exception(error)})
        return 1, "internal error of Face blur; see the log of the job"
