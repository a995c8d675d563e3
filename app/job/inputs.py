"""The files of the input, and the names of their results."""

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from app.errors import OutputError
from app.video import check_output, natural_suffix

_ALIKE = {
    ".mp4": {".mp4", ".m4v", ".mov"},
    ".mov": {".mov", ".qt", ".mp4", ".m4v"},
    ".webm": {".webm", ".mkv"},
    ".ts": {".ts", ".mts", ".m2ts"},
    ".jpg": {".jpg", ".jpeg"},
}
"""Suffixes under which files of a kind go, by the one that the kind has by nature."""
_IMAGES = {".jpg", ".png", ".webp"}
_ANYTHING = ".mkv"
"""For films that their own container could not hold again; it holds nearly everything."""


@dataclass(frozen=True, slots=True)
class Found:
    """Names below the input, with slashes, in order."""

    files: tuple[str, ...]
    hidden: tuple[str, ...]
    unreadable: tuple[str, ...]
    """Folders that cannot be listed: whatever is in them is missing in the output."""


def find_files(folder: Path) -> Found:
    """All files below a folder. Links to folders are not followed, but named: they are no media."""
    names: list[str] = []
    unreadable: list[str] = []

    def told(error: OSError) -> None:
        unreadable.append(Path(error.filename).relative_to(folder).as_posix())

    for place, folders, files in os.walk(folder, onerror=told):
        below = Path(place).relative_to(folder)
        links = [name for name in folders if Path(place, name).is_symlink()]
        names.extend((below / name).as_posix() for name in (*files, *links))
    names.sort()
    hidden = {name for name in names if any(p.startswith(".") for p in name.split("/"))}
    shown = (name for name in names if name not in hidden)
    return Found(tuple(shown), tuple(sorted(hidden)), tuple(sorted(unreadable)))


def plan_name(name: str) -> str:
    """The name of the plan of a file, below the output.

    >>> plan_name("day 1/a.mp4")
    'plans/day 1/a.mp4.plan.json'
    """
    return f"plans/{name}.plan.json"


def result_names(name: str, natural: str) -> list[str]:
    """Names that the result may have, the best first: the file's own if it tells what is in it.

    What is added, is added behind the whole name: ``a.mpg`` and ``a.mkv`` stay two files.

    >>> result_names("a.m4v", ".mp4"), result_names("b.mpg", ".mkv"), result_names("c", ".jpg")
    (['a.m4v', 'a.m4v.mp4', 'a.m4v.mkv'], ['b.mpg.mkv'], ['c.jpg'])
    """
    suffix = PurePosixPath(name).suffix.lower()
    names = [name] if suffix in _ALIKE.get(natural, {natural}) else []
    if suffix != natural:
        names.append(name + natural)
    if natural not in _IMAGES and _ANYTHING not in {suffix, natural}:
        names.append(name + _ANYTHING)
    return names


def choose_result(
    source: Path, name: str, output: Path, others: Collection[str]
) -> tuple[str, list[str]]:
    """The name of the result below ``output``, and warnings of what will be converted or dropped.

    Folders are made. ``others`` are names of files whose results have that name.

    Raises:
        MediaError: the file cannot be read.
        OutputError: no container can hold it, or the name is another's.
    """
    candidates = result_names(name, natural_suffix(source))
    (output / name).parent.mkdir(parents=True, exist_ok=True)
    for candidate in candidates:
        try:
            warnings = check_output(source, output / candidate, overwrite=True)
        except OutputError:
            if candidate == candidates[-1]:
                raise
            continue
        if candidate != name and candidate in others:
            raise OutputError("another file has the name that its result would get; rename one")
        return candidate, warnings
    raise AssertionError("there is always a candidate")
