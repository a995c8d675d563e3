"""Join the plans of pieces into one plan of the whole video, for a review of the whole."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np

from app.edits import edited_plan
from app.errors import PlanError
from app.pieces.manifest import MANIFEST, Manifest
from app.plan import Plan, PlanTrack, SourceRecord, cards_of

_PLAN_ENDINGS = frozenset({".json", ".out"})


def join_plans(manifest: Manifest, folder: Path) -> Plan:
    """Return the plan of the whole video, with the edits beside the plans of the pieces.

    The hash in a plan identifies its piece; file names do not matter. Frames are counted from the
    start of the video, tracks are renumbered, and a shot ends where a piece ends.

    Args:
        manifest: the manifest of the split.
        folder: the folder of the plans.

    Raises:
        PlanError: a plan is missing, exists twice, is wrong, or was made with other settings.
        EditsError: the edits of a plan are damaged.
    """
    plans = _read_plans(manifest, folder)
    shots: list[tuple[int, int]] = []
    tracks: list[PlanTrack] = []
    start = manifest.pieces[0].first_pts
    for piece, plan in zip(manifest.pieces, plans, strict=True):
        if plan.source.frames != piece.frames:
            raise PlanError(f"{folder}: the plan of {piece.file} has {plan.source.frames} frames")
        for name in ("settings", "models", "people"):
            if getattr(plan, name) != getattr(plans[0], name):
                raise PlanError(f"{folder}: the plan of {piece.file} was made with other {name}")
        cards = _renamed(plan, tracks)
        begin = float((piece.first_pts - start) * manifest.source.time_base)
        for track in plan.tracks:
            moved = _move(track, len(tracks), len(shots), piece.first)
            tracks.append(replace(_later(moved, begin), card=cards.get(track.card)))
        shots += [(first + piece.first, end + piece.first) for first, end in plan.shots]
    source = _source_record(manifest, plans[0].source)
    return replace(plans[0], source=source, shots=tuple(shots), tracks=tuple(tracks))


def _read_plans(manifest: Manifest, folder: Path) -> list[Plan]:
    """Read the plan of each piece with its edits, in the order of the pieces."""
    if not folder.is_dir():
        raise PlanError(f"{folder}: no such folder; name the one with the plans of the pieces")
    file_of = {piece.sha256: piece.file for piece in manifest.pieces}
    plans: dict[str, Plan] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix not in _PLAN_ENDINGS or path.name == MANIFEST or not _is_json_object(path):
            continue
        plan = edited_plan(path)
        sha256 = plan.source.sha256
        if sha256 not in file_of:
            continue
        if sha256 in plans:
            raise PlanError(f"{path}: is a second plan of {file_of[sha256]}; remove one")
        plans[sha256] = plan
    missing = [name for sha256, name in file_of.items() if sha256 not in plans]
    if missing:
        raise PlanError(f"{folder}: no plan of {missing[0]} and {len(missing) - 1} others")
    return [plans[sha256] for sha256 in file_of]


def _is_json_object(path: Path) -> bool:
    """Whether a file may be a plan; the results of jobs end in ``.out``, whatever they are."""
    with path.open("rb") as file:
        return path.is_file() and file.read(1) == b"{"


def _move(track: PlanTrack, number: int, shots: int, frames: int) -> PlanTrack:
    """Return a track with the number ``number``, ``shots`` and ``frames`` later."""
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


def _renamed(plan: Plan, before: Sequence[PlanTrack]) -> dict[str | None, str]:
    """Return new names for the cards of a piece: only listed people have the same ones in all.

    ``before`` are the tracks of the pieces before it, with their new names.
    """
    listed = {person.name for person in plan.people}
    taken = listed | {track.card for track in before}
    free = (name for n in count(1) if (name := f"Person {n}") not in taken)
    return {card: card if card in listed else next(free) for card in cards_of(plan)}


def _later(track: PlanTrack, seconds: float) -> PlanTrack:
    if track.times is None:
        return track
    begin, end = (round(time + seconds, 3) for time in track.times)
    return replace(track, times=(begin, end))


def _source_record(manifest: Manifest, first: SourceRecord) -> SourceRecord:
    source = manifest.source
    return replace(
        first,
        sha256=source.sha256,
        name=source.name,
        frames=source.frames,
        duration=source.duration,
    )
