"""Turn tracks into decisions: match tracks to people, apply the policy, and build plan tracks."""

from collections.abc import Mapping, Sequence

import numpy as np

from app.config import Point
from app.identity.evidence import Evidence
from app.identity.gallery import Gallery, Person
from app.identity.matching import Match, continue_lost_people, match_tracks
from app.identity.policies import Policy
from app.identity.scale import Scale
from app.pipeline.analysis import AnalysisResult
from app.pipeline.chips import EmbeddedChips
from app.pipeline.selection import track_at, whole_track
from app.pipeline.shot_analysis import FaceTrack
from app.plan import PlanTrack


def decide(
    result: AnalysisResult, gallery: Gallery, points: Sequence[Point], scale: Scale, policy: Policy
) -> tuple[Gallery, tuple[PlanTrack, ...]]:
    """Return the gallery with the people selected by ``points``, and a plan track for each track.

    Raises:
        UsageError: there is no face at a point.
    """
    selected = {track_at(result, point): f"selected {i + 1}" for i, point in enumerate(points)}
    people = tuple(_selected_person(result.tracks[i], name) for i, name in selected.items())
    everybody = Gallery(gallery.people + people, gallery.doubts)
    person_of = {track: len(gallery.people) + i for i, track in enumerate(selected)}
    matches = _matches(result, person_of, everybody, scale)
    return everybody, tuple(
        _plan_track(i, track, matches[whole_track(i, track)], everybody, policy)
        for i, track in enumerate(result.tracks)
    )


def _matches(
    result: AnalysisResult, selected: Mapping[int, int], gallery: Gallery, scale: Scale
) -> dict[int, Match | None]:
    """Return the match of each track by number; remainders have none of their own.

    ``selected`` has the person of each selected track.
    """
    whole = [i for i, track in enumerate(result.tracks) if track.remainder_of is None]
    if not gallery.people:
        return dict.fromkeys(whole)
    evidence = [evidence_of(result.tracks[i], selected.get(i)) for i in whole]
    matches = match_tracks(evidence, gallery, scale)
    return dict(zip(whole, continue_lost_people(evidence, matches, result.max_gap), strict=True))


def _selected_person(track: FaceTrack, name: str) -> Person:
    return Person(name, _chips(track).embeddings, 0, same_video=True)


def _chips(track: FaceTrack) -> EmbeddedChips:
    return EmbeddedChips.empty(1) if track.chips is None else track.chips


def evidence_of(track: FaceTrack, selected: int | None = None) -> Evidence:
    """Return the evidence of a track; ``selected`` is the person that the user selected there."""
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
        selected=selected,
        boxes=track.boxes[first - track.first : last - track.first + 1],
    )


def _plan_track(
    number: int, track: FaceTrack, match: Match | None, gallery: Gallery, policy: Policy
) -> PlanTrack:
    person = None if match is None else match.person
    name = "" if person is None else gallery.names[person]
    similarity = None if match is None else match.similarity
    verdict = policy(match, name)
    suffix = "" if track.remainder_of is None else "; still visible after the cut"
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
        reason=verdict.reason + suffix,
        unclear=match.flaw if match is not None and match.standing == "unclear" else None,
        boxes=np.concatenate([frames[:, None], track.boxes], axis=1),
    )
