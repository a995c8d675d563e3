"""``face-blur people``: a table of the reference photos, for people or for programs."""

import json
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from app.cli.progress import print_message, warn
from app.errors import PeopleError
from app.logs import printable
from app.pipeline.parts import Parts
from app.pipeline.photo_report import PeopleReport, PhotoReport, report_people

_HEAD = ("person", "photo", "face", "quality", "own photos", "nearest other person")
_LEGEND = "likeness: 0 as between strangers; from 1 on, surely one person"
_GAP = "  "
_NOTHING = "-"
_DECIMALS = 3
"""Decimals of qualities and likenesses for programs; their last digits depend on the machine."""


def show_people(folder: Path, parts: Parts, *, as_json: bool) -> None:
    """Print the usable photos to stdout, and doubts and errors to stderr.

    Raises:
        PeopleError: a file cannot be used as a photo.
    """
    report = report_people(folder, parts)
    print(_json(report) if as_json else _text(report), end="")
    for doubt in report.doubts:
        warn(doubt, quiet=False)
    faults = [error for _, error in report.unusable]
    if len(faults) == 1:
        raise faults[0]
    for fault in faults:
        print_message(f"error: {fault}", quiet=False)
    if faults:
        raise PeopleError(f"{folder}: {len(faults)} of its files cannot be used, see above")


def _text(report: PeopleReport) -> str:
    if not report.photos:
        return ""
    rows = [_HEAD, *(_row(photo) for photo in report.photos)]
    return "".join(f"{line}\n" for line in (*_aligned(rows), _LEGEND))


def _row(photo: PhotoReport) -> tuple[str, ...]:
    likeness = photo.likeness
    nearest = _NOTHING
    if likeness.nearest is not None:
        nearest = f"{likeness.nearest} {likeness.other:.2f}"
    return (
        printable(photo.person),
        printable(photo.file),
        f"{photo.side:.0f} px",
        f"{photo.quality:.2f}" + (f" too low: {photo.flaw}" if photo.flaw else ""),
        (_NOTHING if likeness.own is None else f"{likeness.own:.2f}")
        + (" UNLIKE" if likeness.unlike else ""),
        printable(nearest) + (" TOO ALIKE" if likeness.confusable else ""),
    )


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield rows as lines in columns; some letters are two columns wide.

    >>> [len(line) for line in _aligned([("name", "b"), (chr(0x65E5) * 2, "c")])]
    [7, 5]
    """
    widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (
            cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True)
        )
        yield _GAP.join(cells).rstrip()


def _width(text: str) -> int:
    """Return the number of columns of a text on a terminal."""
    return sum(map(_columns, text))


def _columns(char: str) -> int:
    if unicodedata.category(char) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(char) in {"W", "F"} else 1


def _json(report: PeopleReport) -> str:
    """Return the report as JSON in ASCII: names that are not valid Unicode are kept as escapes."""
    people = groupby(report.photos, lambda photo: photo.person)
    content = {
        "people": [
            {"name": name, "photos": [_photo(photo) for photo in photos]} for name, photos in people
        ],
        "doubts": report.doubts,
        "unusable": [{"file": file, "error": str(error)} for file, error in report.unusable],
    }
    return json.dumps(content, indent=1) + "\n"


def _photo(photo: PhotoReport) -> dict[str, Any]:
    likeness = photo.likeness
    return {
        "file": photo.file,
        "face_pixels": round(photo.side, 1),
        "quality": round(photo.quality, _DECIMALS),
        "flaw": photo.flaw or None,
        "own_likeness": _rounded(likeness.own),
        "unlike": likeness.unlike,
        "nearest": likeness.nearest,
        "nearest_likeness": _rounded(likeness.other),
        "too_alike": likeness.confusable,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, _DECIMALS)
