"""Reading the descriptions of model packs.

A pack is a folder of ``models`` with a ``pack.toml``. Another ``NAME.toml`` beside it describes a
variant with other weights, ``PACK:NAME``. Unknown keys are errors, so that a typing mistake cannot
turn a check off.
"""

import tomllib
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args

from app.errors import PackError
from app.packs.input_size import COMMON, InputSize
from app.packs.pack import CurveRow, Licence, Pack, PackScale, Part, PartName, Source, Substitute

__all__ = ["Licence", "Pack", "PackScale", "Part", "Source", "find_packs", "load_pack"]

FILE_NAME = "pack.toml"
AUTO = "auto"
PREFERRED = ("open", "dlib", "opencv")
"""The packs for commercial use, best first, as ``bench/identity.py`` and ``bench/quality.py`` rank
the first two; the third has not been measured."""
PARTS: tuple[PartName, ...] = get_args(PartName)


def models_folder() -> Path:
    """The ``models`` folder beside the ``app`` package."""
    return Path(__file__).resolve().parents[2] / "models"


def find_packs(root: Path | None = None) -> list[str]:
    """Names of the packs below ``root`` (default: ``models_folder()``), and their variants."""
    return sorted(_descriptions(root or models_folder()))


def _descriptions(root: Path) -> dict[str, Path]:
    """Where each pack and each variant is described."""
    found: dict[str, Path] = {}
    for main in root.glob(f"*/{FILE_NAME}"):
        pack = main.parent.name
        found[pack] = main
        others = (path for path in main.parent.glob("*.toml") if path.name != FILE_NAME)
        found |= {f"{pack}:{path.stem}": path for path in others}
    return found


def chosen(name: str, root: Path | None = None) -> str:
    """The name of a pack: ``name`` itself, or for ``auto`` the best one whose weights are there.

    Without any weights it is the best one, so that messages say how to fetch that. Weights are not
    read here: damaged ones are an error when they are loaded, not a reason for another pack.
    """
    if name != AUTO:
        return name
    known = [one for one in PREFERRED if one in _descriptions(root or models_folder())]
    there = (one for one in known if load_pack(one, root).present)
    return next(there, (known or [*PREFERRED])[0])


def load_pack(name: str, root: Path | None = None) -> Pack:
    """Read the description of a pack, or of a variant of one.

    Raises:
        PackError: there is no such pack, or its description is wrong.
    """
    root = root or models_folder()
    paths = _descriptions(root)
    if name not in paths:
        known = ", ".join(sorted(paths)) or "none"
        raise PackError(f"{root}: there is no model pack {name!r}; there are: {known}")
    path = paths[name]
    try:
        return _pack(name, path.parent, tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise PackError(f"{path}: {_says(error)}") from error


def _says(error: Exception) -> str:
    return f"{error} is missing" if isinstance(error, KeyError) else str(error)


def _pack(name: str, folder: Path, table: dict[str, Any]) -> Pack:
    _known(
        table,
        {"summary", "licences", "sources", "files", "identity", "substitute", *PARTS},
        "the file",
    )
    files = _strings(table["files"], "[files]")
    parts = {part: _part(table[part], files, f"[{part}]") for part in PARTS if part in table}
    if not parts:
        raise TypeError(f"it describes none of {', '.join(PARTS)}")
    _known(table["licences"], set(parts), "[licences]")
    sources = tuple(_source(item, files) for item in table["sources"])
    return Pack(
        name=name,
        folder=folder,
        summary=_string(table, "summary"),
        licences={part: _licence(table["licences"][part]) for part in parts},
        sources=sources,
        files=files,
        parts=parts,
        identity=_identity(table["identity"]) if "recogniser" in parts else None,
        substitute=_substitute(table["substitute"]) if "substitute" in table else None,
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


def _boolean(table: Mapping[str, Any], key: str) -> bool:
    if not isinstance(table[key], bool):
        raise TypeError(f"{key} must be true or false, got {table[key]!r}")
    return bool(table[key])


def _licence(table: dict[str, Any]) -> Licence:
    _known(table, {"name", "note", "url", "commercial"}, "[licences]")
    return Licence(
        name=_string(table, "name"),
        note=_string(table, "note"),
        url=_string(table, "url"),
        commercial=_boolean(table, "commercial"),
    )


def _source(table: dict[str, Any], files: Mapping[str, str]) -> Source:
    optional = (
        *("requirement", "url", "member", "member_sha256", "converter", "calibration"),
        *("companion_url", "companion_sha256"),
    )
    _known(table, {"sha256", "produces", *optional}, "[[sources]]")
    values = {key: _string({key: "", **table}, key) for key in optional}
    source = Source(**values, sha256=_string(table, "sha256"), produces=_string(table, "produces"))
    if bool(source.requirement) == bool(source.url):
        raise TypeError(f"the source of {source.produces} needs a requirement or a url")
    if bool(source.member) != bool(source.member_sha256) or (
        source.requirement and not source.member
    ):
        raise TypeError(f"the source of {source.produces} needs a member and its member_sha256")
    if bool(source.companion_url) != bool(source.companion_sha256):
        raise TypeError(f"the source of {source.produces} needs a companion's url and its sha256")
    if source.produces not in files:
        raise TypeError(f"[files] does not name {source.produces}")
    return source


def _substitute(table: dict[str, Any]) -> Substitute:
    _known(table, {"pack", "cost"}, "[substitute]")
    return Substitute(_string(table, "pack"), _string(table, "cost"))


def _part(table: dict[str, Any], files: Mapping[str, str], where: str) -> Part:
    _known(table, {"kind", "files", "score", "input"}, where)
    _known(table["files"], {"float", "int8"}, f"{where} files")
    named = {key: _names(table["files"], key) for key in {"float": "", **table["files"]}}
    if missing := sorted({name for names in named.values() for name in names} - set(files)):
        raise TypeError(f"[files] does not name {', '.join(missing)}")
    score = table.get("score", COMMON)
    if not (isinstance(score, float) and 0 < score < 1):
        raise TypeError(f"{where} needs a score between 0 and 1, got {score!r}")
    whole = _input_size(table.get("input", {}), where)
    return Part(_string(table, "kind"), named, score, whole)


def _input_size(table: dict[str, Any], where: str) -> InputSize:
    _known(table, {"reduction", "least", "most"}, f"{where} input")
    whole = InputSize(**table)
    numbers = (whole.reduction, whole.least, whole.most)
    kinds = [type(number) for number in numbers]
    if kinds != [float, int, int] or not (whole.reduction >= 1 and 32 <= whole.least <= whole.most):
        raise TypeError(f"{where} input needs reduction >= 1.0 and 32 <= least <= most, in pixels")
    return whole


def _names(table: Mapping[str, Any], key: str) -> tuple[str, ...]:
    """One file, or several that belong together, in order."""
    names = table[key] if isinstance(table[key], list) else [table[key]]
    if not names or not all(isinstance(name, str) for name in names):
        raise TypeError(f"{key} must be the name of a file or a list of such, got {table[key]!r}")
    return tuple(names)


def _identity(table: dict[str, Any]) -> PackScale:
    _known(table, {"curve", "measured", "people", "source"}, "[identity]")
    measured, people = _boolean(table, "measured"), table["people"]
    if type(people) is not int or people < 0 or (measured and not people):
        raise TypeError(f"people must be a number of people, got {people!r}")
    rows = table["curve"]
    if not isinstance(rows, list) or not rows:
        raise TypeError("[identity] needs a curve of one row or more")
    curve = tuple(_curve_row(row) for row in rows)
    if any(low[0] >= high[0] for low, high in pairwise(curve)):
        raise TypeError("the qualities of the curve must rise")
    return PackScale(curve, measured, people, _string(table, "source"))


def _curve_row(row: dict[str, Any]) -> CurveRow:
    _known(row, {"quality", "stranger", "doubtful", "sure"}, "a row of the curve")
    values = [row[key] for key in ("quality", "stranger", "doubtful", "sure")]
    if not all(isinstance(value, float) for value in values):
        raise TypeError(f"a row of the curve needs floats, got {row!r}")
    quality, stranger, doubtful, sure = values
    if not (0 <= quality <= 1 and -1 < stranger < sure < 1 and -1 < doubtful <= sure):
        raise TypeError(
            f"a row of the curve needs quality in 0..1, stranger < sure, doubtful <= sure: {row!r}"
        )
    return quality, stranger, doubtful, sure
