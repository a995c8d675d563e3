"""Verify a result that is no video and no image: the plan of its source, or a report."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from app.errors import PlanError, UnsupportedMedia
from app.files import sha256_of
from app.plan import read_plan


def check_document(result: Path, source: Path) -> None:
    """Check that a JSON result is the plan of its source, or the report of a ticket.

    Raises:
        UnsupportedMedia: it is neither.
        PlanError: it is the plan of another file.
    """
    content = _json(result)
    if {"tracks", "shots"} <= content.keys():
        if read_plan(result).source.sha256 != sha256_of(source):
            raise PlanError("it is the plan of another file")
    elif not content.get("output") or content["output"] != _json(source).get("output"):
        raise UnsupportedMedia("it is not a video, an image or a plan")


def _json(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file; an empty one if the file has none."""
    with suppress(ValueError), path.open("rb") as file:
        if file.read(1) == b"{":
            content: dict[str, Any] = json.loads(path.read_bytes())
            return content
    return {}
