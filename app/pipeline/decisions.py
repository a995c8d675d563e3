"""From tracks to decisions: who is who, and who is hidden."""

from collections.abc import Mapping, Sequence

import numpy as np

from app.config import Point
from app.errors import UsageError
from app.geometry import centres, grow
from app.identity.continuation import carried_on
from app.identity.evidence import Evidence
from app.identity.gallery import Gallery, Person
from app.identity.matching import Match, match
from app.identity.policies import Policy
from app.identity.scale import Scale
from app.pipeline.analysis import Found, FoundTrack
from app.pipeline.chips import Embedded
from app.plan import PlanTrack

NEAR = 1.3
"""A point belongs to a face if it lies in its box made this much larger."""


def decide(
    found: Found, gallery: Gallery, points: Sequence[Point], scale: Scale, policy: Policy
) -> tuple[Gallery, tuple[PlanTrack, ...]]:
    """What is done with each track, and the gallery with the people who were pointed at.

    Raises:
        UsageError: nobody is where somebody was pointed at.
    """
    pointed = {at(found, point): f"selected {i + 1}" for i, point in enumerate(points)}
    everybody = Gallery(
        gallery.people + tuple(_pointed_out(found.tracks[i], name) for i, name in pointed.items()),
        gallery.doubts,
    )
    known = {track: len(gallery.people) + i for i, track in enumerate(pointed)}
    matches = _matches(found, known, everybody, scale)
    return everybody, tuple(
        _plan_track(
            i, track, matches[i if track.follows is None else track.follows], everybody, policy
        )
        for i, track in enumerate(found.tracks)
    )


def _matches(
    found: Found, known: Mapping[int, int], gallery: Gallery, scale: Scale
) -> dict[int, Match | None]:
    """The match of each track by its number; remainders after a cut are not matched themselves."""
    whole = [i for i, track in enumerate(found.tracks) if track.follows is None]
    if not gallery.people:
        return dict.fromkeys(whole)
    evidence = [evidence_of(found.tracks[i], known.get(i)) for i in whole]
    matches = carried_on(evidence, match(evidence, gallery, scale), found.patience)
    return dict(zip(whole, matches, strict=True))


def at(found: Found, point: Point) -> int:
    """The track at a point of a frame; of several the one whose middle is nearest.

    Raises:
        UsageError: there is none.
    """
    candidates = []
    for i, track in enumerate(found.tracks):
        row = point.frame - track.first
        if 0 <= row < len(track.boxes):
            box = track.boxes[row : row + 1]
            x1, y1, x2, y2 = grow(box, NEAR)[0]
            if x1 <= point.x <= x2 and y1 <= point.y <= y2:
                distance = np.hypot(*(centres(box)[0] - [point.x, point.y]))
                candidates.append((float(distance), i if track.follows is None else track.follows))
    if not candidates:
        where = f"{point.frame},{point.x:g},{point.y:g}"
        raise UsageError(f"select {where}: no face was found there; point at the middle of a face")
    return min(candidates)[1]


def _pointed_out(track: FoundTrack, name: str) -> Person:
    return Person(name, _chips(track).embeddings, 0, same_video=True)


def _chips(track: FoundTrack) -> Embedded:
    if track.chips is not None:
        return track.chips
    none = np.zeros(0, np.float32)
    return Embedded(np.zeros((0, 1), np.float32), none, none, np.zeros(0, np.int64))


def evidence_of(track: FoundTrack, known: int | None = None) -> Evidence:
    """The evidence of a found track; ``known`` is the person whom it was pointed out to be."""
    chips = _chips(track)
    first, last = track.seen
    return Evidence(
        shot=track.shot,
        first=first,
        last=last,
        embeddings=chips.embeddings,
        qualities=chips.qualities,
        sizes=chips.sizes,
        frames=chips.frames,
        flaw=chips.flaw,
        known=known,
        boxes=track.boxes[first - track.first : last - track.first + 1],
    )


def _plan_track(
    number: int, track: FoundTrack, found: Match | None, gallery: Gallery, policy: Policy
) -> PlanTrack:
    person = None if found is None else found.person
    name = "" if person is None else gallery.names[person]
    similarity = None if found is None else found.similarity
    verdict = policy(found, name)
    reason = verdict.reason if track.follows is None else f"{verdict.reason}; seen after the cut"
    frames = np.arange(track.first, track.first + len(track.boxes), dtype=np.float32)
    return PlanTrack(
        id=number,
        shot=track.shot,
        first=track.first,
        last=track.first + len(track.boxes) - 1,
        person=name or None,
        similarity=None if similarity is None else round(similarity, 3),
        decision=verdict.decision,
        uncertain=verdict.uncertain,
        reason=reason,
        unclear=found.flaw if found is not None and found.standing == "unclear" else None,
        boxes=np.concatenate([frames[:, None], track.boxes], axis=1),
    )
