"""What a container has to work with: the facts of the doctor, and the folders that it was given."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from app.doctor import examine
from app.files import write_file, writing

DIAGNOSIS = "doctor.json"
_MOST_NAMED = 100
"""Files of a folder that are named: enough to see how SageMaker names them."""


def write_diagnosis(root: Path, output: Path, people: str | None = None) -> dict[str, Any]:
    """Write the facts to ``doctor.json`` in the output folder, and return them.

    Args:
        root: the folder in which SageMaker mounts all others.
        output: the folder for the file.
        people: the place of the photos, if there are any.

    Returns:
        The facts of ``app.doctor.examine``, and ``folders``: for each folder of
        ``ROOT/processing``, whether it can be written, the free bytes of its disk, the number of
        its files, and the names of at most 100 of them, relative to it.

    Raises:
        ConfigError: a setting in the environment is wrong.
        OutputError, DiskFull: the file cannot be written.
    """
    place = root / "processing"
    found = sorted(place.iterdir()) if place.is_dir() else []
    folders = {path.name: _folder(path) for path in found if path.is_dir()}
    facts = examine(people=people) | {"folders": folders}
    target = output / DIAGNOSIS
    with writing(target):
        write_file(target, (json.dumps(facts, indent=1) + "\n").encode())
    return facts


def _folder(path: Path) -> dict[str, Any]:
    names = sorted(_names(path))
    return {
        "writable": os.access(path, os.W_OK | os.X_OK),
        "free_bytes": shutil.disk_usage(path).free,
        "files": len(names),
        "names": names[:_MOST_NAMED],
    }


def _names(folder: Path) -> Iterator[str]:
    return (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
