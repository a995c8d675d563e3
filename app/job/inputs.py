"""The files of the input, and the names of their results."""

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from app.errors import OutputError
from app.pipeline import first_possible, result_names
from app.video import Media


@dataclass(frozen=True, slots=True)
class Inputs:
    """Names below the input, with slashes, in order."""

    files: tuple[str, ...]
    hidden: tuple[str, ...]
    unreadable: tuple[str, ...]
    """Folders that cannot be listed: whatever is in them is missing in the output."""


def find_files(folder: Path) -> Inputs:
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
    return Inputs(tuple(shown), tuple(sorted(hidden)), tuple(sorted(unreadable)))


def plan_name(name: str) -> str:
    """The name of the plan of a file, below the output.

    >>> plan_name("day 1/a.mp4")
    'plans/day 1/a.mp4.plan.json'
    """
    return f"plans/{name}.plan.json"


def choose_result(
    media: Media, name: str, output: Path, others: Collection[str]
) -> tuple[str, list[str]]:
    """The name of a result below ``output``, and warnings of what will be converted or dropped.

    The folder of the result is made. ``others`` are the names of all inputs: a result may not get
    the name that belongs to another input.

    Raises:
        MediaError: the file cannot be read.
        OutputError: no container can hold it, or the name belongs to another input.
    """
    names = result_names(name, media.kind)
    (output / name).parent.mkdir(parents=True, exist_ok=True)
    chosen, warnings = first_possible(media, output, names, overwrite=True)
    if chosen != name and chosen in others:
        raise OutputError("another file has the name that its result would get; rename one")
    return chosen, warnings
