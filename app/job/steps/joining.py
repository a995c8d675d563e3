"""The step ``join``: unpack the answers of a transform job to pieces, and join them."""

from argparse import Namespace
from collections.abc import Iterator
from http.client import HTTPException, parse_headers
from pathlib import Path
from typing import IO

from app.errors import MediaError
from app.job.places import Place, only_file
from app.pieces import MANIFEST, join, join_plans, read_manifest
from app.plan import write_plan
from app.process import StopSignal
from app.video import Writing

JOINED = "joined"
"""The stem of the joined video; its suffix is that of the source."""
PLAN = "plan.json"
ANSWERS = "answers"
"""The input with the answers of the transform job: media and plan of each piece."""
SPLIT = "split"
"""The input with the files of the step ``split``, except the pieces."""
_SUFFIX = ".out"
"""What a transform job appends to the names of its results."""
_BLOCK = 1 << 20


def join_results(place: Place, args: Namespace, stop: StopSignal) -> str:  # noqa: ARG001
    """Write the joined video and its plan into the output.

    Raises:
        MediaError: a piece is missing, damaged or not processed, or an answer is incomplete.
        UsageError, PlanError: pieces, plans and source do not belong together.
        OutputError, DiskFull: the output cannot be written.
    """
    path = only_file(place.folder(SPLIT), MANIFEST)
    manifest = read_manifest(path)
    results, plans = place.scratch / "results", place.scratch / "plans"
    for folder in (results, plans, place.output):
        folder.mkdir(parents=True, exist_ok=True)
    for piece in manifest.pieces:
        answer = only_file(place.folder(ANSWERS), piece.file + _SUFFIX)
        unpack(answer, results / piece.file, plans / f"{piece.file}.json")
    output = place.output / f"{JOINED}{Path(place.name).suffix}"
    join(path, results, place.source, output, Writing())
    write_plan(join_plans(manifest, plans), place.output / PLAN)
    return f"{len(manifest.pieces)} pieces joined"


def unpack(answer: Path, media: Path, plan: Path) -> None:
    """Unpack an answer of the service to ``Accept: multipart/mixed``.

    Raises:
        MediaError: it is not complete, or not such an answer.
    """
    places = {"media": media, "plan": plan}
    try:
        with answer.open("rb") as body:
            found = [_unpack_part(body, places) for _ in _boundaries(body)]
    except (OSError, ValueError, KeyError, HTTPException) as error:
        raise MediaError(f"{answer}: is not the media and the plan of a piece") from error
    if sorted(found) != sorted(places):
        raise MediaError(f"{answer}: has no media or no plan")


def _boundaries(body: IO[bytes]) -> Iterator[None]:
    """Read the boundaries, and stop at the closing one.

    Raises:
        ValueError: the body ends without one, or has something else in its place.
    """
    first = body.readline().rstrip(b"\r\n")
    if not first.startswith(b"--"):
        raise ValueError("no boundary")
    line = first
    while line == first:
        yield
        body.readline()  # the end of line that belongs to the boundary
        line = body.readline().rstrip(b"\r\n")
    if line != first + b"--":
        raise ValueError("no closing boundary")


def _unpack_part(body: IO[bytes], places: dict[str, Path]) -> str:
    """Write one part to its place, and return its name."""
    head = parse_headers(body)
    name = str(head.get_param("name", header="content-disposition"))
    left = int(head.get("Content-Length", ""))
    with places[name].open("xb") as file:
        while left:
            block = body.read(min(left, _BLOCK))
            if not block:
                raise ValueError("cut off")
            left -= file.write(block)
    return name
