"""Write a plan as JSON, track by track."""

import json
from collections.abc import Iterator
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np

from app.files import replacing
from app.plan.records import DECIMALS, VERSION, Plan, PlanTrack

_HEADER = [field.name for field in fields(PlanTrack) if field.name != "boxes"]


def write_plan(plan: Plan, path: Path) -> None:
    """Write a plan as JSON, and move it to ``path`` when it is complete.

    Raises:
        OutputError: the file cannot be written there.
        DiskFull: there is no space for it.
    """
    with replacing(path) as file:
        file.writelines(plan_text(plan))


def plan_text(plan: Plan) -> Iterator[bytes]:
    """Yield the JSON of a plan in UTF-8, one track at a time.

    A lone surrogate, from a file name that is not UTF-8, becomes its JSON escape.
    """
    return (part.encode("utf-8", "backslashreplace") for part in _parts(plan))


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
