"""One plan of a film out of the plans of its pieces, for those who review it as a whole."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from app.errors import PlanError
from app.pieces.manifest import MANIFEST, Manifest
from app.plan import Plan, PlanTrack, SourceRecord, read_plan

_ENDINGS = frozenset({".json", ".out"})


def join_plans(manifest: Manifest, folder: Path) -> Plan:
    """The plan of the whole film. Plans are told by the piece that they are for, not by names.

    Frames are counted from the start of the film, tracks are numbered anew, and a shot ends where
    a piece ends.

    Raises:
        PlanError: a plan is missing, there twice, wrong, or made in another way than the others.
    """
    found = _by_piece(manifest, folder)
    first = found[0]
    shots: list[tuple[int, int]] = []
    tracks: list[PlanTrack] = []
    for piece, plan in zip(manifest.pieces, found, strict=True):
        if plan.source.frames != piece.frames:
            raise PlanError(f"{folder}: the plan of {piece.file} has {plan.source.frames} frames")
        for name in ("settings", "models", "people"):
            if getattr(plan, name) != getattr(first, name):
                raise PlanError(f"{folder}: the plan of {piece.file} was made with other {name}")
        for track in plan.tracks:
            tracks.append(_moved(track, len(tracks), len(shots), piece.first))
        shots += [(begin + piece.first, end + piece.first) for begin, end in plan.shots]
    return replace(first, source=_source(manifest, first), shots=tuple(shots), tracks=tuple(tracks))


def _by_piece(manifest: Manifest, folder: Path) -> list[Plan]:
    wanted = {piece.sha256: piece.file for piece in manifest.pieces}
    found: dict[str, Plan] = {}
    if not folder.is_dir():
        raise PlanError(f"{folder}: no such folder; name the one with the plans of the pieces")
    for path in sorted(folder.iterdir()):
        if path.suffix not in _ENDINGS or path.name == MANIFEST or not _is_text(path):
            continue
        plan = read_plan(path)
        if plan.source.sha256 not in wanted:
            continue
        if plan.source.sha256 in found:
            raise PlanError(f"{path}: is a second plan of {wanted[plan.source.sha256]}; remove one")
        found[plan.source.sha256] = plan
    missing = [name for sha256, name in wanted.items() if sha256 not in found]
    if missing:
        raise PlanError(f"{folder}: no plan of {missing[0]} and {len(missing) - 1} others")
    return [found[sha256] for sha256 in wanted]


def _is_text(path: Path) -> bool:
    """Whether it may be a plan; results of jobs end in ``.out`` whatever they are."""
    with path.open("rb") as file:
        return path.is_file() and file.read(1) == b"{"


def _moved(track: PlanTrack, number: int, shots: int, frames: int) -> PlanTrack:
    boxes = np.array(track.boxes, np.float64)
    boxes[:, 0] += frames
    return replace(
        track,
        id=number,
        shot=track.shot + shots,
        first=track.first + frames,
        last=track.last + frames,
        boxes=boxes.astype(np.float32),
    )


def _source(manifest: Manifest, first: Plan) -> SourceRecord:
    source = manifest.source
    return replace(
        first.source,
        sha256=source.sha256,
        name=source.name,
        frames=source.frames,
        duration=source.duration,
    )
