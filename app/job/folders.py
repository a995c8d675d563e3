"""The folders of a job, those of a SageMaker Processing container by default, and their files."""

import os
import re
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from app import process
from app.errors import ConfigError, UsageError, reason_of
from app.validation import parse_json

SAGEMAKER_ROOT = Path("/opt/ml")
"""The folder in which SageMaker mounts all others."""
FAILURE_MESSAGE = Path("output", "message")
"""The file, below the root, whose content SageMaker shows as the reason of a failure."""
_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


@dataclass(frozen=True, slots=True)
class Folders:
    """The folders of one job.

    ``people`` is a folder or an ``s3://`` prefix, or None if no people are given. ``done`` may hold
    the ``plans`` and ``reports`` of an earlier output. ``host`` is the name of the report.
    """

    input: Path
    output: Path
    people: str | None
    done: Path
    host: str

    @property
    def labels(self) -> dict[Path, str]:
        """Replacements for the folders in messages that must not contain paths."""
        return {self.input: "the input", self.output: "the output", self.done: "the earlier output"}


def make_parser() -> ArgumentParser:
    """Make the parser of ``process``."""
    parser = process.ArgumentParser(
        prog="process",
        description="Hide faces in every video and image of a folder.",
        epilog="Settings are environment variables (FACE_BLUR_*). Exit codes: 0 all files done, "
        "1 some files failed, 2 wrong settings or people, 130 interrupted.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "--root",
        type=Path,
        default=SAGEMAKER_ROOT,
        help="folder of all other folders (default: %(default)s)",
    )
    parser.add_argument(
        "--input", type=Path, help="videos and images (default: ROOT/processing/input)"
    )
    parser.add_argument("--output", type=Path, help="results (default: ROOT/processing/output)")
    parser.add_argument(
        "--people",
        help="reference photos (default: FACE_BLUR_PEOPLE, ROOT/processing/people or "
        "ROOT/model/people)",
    )
    parser.add_argument(
        "--done",
        type=Path,
        help="plans and reports of an earlier output (default: ROOT/processing/done)",
    )
    parser.add_argument(
        "--doctor",
        action="store_true",
        help="first write what the machine and the folders have to doctor.json in the output",
    )
    return parser


def find_folders(args: Namespace, environment: Mapping[str, str] = os.environ) -> Folders:
    """Return the folders in the arguments, and the defaults for the others.

    Raises:
        UsageError: the input is missing, a folder cannot be read, or one contains another.
        ConfigError: SageMaker's configuration has no valid host name.
    """
    try:
        folders = _choose_folders(args, environment)
        _check_folders(folders)
    except OSError as error:
        raise UsageError(f"a folder of the job cannot be read: {reason_of(error)}") from error
    return folders


def _choose_folders(args: Namespace, environment: Mapping[str, str]) -> Folders:
    root: Path = args.root
    processing = root / "processing"
    people = args.people or environment.get("FACE_BLUR_PEOPLE")
    return Folders(
        input=args.input or processing / "input",
        output=args.output or processing / "output",
        people=people or _first_with_files((processing / "people", root / "model" / "people")),
        done=args.done or processing / "done",
        host=_read_host(root / "config" / "resourceconfig.json"),
    )


def _first_with_files(folders: Sequence[Path]) -> str | None:
    """Return the first folder that has visible content."""
    for folder in folders:
        if folder.is_dir() and any(not one.name.startswith(".") for one in folder.iterdir()):
            return str(folder)
    return None


def _read_host(config: Path) -> str:
    try:
        host = parse_json(config.read_text("utf-8"))["current_host"]
    except FileNotFoundError:
        return "local"
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ConfigError("resourceconfig.json has no current_host") from error
    if not isinstance(host, str) or not _HOST.fullmatch(host):
        raise ConfigError("current_host in resourceconfig.json is not a valid host name")
    return host


def _check_folders(folders: Folders) -> None:
    if not folders.input.is_dir():
        raise UsageError("the input folder is missing; mount it, or name it with --input")
    source, target = folders.input.resolve(), folders.output.resolve()
    if target.is_relative_to(source) or source.is_relative_to(target):
        raise UsageError("input and output overlap; choose another folder")
    if folders.people is not None and Path(folders.people).resolve().is_relative_to(source):
        raise UsageError("the folder of people is inside the input; choose another folder")
