"""What ``face-blur verify --json`` has found in a result, as a part of its report."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import ConfigDict, Field, Strict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from app.errors import UsageError, reason_of
from app.validation import explain, parse_json

_CONFIG = ConfigDict(extra="ignore")
_MAX_BYTES = 64 << 20
"""Size of the file: a hundred thousand findings. A larger file is something else."""
_MOST_NAMED = 100
"""Findings that a report names: more are not read."""


@dataclass(frozen=True, slots=True, config=_CONFIG)
class Finding:
    """Something that can be seen in a result; ``text`` names the frames."""

    text: Annotated[str, Strict()]


@dataclass(frozen=True, slots=True, config=_CONFIG)
class SecondLook:
    """The outcome of a verification of ``frames`` frames.

    ``compared``: the detail of hidden faces was compared with the source.
    """

    frames: Annotated[int, Strict(), Field(ge=0)]
    compared: Annotated[bool, Strict()]
    findings: tuple[Finding, ...]

    @property
    def words(self) -> str:
        """The outcome in a few words."""
        found = _count(len(self.findings)) if self.findings else "nothing found"
        source = "" if self.compared else ", without the source"
        return f"{found} in {self.frames} frames{source}"

    def faults(self, frames: int) -> Iterator[str]:
        """Yield why the result may not be published; ``frames`` is the number of its frames."""
        if self.frames != frames:
            yield f"the verification has looked at {self.frames} of {frames} frames"
        if self.findings:
            yield f"the verification has {_count(len(self.findings))}"

    def warnings(self) -> Iterator[str]:
        """Yield the first findings."""
        for finding in self.findings[:_MOST_NAMED]:
            yield f"verification: {finding.text}"


def _count(findings: int) -> str:
    return f"{findings} finding{'' if findings == 1 else 's'}"


def read_second_look(path: Path) -> SecondLook:
    """Read the output of ``face-blur verify --json``.

    Raises:
        UsageError: it cannot be read, or is something else.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_BYTES)
        return TypeAdapter(SecondLook).validate_python(parse_json(content))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {reason_of(error)}") from error
    except ValidationError as error:
        raise UsageError(f"{path}: {explain(error)}; write it by verify --json") from error
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from error
