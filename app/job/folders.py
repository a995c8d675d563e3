"""Where a job reads and writes: the places of a SageMaker Processing container, or others."""

import argparse
import json
import os
import re
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from app.errors import ConfigError, UsageError

ROOT = Path("/opt/ml")
"""Where SageMaker mounts everything."""
MESSAGE = Path("output", "message")
"""What SageMaker shows as the reason of a failure, below the root."""
_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


@dataclass(frozen=True, slots=True)
class Folders:
    """The folders of one job.

    ``people`` is a folder or an ``s3://`` prefix, None where nobody is known; ``done`` holds the
    ``plans`` and ``reports`` of an earlier output, if it is there; ``host`` names the report.
    """

    input: Path
    output: Path
    people: str | None
    done: Path
    host: str

    @property
    def labels(self) -> dict[Path, str]:
        """What to call the folders where paths may not be told."""
        return {self.input: "the input", self.output: "the output", self.done: "the earlier output"}


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints are errors like all others."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see {self.prog} --help)")


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of ``process``."""
    parser = _Parser(
        prog="process",
        description="Hide faces in every video and image of a folder.",
        epilog="Settings come from the environment (FACE_BLUR_*). Exit codes: 0 all done, "
        "1 some files failed, 2 wrong settings or people, 130 interrupted.",
        allow_abbrev=False,
    )
    where = "(default: %(default)s)"
    parser.add_argument("--root", type=Path, default=ROOT, help=f"instead of all others {where}")
    parser.add_argument("--input", type=Path, help="videos and images (ROOT/processing/input)")
    parser.add_argument("--output", type=Path, help="results (ROOT/processing/output)")
    parser.add_argument(
        "--people",
        help="reference photos (FACE_BLUR_PEOPLE, ROOT/processing/people, or ROOT/model/people)",
    )
    parser.add_argument(
        "--done", type=Path, help="plans and reports of an earlier output (ROOT/processing/done)"
    )
    return parser


def find_folders(given: Namespace, environment: Mapping[str, str] = os.environ) -> Folders:
    """The places that the arguments name, and the usual ones for the rest.

    Raises:
        UsageError: folders are missing, cannot be looked at, or lie in each other.
    """
    try:
        places = _places(given, environment)
        _check(places)
    except OSError as error:
        raise UsageError(f"a folder of the job cannot be looked at: {error.strerror}") from error
    return places


def _places(given: Namespace, environment: Mapping[str, str]) -> Folders:
    root: Path = given.root
    usual = root / "processing"
    people = given.people or environment.get("FACE_BLUR_PEOPLE")
    return Folders(
        input=given.input or usual / "input",
        output=given.output or usual / "output",
        people=people or _usual_people((usual / "people", root / "model" / "people")),
        done=given.done or usual / "done",
        host=_host(root / "config" / "resourceconfig.json"),
    )


def _usual_people(folders: Sequence[Path]) -> str | None:
    """The first folder that has anything in it."""
    for folder in folders:
        if folder.is_dir() and any(not one.name.startswith(".") for one in folder.iterdir()):
            return str(folder)
    return None


def _host(config: Path) -> str:
    try:
        host = json.loads(config.read_text("utf-8"))["current_host"]
    except FileNotFoundError:
        return "local"
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ConfigError("resourceconfig.json does not tell the current_host") from error
    if not isinstance(host, str) or not _HOST.fullmatch(host):
        raise ConfigError("current_host of resourceconfig.json is not the name of a host")
    return host


def _check(places: Folders) -> None:
    if not places.input.is_dir():
        raise UsageError("the folder of the input is missing; mount it, or name it with --input")
    source, target = places.input.resolve(), places.output.resolve()
    if target.is_relative_to(source) or source.is_relative_to(target):
        raise UsageError("input and output lie in each other; choose another folder")
    if places.people is not None and Path(places.people).resolve().is_relative_to(source):
        raise UsageError("the people lie in the input; choose another folder for them")
