"""Read, check and write plan files."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from app.errors import OutputError, PlanError, reason_of
from app.files import replacing
from app.plan.places import edited_reason, is_edited
from app.plan.records import DECIMALS, VERSION, Plan, PlanTrack
from app.plan.summary import summarise
from app.validation import explain, text_fault

_HEADER = [field.name for field in fields(PlanTrack) if field.name != "boxes"]


def read_plan(path: Path) -> Plan:
    """Read a plan and check all of it.

    Raises:
        PlanError: it cannot be read, has another version, or contains an error; the message names
            the place of the error.
    """
    with explaining(path, "undo the change, or analyse the video again"):
        return plan_of(load(path))


@contextmanager
def explaining(path: Path, advice: str) -> Iterator[None]:
    """Translate errors of reading and checking a file of JSON.

    Raises:
        PlanError: any of them; the message names the place of the error, and ends with ``advice``.
    """
    try:
        yield
    except ValidationError as error:
        raise PlanError(f"{path}: {explain(error)}; {advice}") from error
    except OSError as error:
        raise PlanError(f"{path}: cannot be read: {reason_of(error)}") from error
    except OverflowError as error:
        raise PlanError(f"{path}: a number is too large; {advice}") from error
    except ValueError as error:  # includes errors of JSON and of UTF-8
        raise PlanError(f"{path}: {text_fault(error, 'JSON')}; {advice}") from error
    except RecursionError as error:
        raise PlanError(f"{path}: is nested too deeply; {advice}") from error


def load(path: Path) -> object:
    """Parse a file of JSON that is a plan or holds one. Call it in ``explaining``."""
    with path.open(encoding="utf-8") as file:
        return json.load(file, object_pairs_hook=_object, parse_constant=_refuse_constant)


def plan_of(data: object) -> Plan:
    """Make a plan of parsed JSON, and check all of it. Call it in ``explaining``."""
    content = content_of(data, VERSION)
    content.pop("summary", None)  # for readers; it follows from the tracks
    return TypeAdapter(Plan).validate_python(content)


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make a JSON object; the boxes of a track become an array before the next track is read."""
    values = dict(pairs)
    if len(values) != len(pairs):
        raise ValueError(f"a key occurs twice in {', '.join(key for key, _ in pairs)}")
    boxes = values.get("boxes")
    if isinstance(boxes, list) and all(map(_is_row, boxes)):
        values["boxes"] = np.array(boxes, np.float64).reshape(-1, 5)
    return values


def _is_row(row: object) -> bool:
    return isinstance(row, list) and len(row) == 5 and {int, float}.issuperset(map(type, row))


def content_of(data: object, known: int) -> dict[str, Any]:
    """Return the content of a record after checking its version. Call it in ``explaining``."""
    if not isinstance(data, dict):
        raise ValueError("is not an object")  # noqa: TRY004 - worded like other errors of content
    content = dict(data)
    version = content.pop("version", None)
    if version != known or isinstance(version, bool):
        raise ValueError(f"version {version!r} is unknown; this program reads {known}")
    return content


def write_plan(plan: Plan, path: Path) -> None:
    """Write a plan as JSON, and move it to ``path`` when it is complete.

    Raises:
        OutputError: the file cannot be written there, or there are edits of a plan at this path.
        DiskFull: there is no space for it.
    """
    if is_edited(path):
        raise OutputError(f"{path}: {edited_reason(path)}")
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
        "summary": summarise(plan).as_json(),
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
