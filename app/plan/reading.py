"""Read a plan: everything in it is checked, and an error names its place."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter, ValidationError

from app.errors import PlanError
from app.plan.records import VERSION, Plan
from app.validation import explain


def read_plan(path: Path) -> Plan:
    """Read a plan and check all of it.

    Raises:
        PlanError: it cannot be read, has another version, or contains an error; the message names
            the place of the error.
    """
    try:
        with path.open(encoding="utf-8") as file:
            data = json.load(file, object_pairs_hook=_object, parse_constant=_refuse_constant)
        return TypeAdapter(Plan).validate_python(_content(data))
    except ValidationError as error:
        raise _wrong(path, explain(error)) from error
    except OSError as error:
        raise PlanError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, OverflowError) as error:  # includes errors of JSON and of UTF-8
        raise _wrong(path, str(error)) from error
    except RecursionError as error:
        raise PlanError(f"{path}: is nested too deeply for a plan") from error


def _wrong(path: Path, reason: str) -> PlanError:
    return PlanError(f"{path}: {reason}; undo the change, or analyse the video again")


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make a JSON object; the boxes of a track become an array before the next track is read."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError(f"a key is twice among {', '.join(key for key, _ in pairs)}")
    boxes = found.get("boxes")
    if isinstance(boxes, list) and all(map(_is_row, boxes)):
        found["boxes"] = np.array(boxes, np.float64).reshape(-1, 5)
    return found


def _is_row(row: object) -> bool:
    return isinstance(row, list) and len(row) == 5 and {int, float}.issuperset(map(type, row))


def _content(data: object) -> object:
    """The content of a plan of the version that this program reads."""
    if not isinstance(data, dict):
        raise ValueError("is not an object")  # noqa: TRY004 - worded like other errors of content
    content = dict(data)
    version = content.pop("version", None)
    if version != VERSION or isinstance(version, bool):
        raise ValueError(f"version {version!r} is unknown; this reads {VERSION}")
    return content
