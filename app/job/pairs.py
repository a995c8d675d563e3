"""The results that the step ``verify-results`` looks at: a list of keys, and their files."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.errors import UsageError
from app.validation import parse_json

PAIRS = "pairs.json"
_OPTIONAL = ("plan", "plan_etag", "edits", "edits_etag")
_NEEDED = ("source", "source_etag", "result", "result_etag")
FIELDS = (*_NEEDED, *_OPTIONAL)
"""The fields of a pair: keys of objects, and the ETags of what is meant by them."""


@dataclass(frozen=True, slots=True)
class PairFiles:
    """A source, its result, and the plan of the result, if there is one.

    ``fields`` are those of the list: keys and ETags.
    """

    fields: dict[str, str]
    source: Path
    result: Path
    plan: Path | None


def find_pairs(root: Path) -> list[PairFiles]:
    """Return the pairs of ``ROOT/processing/pairs/pairs.json``, with their files.

    Sources are in ``input``, results in ``results``, plans and their edits in ``plans``.

    Raises:
        UsageError: the list is wrong, or does not have exactly the files that are there.
    """
    place = root / "processing"
    listed = _read(place / "pairs" / PAIRS)
    try:
        rows = [_fields(row) for row in listed["pairs"]]
        sources = named_files(place / "input", [r["source"] for r in rows], listed["sources"])
        results = named_files(place / "results", [r["result"] for r in rows], listed["results"])
        others = [r[name] for r in rows for name in ("plan", "edits") if r[name]]
        plans = named_files(place / "plans", others, listed["plans"]) if others else {}
    except (KeyError, TypeError, AttributeError) as error:
        raise UsageError("the list of results is wrong; it is not of this version") from error
    return [
        PairFiles(row, sources[row["source"]], results[row["result"]], plans.get(row["plan"]))
        for row in rows
    ]


def _read(path: Path) -> Any:
    try:
        return parse_json(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError("the list of results cannot be read") from error


def _fields(row: dict[str, Any]) -> dict[str, str]:
    return {name: str(row[name]) for name in _NEEDED} | {
        name: str(row.get(name) or "") for name in _OPTIONAL
    }


def named_files(folder: Path, keys: Sequence[str], prefix: str) -> dict[str, Path]:
    """Return the file of each key.

    SageMaker names the files of a manifest after their keys, in full or without the prefix. One
    folder uses one form, so the form is taken in which the names are exactly those of the files.

    Raises:
        UsageError: no form does that.
    """
    there = {path.relative_to(folder).as_posix(): path for path in _files(folder)}
    for cut in _cuts(prefix):
        names = {key: key[cut:] for key in keys}
        if set(names.values()) == there.keys():
            return {key: there[name] for key, name in names.items()}
    raise UsageError(f"{folder.name}: its files are not those of the list of results")


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def _cuts(prefix: str) -> list[int]:
    """Return how many characters of a key may be left out: the whole prefix, or folders of it."""
    return sorted({0, len(prefix), *(n + 1 for n, one in enumerate(prefix) if one == "/")})[::-1]


def pairs_text(sources: str, results: str, plans: str, rows: Sequence[dict[str, str]]) -> str:
    """Return the content of ``pairs.json``: the prefixes of the keys, and the pairs."""
    listed = {"sources": sources, "results": results, "plans": plans, "pairs": list(rows)}
    return json.dumps(listed, ensure_ascii=False, indent=1)
