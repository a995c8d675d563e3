"""The arguments and folders of a step of the pipeline, which works on one file."""

import json
import shutil
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from app import process
from app.errors import MediaError, UsageError
from app.files import write_file
from app.job.folders import SAGEMAKER_ROOT

STEP_NAMES = ("split", "hide", "join", "verify", "doctor", "verify-results")
_WITHOUT_FILE = frozenset({"doctor", "verify-results"})
"""Steps that do not work on one file."""
_PIECE_SECONDS = 120
"""Long enough that the start of an analysis does not count, short enough for many instances."""
_LONGEST_SECONDS = 900
"""A transform job has an hour for each object: two cores need it for 15 minutes of 1080p."""


@dataclass(frozen=True, slots=True)
class Place:
    """The file of a step, and its folders.

    Attributes:
        root: the folder of all others.
        source: the video or image.
        name: the name of its result, relative to the output, with slashes.
    """

    root: Path
    source: Path
    name: str

    @property
    def output(self) -> Path:
        """The folder whose content is uploaded when the step ends."""
        return self.folder("output")

    @property
    def scratch(self) -> Path:
        """A folder for files that are not uploaded, on the disk of the job."""
        return self.folder("scratch")

    @property
    def labels(self) -> dict[Path, str]:
        """Replacements for paths in messages that must not contain any."""
        return {self.source: "the video", self.root: "the job"}

    def folder(self, name: str) -> Path:
        """Return the folder of an input or output."""
        return self.root / "processing" / name

    def publish(self, result: Path, name: str, plan: Path, report: Mapping[str, object]) -> None:
        """Move a finished result into the output, after its plan and its report.

        Raises:
            OutputError, DiskFull: a file cannot be written.
        """
        _move(plan, self.output / "plans" / f"{self.name}.plan.json")
        target = self.output / "reports" / f"{self.name}.json"
        target.parent.mkdir(parents=True, exist_ok=True)
        write_file(target, (json.dumps(report, indent=1) + "\n").encode())
        _move(result, self.output / name)


def _move(file: Path, target: Path) -> None:
    """Move a file, maybe to another disk; it gets its name when it is complete."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name[:200]}.part")
    shutil.move(file, part)
    part.replace(target)


def make_step_parser() -> ArgumentParser:
    """Make the parser of ``step``."""
    parser = process.ArgumentParser(
        prog="step",
        description="Do one step of the pipeline, on the only file in ROOT/processing/input. "
        "doctor looks at the machine, and verify-results at the results of another job.",
        epilog="Settings are environment variables (FACE_BLUR_*).",
        allow_abbrev=False,
    )
    parser.add_argument("step", choices=STEP_NAMES)
    parser.add_argument("--root", type=Path, default=SAGEMAKER_ROOT, help="folder of all others")
    parser.add_argument("--key", default="", help="key of the file in its bucket")
    parser.add_argument("--prefix", default="", help="prefix of the key that results do not have")
    parser.add_argument(
        "--seconds", type=int, default=_PIECE_SECONDS, help="split: length of a piece"
    )
    parser.add_argument(
        "--longest",
        type=int,
        default=_LONGEST_SECONDS,
        help="split: length of a piece that one machine can still do; if one is longer, the video "
        "stays in one piece",
    )
    parser.add_argument("--instances", type=int, default=1, help="split: most machines for pieces")
    return parser


def find_place(args: Namespace) -> Place:
    """Return the file and the folders of a step; without a file, its source is their folder.

    Raises:
        UsageError: there is not exactly one file, or its key is no possible name.
    """
    folder = args.root / "processing" / "input"
    if args.step in _WITHOUT_FILE:
        return Place(args.root, folder, "")
    if not args.key:
        raise UsageError("the step works on one file; give its --key")
    files = [path for path in folder.rglob("*") if path.is_file()] if folder.is_dir() else []
    if len(files) != 1:
        raise UsageError(f"the input has {len(files)} files, not one; see its manifest")
    return Place(args.root, files[0], result_name(args.key, args.prefix))


def result_name(key: str, prefix: str) -> str:
    """Return the name of the result of a key, relative to the output.

    Raises:
        UsageError: the name would leave the folder, or end as a folder.

    >>> result_name("input/monday/a.mp4", "input/")
    'monday/a.mp4'
    """
    name = key.removeprefix(prefix)
    parts = name.split("/")
    if any(part in {"", ".", ".."} for part in parts) or "\0" in name:
        raise UsageError("the key has an empty part, or one that means a folder; rename the object")
    return str(PurePosixPath(name))


def only_file(folder: Path, name: str) -> Path:
    """Return the file of a name in a folder or below it.

    Raises:
        MediaError: the folder has no file of this name, or several.
    """
    found = [path for path in folder.rglob(name) if path.is_file()] if folder.is_dir() else []
    if len(found) != 1:
        raise MediaError(f"{name}: there are {len(found)} such files from the step before, not one")
    return found[0]
