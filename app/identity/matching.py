"""The person of each track: strengths by the best chips, and one joint assignment.

People exclude each other: two tracks that share a frame are never the same person. So tracks are
not matched one by one; and the chips of tracks that surely are a person join the gallery for the
rest of the video, so that a profile can be recognised by the company it keeps.

There are three answers: somebody listed (sure or doubtful), somebody else, and *unclear*. A track
is somebody else only if the right person would have been recognised in it, or is in the same
frames.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from app.identity.evidence import Evidence, Reading, read
from app.identity.exclusion import Pair, best
from app.identity.gallery import Gallery
from app.identity.scale import Scale
from app.types import Embeddings

VOUCHING_QUALITY = 0.7
VOUCHING_SIZE = 40.0
"""Chips that vouch for others must be good ones, of faces of 40 pixels and more."""
SAME_VIDEO = 0.3
"""Taken off a strength that is known by chips of the same video: faces in the same light, and
turned the same way, are like each other."""
CLEAR_LEAD = 0.1
"""A doubtful track is ruled out by a sure one in the same frames that is so much stronger."""
CLEAR_LEAD_OF_SURE = 0.4
"""The same where the other one would be sure, too: a mirror or a screen shows a person again,
hardly weaker than the person herself."""
POINTED_OUT = 100.0
"""Strength of a track with the person whom it was pointed out to be: beyond any other."""


Standing = Literal["sure", "doubtful", "excluded", "unclear"]


@dataclass(frozen=True, slots=True)
class Match:
    """The answer for a track that is not simply somebody else.

    ``sure``: surely the person. ``doubtful``: perhaps. ``excluded``: like that person too, but
    somebody in the same frames clearly is more so. ``unclear``: the track is too weak to tell, for
    the reason ``flaw``; it has no ``person`` (index) and no ``similarity`` then. ``shown`` has the
    first and the last frame between which chips of a sure or doubtful track say so.
    """

    person: int | None
    similarity: float | None
    standing: Standing
    flaw: str = ""
    shown: tuple[int, int] | None = None


def match(tracks: Sequence[Evidence], gallery: Gallery, scale: Scale) -> list[Match | None]:
    """The answer for each track; None where it is surely somebody else."""
    if not gallery.people or not tracks:
        return [None] * len(tracks)
    return _Matching(tracks, gallery, scale).answers()


class _Matching:
    """One video's tracks against one gallery; arrays are (tracks, people) unless said otherwise."""

    def __init__(self, tracks: Sequence[Evidence], gallery: Gallery, scale: Scale) -> None:
        self._tracks = tracks
        self._scale = scale
        self._by_shot: dict[int, list[int]] = defaultdict(list)
        for number, track in enumerate(tracks):
            self._by_shot[track.shot].append(number)
        self._readings = [
            [read(track, person.embeddings, scale) for person in gallery.people] for track in tracks
        ]
        self._strength = _strengths(self._readings)
        self._strength -= SAME_VIDEO * np.array([p.same_video for p in gallery.people])
        self._point_out()
        self._doubt = np.asarray(
            [float(scale.doubtful(track.quality)) for track in tracks], np.float64
        )

    def _point_out(self) -> None:
        """A track that was pointed out is that person beyond doubt, and nobody else."""
        for row, track in zip(self._strength, self._tracks, strict=True):
            if track.known is not None:
                row[:] = -POINTED_OUT
                row[track.known] = POINTED_OUT

    def answers(self) -> list[Match | None]:
        sure = self._assign(np.ones(len(self._tracks)))
        self._vouch(sure)
        chosen = self._assign(self._doubt)
        return [self._answer(track, chosen) for track in range(len(self._tracks))]

    def _assign(self, threshold: NDArray[np.float64]) -> NDArray[np.int64]:
        """The person of each track, -1 for none.

        The assignment with the largest sum of strengths above the ``threshold`` (tracks,) in which
        no two tracks that meet are one person.
        """
        chosen = np.full(len(self._tracks), -1, np.int64)
        pairs: dict[int, list[Pair]] = defaultdict(list)
        for t, p in np.argwhere(self._strength >= threshold[:, None]):
            pairs[self._tracks[t].shot].append((int(t), int(p)))
        gain = self._strength - threshold[:, None] + 1e-3
        for t, track in enumerate(self._tracks):
            gain[t] += len(self._tracks) * POINTED_OUT * (track.known is not None)
        spans = [(track.first, track.last) for track in self._tracks]
        for here in pairs.values():
            for t, p in best(here, spans, gain):
                chosen[t] = p
        return chosen

    def _vouch(self, sure: NDArray[np.int64]) -> None:
        """Raise strengths by the chips of sure tracks, for tracks that do not meet these.

        A sure track counts as met only in the frames in which it shows the person.
        """
        chips = self._vouching(sure)
        readings = [[read(track, known, self._scale) for known in chips] for track in self._tracks]
        vouched = _strengths(readings) - SAME_VIDEO
        for j, person in enumerate(sure.tolist()):
            if person < 0:
                continue
            witness = self._tracks[j].between(*self._shown(j, person))
            for i in self._by_shot[witness.shot]:
                if self._tracks[i].meets(witness):
                    vouched[i, person] = -POINTED_OUT
        for t, p in np.argwhere((vouched > self._strength) & (sure < 0)[:, None]):
            self._strength[t, p] = vouched[t, p]
            self._readings[t][p] = readings[t][p]

    def _vouching(self, sure: NDArray[np.int64]) -> list[Embeddings]:
        """Good chips (n, D) of the tracks that surely are each person."""
        people = self._strength.shape[1]
        dimension = max((t.embeddings.shape[1] for t in self._tracks), default=0)
        none = np.zeros((0, dimension), np.float32)
        chips: list[list[Embeddings]] = [[none] for _ in range(people)]
        for track, person in zip(self._tracks, sure, strict=True):
            good = (track.qualities >= VOUCHING_QUALITY) & (track.sizes >= VOUCHING_SIZE)
            if person >= 0:
                chips[person].append(track.embeddings[good])
        return [np.concatenate(rows) for rows in chips]

    def _answer(self, index: int, chosen: NDArray[np.int64]) -> Match | None:
        """The answer for one track, given the strengths of all and the people assigned."""
        own, track = self._strength[index], self._tracks[index]
        if chosen[index] >= 0:
            person = int(chosen[index])
            return self._match(index, person, "sure" if own[person] >= 1 else "doubtful")
        like = [int(p) for p in np.argsort(-own, kind="stable") if own[p] >= self._doubt[index]]
        for person in like:
            if not self._ruled_out(index, person, chosen):
                return self._match(index, person, "doubtful")
        weak = track.quality < self._scale.least
        others = set(range(len(own))) - set(like)
        if weak and not all(self._elsewhere(index, person, chosen) for person in others):
            return Match(None, None, "unclear", track.flaw)
        return self._match(index, like[0], "excluded") if like else None

    def _ruled_out(self, index: int, person: int, chosen: NDArray[np.int64]) -> bool:
        """Whether a track in the same frames surely is the person, and clearly more so."""
        own = float(self._strength[index, person])
        lead = CLEAR_LEAD if own < 1 else CLEAR_LEAD_OF_SURE
        return self._lead(index, person, chosen) >= max(1.0, own + lead)

    def _elsewhere(self, index: int, person: int, chosen: NDArray[np.int64]) -> bool:
        """Whether the person surely is another track of the same frames."""
        return self._lead(index, person, chosen) >= 1

    def _lead(self, index: int, person: int, chosen: NDArray[np.int64]) -> float:
        """The largest strength of a track that was found to be the person in the same frames."""
        track = self._tracks[index]
        return max(
            (
                float(self._strength[j, person])
                for j in self._by_shot[track.shot]
                if chosen[j] == person
                and self._tracks[j].between(*self._shown(j, person)).meets(track)
            ),
            default=-POINTED_OUT,
        )

    def _shown(self, index: int, person: int) -> tuple[int, int]:
        """First and last frame between which a track's chips are like the person.

        A track may go over to somebody else, so that it says nothing about other frames.
        """
        track = self._tracks[index]
        if track.known is not None:
            return track.first, track.last
        return self._readings[index][person].span

    def _match(self, index: int, person: int, standing: Standing) -> Match:
        strength = self._strength[index, person]
        similarity = 1.0
        if strength < POINTED_OUT:
            similarity = self._scale.similarity(float(strength), self._tracks[index].quality)
        shown = None if standing == "excluded" else self._shown(index, person)
        return Match(person, min(similarity, 1.0), standing, shown=shown)


def _strengths(readings: Sequence[Sequence[Reading]]) -> NDArray[np.float64]:
    """(tracks, people)."""
    rows = [[reading.strength for reading in row] for row in readings]
    return np.asarray(rows, np.float64).reshape(len(rows), -1 if rows else 0)
