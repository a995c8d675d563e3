"""Writing a plan: track by track, and into place only when it is complete."""

import errno
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import TextIO

import numpy as np

from app.errors import DiskFull, OutputError
from app.plan.records import DECIMALS, VERSION, Plan, PlanTrack

_HEADER = [field.name for field in fields(PlanTrack) if field.name != "boxes"]


def write_plan(plan: Plan, path: Path) -> None:
    """Write a plan as JSON, track by track, and put it in place when it is complete.

    Raises:
        OutputError: the file cannot be written there.
        DiskFull: there is no room for it.
    """
    try:
        with _replacing(path) as file:
            for part in _parts(plan):
                file.write(part)
    except OSError as error:
        kind = DiskFull if error.errno in {errno.ENOSPC, errno.EDQUOT} else OutputError
        raise kind(f"{path}: cannot be written: {error.strerror}") from error


@contextmanager
def _replacing(path: Path) -> Iterator[TextIO]:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        # A lone surrogate (of a file name that is not UTF-8) becomes its JSON escape.
        with temporary.open("x", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _parts(plan: Plan) -> Iterator[str]:
    head = {
        "source": asdict(plan.source),
        "settings": dict(plan.settings),
        "models": asdict(plan.models),
        "people": [asdict(person) for person in plan.people],
        "shots": plan.shots,
    }
    yield f'{{"version": {VERSION}'
    for key, value in head.items():
        yield f',\n "{key}": {_json(value)}'
    yield ',\n "tracks": ['
    for number, track in enumerate(plan.tracks):
        yield ("," if number else "") + "\n" + _track_text(track)
    yield "]}\n"


def _track_text(track: PlanTrack) -> str:
    header = {name: getattr(track, name) for name in _HEADER}
    corners = np.round(track.boxes[:, 1:].astype(np.float64), DECIMALS).tolist()
    rows = [[track.first + number, *row] for number, row in enumerate(corners)]
    return f'  {_json(header)[:-1]},\n   "boxes": {_json(rows)}}}'


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
