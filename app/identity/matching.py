"""Which track is which person: similarity by the best chips, and one joint assignment.

People exclude each other: two tracks that share a frame are never the same person. So tracks are
not matched one by one; and the chips of tracks that surely are a person join the gallery for the
rest of the video, so that a profile can be recognised by the company it keeps.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from app.identity.exclusion import Pair, best
from app.identity.gallery import Gallery
from app.types import Embeddings

Weights = NDArray[np.float32]

NOBODY = 0.87
"""Similarity of chips that carry no information with anybody (dlib's ResNet: 0.86 to 0.90 for
dark and soft faces): the weaker a chip, the nearer its similarity is drawn to this."""
LEAST_WEIGHT = 1e-3
"""Keeps means defined where no chip says anything."""
VOUCHING_WEIGHT = 0.7
VOUCHING_SIZE = 40.0
"""Chips that vouch for others must be good ones, of faces of 40 pixels and more."""
VOUCHING_LOSS = 0.025
"""Taken off a similarity that is known by a vouching chip only: turned faces of the same film are
like each other whoever they are. A track is then as like the chip as sure tracks are."""
CLEAR_LEAD = 0.01
"""By so much a track must be more like a person for the other one to be ruled out."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Similarities from which a track may be, and surely is, a person."""

    doubtful: float
    sure: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a track: where it was seen, and its best chips.

    ``shot`` and ``first``, ``last`` (frames, inclusive) say where; ``embeddings`` (k, D) of unit
    length, ``weights`` (k,) in 0..1 and ``sizes`` (k,) in pixels describe its chips. ``known`` is
    the index of the person whom the track was pointed out to be, if it was.
    """

    shot: int
    first: int
    last: int
    embeddings: Embeddings
    weights: Weights
    sizes: Weights
    known: int | None = None

    def meets(self, other: "Evidence") -> bool:
        """Whether both tracks were seen in some frame."""
        return self.shot == other.shot and self.first <= other.last and other.first <= self.last


Standing = Literal["sure", "doubtful", "excluded"]


@dataclass(frozen=True, slots=True)
class Match:
    """The person (index) whom a track is most like.

    ``sure``: surely that person. ``doubtful``: perhaps. ``excluded``: like that person too, but
    somebody in the same frames clearly is more so.
    """

    person: int
    similarity: float
    standing: Standing


def similarity(evidence: Evidence, known: Embeddings) -> float:
    """Likeness of a track to a person of embeddings (n, D).

    The weighted mean, over the better half of the track's chips, of the similarity to the nearest
    embedding; drawn to ``NOBODY`` as far as even the best of these chips is weak. Not the best chip
    alone: one odd chip of a long track is like anybody.
    """
    if not len(evidence.embeddings) or not len(known):
        return 0.0
    nearest = (evidence.embeddings @ known.T).max(axis=1).astype(np.float64)
    weights = evidence.weights.astype(np.float64)
    order = np.argsort(-_drawn(nearest, weights), kind="stable")
    best = order[: (len(order) + 1) // 2]
    mean = np.average(nearest[best], weights=np.maximum(weights[best], LEAST_WEIGHT))
    return float(_drawn(np.asarray(mean), weights[best].max(keepdims=True))[0])


def _drawn(values: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Similarities, those above ``NOBODY`` drawn to it by the lack of weight."""
    return np.minimum(values, NOBODY + (values - NOBODY) * weights)


def match(
    tracks: Sequence[Evidence], gallery: Gallery, thresholds: Thresholds
) -> list[Match | None]:
    """The person of each track, or None where it is like nobody."""
    if not gallery.people:
        return [None] * len(tracks)
    likeness = _likeness(tracks, [person.embeddings for person in gallery.people])
    _point_out(tracks, likeness)
    sure = _assign(tracks, likeness, thresholds.sure)
    likeness = _vouched(tracks, likeness, sure)
    chosen = _assign(tracks, likeness, thresholds.doubtful)
    return [_judge(i, tracks, likeness, chosen, thresholds) for i in range(len(tracks))]


def _likeness(tracks: Sequence[Evidence], people: Sequence[Embeddings]) -> NDArray[np.float64]:
    """Similarity of each track to each person: (tracks, people)."""
    rows = [[similarity(track, known) for known in people] for track in tracks]
    return np.asarray(rows, np.float64).reshape(len(tracks), len(people))


def _point_out(tracks: Sequence[Evidence], likeness: NDArray[np.float64]) -> None:
    """A track that was pointed out is that person beyond doubt, and nobody else."""
    for row, track in zip(likeness, tracks, strict=True):
        if track.known is not None:
            row[:] = 0.0
            row[track.known] = 1.0


def _vouched(
    tracks: Sequence[Evidence], likeness: NDArray[np.float64], sure: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The likeness when sure tracks vouch for those that they do not meet."""
    chips = _vouching(tracks, sure, likeness.shape[1])
    vouched = _likeness(tracks, chips) - VOUCHING_LOSS
    by_shot: dict[int, list[int]] = defaultdict(list)
    for i, track in enumerate(tracks):
        by_shot[track.shot].append(i)
    for witness, person in zip(tracks, sure, strict=True):
        for i in by_shot[witness.shot] if person >= 0 else ():
            if tracks[i].meets(witness):
                vouched[i, person] = 0.0
    return np.where((sure >= 0)[:, None], likeness, np.maximum(likeness, vouched))


def _vouching(tracks: Sequence[Evidence], sure: NDArray[np.int64], people: int) -> list[Embeddings]:
    """Good chips (n, D) of the tracks that surely are each person."""
    dimension = max((t.embeddings.shape[1] for t in tracks), default=0)
    chips: list[list[Embeddings]] = [[np.zeros((0, dimension), np.float32)] for _ in range(people)]
    for track, person in zip(tracks, sure, strict=True):
        good = (track.weights >= VOUCHING_WEIGHT) & (track.sizes >= VOUCHING_SIZE)
        if person >= 0:
            chips[person].append(track.embeddings[good])
    return [np.concatenate(rows) for rows in chips]


def _assign(
    tracks: Sequence[Evidence], likeness: NDArray[np.float64], threshold: float
) -> NDArray[np.int64]:
    """The person of each track, -1 for none.

    The assignment with the largest sum of likeness above ``threshold`` in which no two tracks
    that meet are one person.
    """
    chosen = np.full(len(tracks), -1, np.int64)
    pairs: dict[int, list[Pair]] = defaultdict(list)
    for t, p in np.argwhere(likeness >= threshold):
        pairs[tracks[t].shot].append((int(t), int(p)))
    gain = likeness - threshold + 1e-3
    for t, track in enumerate(tracks):
        gain[t] += len(tracks) * (track.known is not None)  # no sum of others outweighs it
    spans = [(track.first, track.last) for track in tracks]
    for here in pairs.values():
        for t, p in best(here, spans, gain):
            chosen[t] = p
    return chosen


def _judge(
    index: int,
    tracks: Sequence[Evidence],
    likeness: NDArray[np.float64],
    chosen: NDArray[np.int64],
    thresholds: Thresholds,
) -> Match | None:
    """What one track is, given how like everybody all tracks are and who was chosen."""
    person = int(chosen[index])
    own = likeness[index]
    if person >= 0:
        sure = own[person] >= thresholds.sure
        return Match(person, float(own[person]), "sure" if sure else "doubtful")
    person = int(own.argmax())
    if own[person] < thresholds.doubtful:
        return None
    lead = max(
        likeness[j, person]
        for j, track in enumerate(tracks)
        if chosen[j] == person and track.meets(tracks[index])
    )
    excluded = own[person] < thresholds.sure and lead >= own[person] + CLEAR_LEAD
    return Match(person, float(own[person]), "excluded" if excluded else "doubtful")
