"""Verify a result: it must differ from its source, and have all its frames with their times."""

import json
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from app.errors import MediaError, PlanError, UnsupportedMedia
from app.files import sha256_of
from app.plan import Plan, read_plan
from app.video import open_source


@dataclass(frozen=True, slots=True)
class MediaFacts:
    """Facts of a decoded file; ``span`` and ``tick`` are in seconds."""

    sha256: str
    size: tuple[int, int]
    is_image: bool
    frames: int
    span: Fraction
    tick: Fraction


def read_facts(path: Path) -> MediaFacts:
    """Decode a whole file and return its facts.

    Raises:
        MediaError: the file cannot be decoded completely, or is not a video or image.
    """
    source = open_source(path)
    info = source.info
    first, last, count = 0, 0, 0
    for frame in source:
        first = frame.pts if not count else first
        last, count = frame.pts, count + 1
    span = (last - first) * info.time_base
    return MediaFacts(sha256_of(path), info.size, info.is_image, count, span, info.time_base)


def check_result(result: Path, source: Path, plan: Plan | None) -> None:
    """Compare a result with its source, or with its plan if there is one.

    Raises:
        MediaError: the result is damaged, or does not match the source.
        PlanError: the plan belongs to another file.
    """
    found, original = read_facts(result), sha256_of(source)
    if found.sha256 == original:
        raise MediaError("it is identical to the source: not processed")
    if plan is None:
        _compare(found, read_facts(source))
        return
    if plan.source.sha256 != original:
        raise PlanError("its plan belongs to another file")
    _check_equal("frames", found.frames, plan.source.frames)
    _check_equal("its size", found.size, (plan.source.width, plan.source.height))


def _compare(found: MediaFacts, expected: MediaFacts) -> None:
    _check_equal("image", found.is_image, expected.is_image)
    _check_equal("frames", found.frames, expected.frames)
    _check_equal("its size", found.size, expected.size)
    if abs(found.span - expected.span) > max(found.tick, expected.tick):
        raise MediaError(
            f"its frames span {float(found.span):.3f} s, "
            f"not {float(expected.span):.3f} s as in its source"
        )


def _check_equal(what: str, found: object, expected: object) -> None:
    if found != expected:
        raise MediaError(f"{what}: {found}, not {expected} as in its source")


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
