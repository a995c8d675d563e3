"""The state of a review as JSON for the page, and the boxes of its tracks."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, TypeAlias

import numpy as np

from app.edits import Doubt, Edit, Editor, Review, Target, doubts_of
from app.edits.operations import as_json
from app.plan import PlanTrack

Json: TypeAlias = dict[str, Any]
_FACES = 6
"""Views of a track that are shown: more of one track look alike."""
_PADDING = 3
"""Frames at both ends of a track without a sure face: a track begins before its face is seen."""


def state_of(editor: Editor) -> Json:
    """Return everything that the page shows of a plan and its edits."""
    review, edits = editor.review, editor.journal.edits
    tracks = list(review.tracks.values())
    doubts = doubts_of(review)
    return {
        "number": len(edits),
        "people": [
            asdict(person) | {"note": review.notes.get(Target("listed", person.name))}
            for person in review.plan.people
        ],
        "settings": review.plan.settings,
        "models": asdict(review.plan.models),
        "shots": review.plan.shots,
        "cards": list(_cards(review, tracks)),
        "nobody": [track.id for track in tracks if track.card is None],
        "tracks": [_track(review, track) for track in tracks],
        "regions": [
            {"id": number, **as_json(region), "note": review.notes.get(Target("region", number))}
            for number, region in review.regions.items()
        ],
        "next_region": review.unused,
        "doubts": [_doubt(doubt) for doubt in doubts],
        "done": all(doubt.settled for doubt in doubts),
        "undo": _brief(editor.undoable),
        "redo": _brief(editor.redoable),
        "saved": edits[-1].time if edits else None,
        "video_note": review.notes.get(Target("video", 0)),
    }


def _cards(review: Review, tracks: Sequence[PlanTrack]) -> Iterator[Json]:
    """Yield the cards in the order of the first appearances."""
    listed = {person.name for person in review.plan.people}
    groups: dict[str, list[PlanTrack]] = {}
    for track in sorted(tracks, key=lambda track: (track.first, track.id)):
        if track.card is not None:
            groups.setdefault(track.card, []).append(track)
    source = review.plan.source
    for name, group in groups.items():
        decisions = {track.decision for track in group}
        frames = sum(track.last + 1 - track.first for track in group)
        yield {
            "name": name,
            "listed": name in listed,
            "decision": decisions.pop() if len(decisions) == 1 else None,
            "tracks": [track.id for track in group],
            "first": group[0].first,
            "last": max(track.last for track in group),
            "seconds": round(frames * source.duration / source.frames, 2),
            "note": review.notes.get(Target("card", name)),
        }


def _track(review: Review, track: PlanTrack) -> Json:
    target = Target("track", track.id)
    names = ("id", "shot", "first", "last", "person", "similarity", "decision", "uncertain")
    return {name: getattr(track, name) for name in names} | {
        "confirmed": target in review.confirmed,
        "reason": track.reason,
        "unclear": track.unclear,
        "card": track.card,
        "times": track.times,
        "note": review.notes.get(target),
        "faces": best_faces(track),
        "width": round(float(np.median(track.boxes[:, 3] - track.boxes[:, 1])), 1),
    }


def best_faces(track: PlanTrack, count: int = _FACES) -> list[int]:
    """Return the frames with the largest faces, spread over a track, in order."""
    inner = track.boxes[_PADDING:-_PADDING] if len(track.boxes) > 2 * _PADDING else track.boxes
    sizes = (inner[:, 3:] - inner[:, 1:3]).prod(axis=1)
    parts = np.array_split(np.arange(len(inner)), min(count, len(inner)))
    return [int(inner[part[np.argmax(sizes[part])], 0]) for part in parts]


def _doubt(doubt: Doubt) -> Json:
    values = asdict(doubt) | {"target": target_json(doubt.target)}
    return values | {"weight": round(doubt.weight, 3)}


def _brief(edit: Edit | None) -> Json | None:
    if edit is None:
        return None
    return {
        "number": edit.number,
        "operation": edit.operation,
        "target": target_json(edit.target),
    }


def target_json(target: Target) -> Json:
    """Return a target as in a journal.

    >>> target_json(Target("track", 3))
    {'track': 3}
    """
    return {target.kind: target.name}


def boxes_bytes(review: Review) -> bytes:
    """Return the boxes of all tracks in the order of the state: float32, x1, y1, x2, y2."""
    parts = [np.ascontiguousarray(track.boxes[:, 1:], "<f4") for track in review.tracks.values()]
    return b"".join(part.tobytes() for part in parts)


def edit_json(edit: Edit) -> Json:
    """Return an edit for the list of edits."""
    names = ("number", "time", "reviewer", "operation", "before", "after")
    values = {name: getattr(edit, name) for name in names}
    return values | {"target": target_json(edit.target)}
