"""Whether a result is one: no copy of its source, with all of its pictures at their times."""

import json
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from app.errors import MediaError, PlanError, UnsupportedMedia
from app.plan import Plan, read_plan, sha256_of
from app.video import open_source


@dataclass(frozen=True, slots=True)
class MediaFacts:
    """What a decoder finds in a file: ``span`` and ``tick`` are seconds."""

    sha256: str
    size: tuple[int, int]
    is_image: bool
    frames: int
    span: Fraction
    tick: Fraction


def read_facts(path: Path) -> MediaFacts:
    """Decode all of a file.

    Raises:
        MediaError: it cannot be decoded to its end, or is no video or image.
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
    """Compare a result with its source, or with the plan that it was made by.

    Raises:
        MediaError: the result is damaged, or is not what became of the source.
        PlanError: the plan is of another file.
    """
    found, original = read_facts(result), sha256_of(source)
    if found.sha256 == original:
        raise MediaError("it is the source itself, byte by byte: not processed")
    if plan is None:
        _compare(found, read_facts(source))
        return
    if plan.source.sha256 != original:
        raise PlanError("its plan is of another file")
    _equal("frames", found.frames, plan.source.frames)
    _equal("its size", found.size, (plan.source.width, plan.source.height))


def _compare(found: MediaFacts, wanted: MediaFacts) -> None:
    _equal("image", found.is_image, wanted.is_image)
    _equal("frames", found.frames, wanted.frames)
    _equal("its size", found.size, wanted.size)
    if abs(found.span - wanted.span) > max(found.tick, wanted.tick):
        raise MediaError(
            f"from its first to its last frame are {float(found.span):.3f} s, "
            f"not {float(wanted.span):.3f} s"
        )


def _equal(what: str, found: object, wanted: object) -> None:
    if found != wanted:
        raise MediaError(f"{what}: {found}, not {wanted} as in its source")


def check_document(result: Path, source: Path) -> None:
    """Whether a result is the plan of its source, or the report about it, a ticket.

    Raises:
        UnsupportedMedia: it is neither.
        PlanError: it is the plan of another file.
    """
    content = _json(result)
    if {"tracks", "shots"} <= content.keys():
        if read_plan(result).source.sha256 != sha256_of(source):
            raise PlanError("it is the plan of another file")
    elif not content.get("output") or content["output"] != _json(source).get("output"):
        raise UnsupportedMedia("it is neither a video, an image nor a plan")


def _json(path: Path) -> dict[str, Any]:
    """The object in a file; an empty one where there is none."""
    with suppress(ValueError), path.open("rb") as file:
        if file.read(1) == b"{":
            content: dict[str, Any] = json.loads(path.read_bytes())
            return content
    return {}
