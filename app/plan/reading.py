"""Reading a plan: everything in it is checked, and an error says where it is."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import numpy as np

from app.errors import PlanError
from app.plan.records import (
    VERSION,
    ModelRecord,
    ModelsRecord,
    Person,
    Plan,
    PlanTrack,
    SourceRecord,
    require,
)

_T = TypeVar("_T")
_Kinds: TypeAlias = Mapping[str, tuple[type, ...]]
_NONE = type(None)
_NUMBER = (int, float)
_PLAN: _Kinds = {
    "version": (int,),
    "source": (dict,),
    "settings": (dict,),
    "models": (dict,),
    "people": (list,),
    "shots": (list,),
    "tracks": (list,),
}
_SOURCE: _Kinds = {
    "sha256": (str,),
    "name": (str,),
    "frames": (int,),
    "width": (int,),
    "height": (int,),
    "duration": _NUMBER,
}
_MODELS: _Kinds = {"pack": (str,), "detector": (dict,), "recogniser": (dict, _NONE)}
_MODEL: _Kinds = {"file": (str,), "sha256": (str,)}
_PERSON: _Kinds = {"name": (str,), "photos": (int,)}
_TRACK: _Kinds = {
    "id": (int,),
    "shot": (int,),
    "first": (int,),
    "last": (int,),
    "person": (str, _NONE),
    "similarity": (*_NUMBER, _NONE),
    "decision": (str,),
    "uncertain": (bool,),
    "reason": (str,),
    "unclear": (str, _NONE),
    "boxes": (np.ndarray,),
}
_LATER: Mapping[str, Any] = {"unclear": None}
"""Keys of a track that older plans do not have, and what they stand for."""


def read_plan(path: Path) -> Plan:
    """Read a plan and check all of it.

    Raises:
        PlanError: it cannot be read, is of another version, or something in it is wrong; the
            message says where.
    """
    try:
        with path.open(encoding="utf-8") as file:
            data = json.load(file, object_pairs_hook=_object, parse_constant=_no_constant)
        return _plan(data)
    except OSError as error:
        raise PlanError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, OverflowError) as error:  # also of JSON and of UTF-8
        raise PlanError(f"{path}: {error}; undo the change, or analyse the video again") from error
    except RecursionError as error:
        raise PlanError(f"{path}: is nested too deeply for a plan") from error


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make a JSON object; the boxes of a track become an array before the next track is read."""
    found = dict(pairs)
    require(len(found) == len(pairs), f"a key is twice among {', '.join(key for key, _ in pairs)}")
    boxes = found.get("boxes")
    if isinstance(boxes, list) and all(map(_is_row, boxes)):
        found["boxes"] = np.array(boxes, np.float64).reshape(-1, 5)
    return found


def _is_row(row: object) -> bool:
    return isinstance(row, list) and len(row) == 5 and {int, float}.issuperset(map(type, row))


def _plan(data: object) -> Plan:
    if isinstance(data, dict) and data.get("version") != VERSION:
        raise ValueError(f"version {data.get('version')!r} is unknown; this reads {VERSION}")
    plan = _fields(data, _PLAN, "")
    people = [_record(Person, item, _PERSON, w) for item, w in _numbered(plan, "people")]
    tracks = [_record(PlanTrack, _whole(item), _TRACK, w) for item, w in _numbered(plan, "tracks")]
    return Plan(
        source=_record(SourceRecord, plan["source"], _SOURCE, "source"),
        settings=plan["settings"],
        models=_models(plan["models"]),
        people=tuple(people),
        shots=tuple(_shot(item, where) for item, where in _numbered(plan, "shots")),
        tracks=tuple(tracks),
    )


def _whole(item: object) -> object:
    return {**_LATER, **item} if isinstance(item, dict) else item


def _numbered(plan: Mapping[str, Any], key: str) -> Iterator[tuple[object, str]]:
    return ((item, f"{key}[{number}]") for number, item in enumerate(plan[key]))


def _fields(item: object, kinds: _Kinds, where: str) -> dict[str, Any]:
    """Check that ``item`` is a JSON object with just these keys, each of its kind."""
    prefix = f"{where}." if where else ""
    if not isinstance(item, dict):
        raise ValueError(f"{where or 'the plan'}: is not an object")  # noqa: TRY004
    for key in sorted(item.keys() ^ kinds.keys()):
        raise ValueError(f"{prefix}{key}: {'is unknown' if key in item else 'is missing'}")
    for key, kind in kinds.items():
        if type(item[key]) not in kind:
            raise ValueError(f"{prefix}{key}: is not {_spelt(kind)}")
    return item


def _spelt(kind: tuple[type, ...]) -> str:
    if kind[:2] == _NUMBER:
        kind = kind[1:]
    names = {
        int: "a whole number",
        float: "a number",
        str: "text",
        bool: "true or false",
        dict: "an object",
        list: "a list",
        np.ndarray: "a list of rows frame, x1, y1, x2, y2",
        _NONE: "null",
    }
    return " or ".join(names[one] for one in kind)


def _record(make: Callable[..., _T], item: object, kinds: _Kinds, where: str) -> _T:
    values = _fields(item, kinds, where)
    try:
        return make(**values)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def _models(item: Mapping[str, Any]) -> ModelsRecord:
    values = _fields(item, _MODELS, "models")
    recogniser = values["recogniser"]
    return ModelsRecord(
        pack=values["pack"],
        detector=_record(ModelRecord, values["detector"], _MODEL, "models.detector"),
        recogniser=recogniser and _record(ModelRecord, recogniser, _MODEL, "models.recogniser"),
    )


def _shot(item: object, where: str) -> tuple[int, int]:
    if not (isinstance(item, list) and len(item) == 2 and all(type(v) is int for v in item)):
        raise ValueError(f"{where}: is not [first, end]")
    return item[0], item[1]
