"""Turn tracks into decisions: match tracks to people, apply the policy, and build plan tracks."""

from collections.abc import Mapping, Sequence
from itertools import count

import numpy as np

from app.config import Point
from app.identity.cast import group_people
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
    # Remainders of tracks have neither a match nor a card of their own.
    evidence = {
        i: evidence_of(track, person_of.get(i))
        for i, track in enumerate(result.tracks)
        if track.remainder_of is None
    }
    matches = _matches(evidence, everybody, scale, result.max_gap)
    cards = _cards(evidence, matches, everybody, scale)
    return everybody, tuple(
        _plan_track(i, track, matches[whole], everybody, policy, cards[whole])
        for i, track in enumerate(result.tracks)
        for whole in [whole_track(i, track)]
    )


def _matches(
    evidence: Mapping[int, Evidence], gallery: Gallery, scale: Scale, max_gap: int
) -> dict[int, Match | None]:
    """Return the match of each track by number."""
    if not gallery.people:
        return dict.fromkeys(evidence)
    tracks = list(evidence.values())
    matches = match_tracks(tracks, gallery, scale)
    return dict(zip(evidence, continue_lost_people(tracks, matches, max_gap), strict=True))


def _cards(
    evidence: Mapping[int, Evidence],
    matches: Mapping[int, Match | None],
    gallery: Gallery,
    scale: Scale,
) -> dict[int, str | None]:
    """Return the name of the person of each track, listed or not; None if that cannot be told."""
    cards = {i: _listed(match, gallery) for i, match in matches.items()}
    others = [i for i, card in cards.items() if card is None]
    numbers = group_people([evidence[i] for i in others], scale)
    taken = set(gallery.names)
    free = (name for n in count(1) if (name := f"Person {n}") not in taken)
    names = [next(free) for _ in range(len({*numbers} - {None}))]
    return cards | {
        i: None if number is None else names[number]
        for i, number in zip(others, numbers, strict=True)
    }


def _listed(match: Match | None, gallery: Gallery) -> str | None:
    """Return the name of the listed person that a track surely or perhaps shows."""
    if match is None or match.person is None or match.standing == "excluded":
        return None
    return gallery.names[match.person]


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


def _plan_track(  # noqa: PLR0917 - each argument is a part of the track
    number: int,
    track: FaceTrack,
    match: Match | None,
    gallery: Gallery,
    policy: Policy,
    card: str | None,
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
        card=card,
    )
