"""Match tracks to people, with one joint assignment per shot.

A person is in one place at a time, so tracks with a common frame compete for a person instead of
being matched one by one. Good chips of sure tracks then join the gallery for the rest of the video:
they recognise, for example, a profile that no reference photo shows.

A track is one of the listed people (sure or doubtful), somebody else, or *unclear*. It is somebody
else only if the right person would have been recognised in it, or is another track in its frames.

The assignment has the largest total gain. A shot may last for hours, but tracks conflict only with
others nearby in time, so each group of conflicting pairs is solved separately.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from app.errors import FaceBlurError
from app.geometry import areas, centres
from app.identity.evidence import Comparison, Evidence, compare_track
from app.identity.gallery import Gallery
from app.identity.scale import Scale
from app.types import Embeddings

Pair = tuple[int, int]
"""Numbers of a track and of a person."""
Conflict = tuple[int, int]
"""Positions of two pairs that exclude each other."""
Span = tuple[int, int]
"""First and last frame, inclusive."""
REFERENCE_QUALITY = 0.7
REFERENCE_SIZE = 40.0
"""Minimum quality and size in pixels of a chip that serves as a reference for other tracks."""
SAME_VIDEO_PENALTY = 0.3
"""Subtracted from strengths with chips of the same video: faces in the same light and pose resemble
each other."""
EXCLUDING_LEAD = 0.1
"""A sure track excludes a doubtful one in the same frames if it is stronger by this much."""
EXCLUDING_LEAD_OVER_SURE = 0.4
"""The lead needed if the other track would be sure too: a mirror or a screen shows a person a
second time, hardly weaker than the person."""
SELECTED_STRENGTH = 100.0
"""Strength of a track with the person that the user selected in it: above any other."""
MAX_RETURN_DISTANCE = 2.0
"""Distance of centres, in units of the larger face's side, up to which a face may be the lost one.
Somebody who turns moves by one or two faces in the second for which a lost face is searched."""
_FEW = 10
"""Pairs of a group up to which all ways to take them are tried, 1,024 at most."""
Standing = Literal["sure", "doubtful", "excluded", "unclear"]


def best_assignment(
    pairs: Sequence[Pair], spans: Sequence[Span], gain: NDArray[np.float64]
) -> list[Pair]:
    """Return the pairs of track and person with the largest total gain and without conflicts.

    Args:
        pairs: the possible pairs of one shot.
        spans: first and last frame of each track.
        gain: (tracks, people), the value of each pair.

    Raises:
        FaceBlurError: the solver fails.
    """
    chosen: list[Pair] = []
    for group, conflicts in _groups(pairs, _conflicts(pairs, spans)):
        gains = np.array([gain[pair] for pair in group])
        taken = _solve(gains, conflicts) if conflicts else np.ones(len(group), bool)
        chosen += [pair for pair, yes in zip(group, taken, strict=True) if yes]
    return chosen


def _conflicts(pairs: Sequence[Pair], spans: Sequence[Span]) -> list[Conflict]:
    """Return the conflicts: two people for one track, or one person in two tracks at a time."""
    conflicts: list[Conflict] = []
    present: dict[int, list[int]] = defaultdict(list)
    of_track: dict[int, list[int]] = defaultdict(list)
    for i in sorted(range(len(pairs)), key=lambda number: spans[pairs[number][0]]):
        track, person = pairs[i]
        begin = spans[track][0]
        present[person] = [j for j in present[person] if spans[pairs[j][0]][1] >= begin]
        conflicts += [(j, i) for j in (*present[person], *of_track[track])]
        present[person].append(i)
        of_track[track].append(i)
    return conflicts


def _groups(
    pairs: Sequence[Pair], conflicts: Sequence[Conflict]
) -> list[tuple[list[Pair], list[Conflict]]]:
    """Return the connected groups of pairs, each with its conflicts by position in the group."""
    if not conflicts:
        return [(list(pairs), [])]
    labels = _connected(len(pairs), conflicts)
    members: dict[int, list[Pair]] = {}
    inner: dict[int, list[Conflict]] = {}
    position = []
    for pair, label in zip(pairs, labels, strict=True):
        group = members.setdefault(label, [])
        position.append(len(group))
        group.append(pair)
    for i, j in conflicts:
        inner.setdefault(labels[i], []).append((position[i], position[j]))
    return [(group, inner.get(label, [])) for label, group in members.items()]


def _connected(count: int, edges: Sequence[Conflict]) -> list[int]:
    """Return a label for each of some nodes: equal for those that edges connect."""
    neighbours: list[list[int]] = [[] for _ in range(count)]
    for i, j in edges:
        neighbours[i].append(j)
        neighbours[j].append(i)
    labels = [-1] * count
    for start in range(count):
        waiting = [start] if labels[start] < 0 else []
        while waiting:
            node = waiting.pop()
            labels[node] = start
            waiting += [other for other in neighbours[node] if labels[other] < 0]
    return labels


def _solve(gains: NDArray[np.float64], conflicts: Sequence[Conflict]) -> NDArray[np.bool_]:
    """Return which pairs to take, (n,): of many, by an integer programme (scipy's ``milp``).

    Importing scipy takes 0.3 s of CPU, so all ways are tried if there are few.
    """
    if len(conflicts) == len(gains) * (len(gains) - 1) // 2:
        # Every pair excludes every other one.
        return np.asarray(np.arange(len(gains)) == gains.argmax())
    if len(gains) <= _FEW:
        return _best_of_all(gains, conflicts)
    from scipy.optimize import Bounds, LinearConstraint, milp

    rows = np.zeros((len(conflicts), len(gains)))
    for row, conflict in zip(rows, conflicts, strict=True):
        row[list(conflict)] = 1
    answer = milp(
        -gains,
        constraints=LinearConstraint(rows, ub=1),
        integrality=np.ones(len(gains), np.int64),
        bounds=Bounds(0, 1),
    )
    if answer.x is None:
        raise FaceBlurError(f"people could not be assigned to tracks: {answer.message}")
    return np.asarray(answer.x > 0.5)


def _best_of_all(gains: NDArray[np.float64], conflicts: Sequence[Conflict]) -> NDArray[np.bool_]:
    """Return which pairs to take, (n,), by trying all ways without conflicts."""
    sets = np.arange(1 << len(gains))[:, None] >> np.arange(len(gains)) & 1 > 0
    for i, j in conflicts:
        sets = sets[~(sets[:, i] & sets[:, j])]
    return np.asarray(sets[(sets @ gains).argmax()])


@dataclass(frozen=True, slots=True)
class Match:
    """The result for a track that is not simply somebody else.

    ``sure``: the person. ``doubtful``: perhaps the person. ``excluded``: similar to the person, but
    another track in the same frames is clearly more similar. ``unclear``: nobody can be recognised,
    for the reason ``flaw``; then ``person`` (index) and ``similarity`` are None. ``span`` are the
    first and last frames between which chips of a sure or doubtful track show the person.
    """

    person: int | None
    similarity: float | None
    standing: Standing
    flaw: str = ""
    span: tuple[int, int] | None = None


def match_tracks(tracks: Sequence[Evidence], gallery: Gallery, scale: Scale) -> list[Match | None]:
    """Return the match of each track; None if it is somebody else."""
    if not gallery.people or not tracks:
        return [None] * len(tracks)
    return _Matching(tracks, gallery, scale).matches()


class _Matching:
    """The tracks of one video and a gallery; arrays are (tracks, people) unless noted otherwise."""

    def __init__(self, tracks: Sequence[Evidence], gallery: Gallery, scale: Scale) -> None:
        self._tracks = tracks
        self._scale = scale
        self._by_shot: dict[int, list[int]] = defaultdict(list)
        for number, track in enumerate(tracks):
            self._by_shot[track.shot].append(number)
        self._comparisons = [
            [compare_track(track, person.embeddings, scale) for person in gallery.people]
            for track in tracks
        ]
        self._strength = _strengths(self._comparisons)
        self._strength -= SAME_VIDEO_PENALTY * np.array([p.same_video for p in gallery.people])
        self._apply_selection()
        self._doubtful = np.asarray(
            [float(scale.doubtful(track.quality)) for track in tracks], np.float64
        )

    def _apply_selection(self) -> None:
        """Make a track with a selected person that person, and nobody else."""
        for row, track in zip(self._strength, self._tracks, strict=True):
            if track.selected is not None:
                row[:] = -SELECTED_STRENGTH
                row[track.selected] = SELECTED_STRENGTH

    def matches(self) -> list[Match | None]:
        """Return the match of each track: see ``match_tracks``."""
        sure = self._assign(np.ones(len(self._tracks)))
        self._propagate(sure)
        chosen = self._assign(self._doubtful)
        return [self._result(track, chosen) for track in range(len(self._tracks))]

    def _assign(self, threshold: NDArray[np.float64]) -> NDArray[np.int64]:
        """Return the person of each track, (tracks,); -1 for none.

        It is the assignment with the largest sum of strengths above the ``threshold`` (tracks,) in
        which no two overlapping tracks are one person.
        """
        chosen = np.full(len(self._tracks), -1, np.int64)
        pairs: dict[int, list[Pair]] = defaultdict(list)
        for t, p in np.argwhere(self._strength >= threshold[:, None]):
            pairs[self._tracks[t].shot].append((int(t), int(p)))
        gain = self._strength - threshold[:, None] + 1e-3
        for t, track in enumerate(self._tracks):
            gain[t] += len(self._tracks) * SELECTED_STRENGTH * (track.selected is not None)
        spans = [(track.first, track.last) for track in self._tracks]
        for of_shot in pairs.values():
            for t, p in best_assignment(of_shot, spans, gain):
                chosen[t] = p
        return chosen

    def _propagate(self, sure: NDArray[np.int64]) -> None:
        """Use chips of sure tracks as references for other tracks, and raise their strengths.

        A sure track cannot be a reference for tracks in its own frames; only the frames in which it
        shows the person count.
        """
        references = self._references(sure)
        comparisons = [
            [compare_track(t, rows, self._scale) for rows in references] for t in self._tracks
        ]
        strength = _strengths(comparisons) - SAME_VIDEO_PENALTY
        for j, person in enumerate(sure.tolist()):
            if person < 0:
                continue
            source = self._tracks[j].limited_to(*self._span(j, person))
            for i in self._by_shot[source.shot]:
                if self._tracks[i].overlaps(source):
                    strength[i, person] = -SELECTED_STRENGTH
        for t, p in np.argwhere((strength > self._strength) & (sure < 0)[:, None]):
            self._strength[t, p] = strength[t, p]
            self._comparisons[t][p] = comparisons[t][p]

    def _references(self, sure: NDArray[np.int64]) -> list[Embeddings]:
        """Return the good chips (n, D) of the sure tracks of each person."""
        people = self._strength.shape[1]
        dimension = max((t.embeddings.shape[1] for t in self._tracks), default=0)
        none = np.zeros((0, dimension), np.float32)
        chips: list[list[Embeddings]] = [[none] for _ in range(people)]
        for track, person in zip(self._tracks, sure, strict=True):
            good = (track.qualities >= REFERENCE_QUALITY) & (track.sizes >= REFERENCE_SIZE)
            if person >= 0:
                chips[person].append(track.embeddings[good])
        return [np.concatenate(rows) for rows in chips]

    def _result(self, index: int, chosen: NDArray[np.int64]) -> Match | None:
        """Return the match of one track, given all strengths and the people assigned."""
        own, track = self._strength[index], self._tracks[index]
        if chosen[index] >= 0:
            person = int(chosen[index])
            return self._match(index, person, "sure" if own[person] >= 1 else "doubtful")
        order = np.argsort(-own, kind="stable")
        similar = [int(p) for p in order if own[p] >= self._doubtful[index]]
        for person in similar:
            if not self._is_excluded(index, person, chosen):
                return self._match(index, person, "doubtful")
        weak = track.quality < self._scale.least
        others = set(range(len(own))) - set(similar)
        if weak and not all(self._is_elsewhere(index, person, chosen) for person in others):
            return Match(None, None, "unclear", track.flaw)
        return self._match(index, similar[0], "excluded") if similar else None

    def _is_excluded(self, index: int, person: int, chosen: NDArray[np.int64]) -> bool:
        """Return whether an overlapping track is surely the person, with a clear lead."""
        own = float(self._strength[index, person])
        lead = EXCLUDING_LEAD if own < 1 else EXCLUDING_LEAD_OVER_SURE
        return self._best_rival(index, person, chosen) >= max(1.0, own + lead)

    def _is_elsewhere(self, index: int, person: int, chosen: NDArray[np.int64]) -> bool:
        """Return whether an overlapping track is surely the person."""
        return self._best_rival(index, person, chosen) >= 1

    def _best_rival(self, index: int, person: int, chosen: NDArray[np.int64]) -> float:
        """Return the largest strength of an overlapping track that the person was assigned to."""
        track = self._tracks[index]
        return max(
            (
                float(self._strength[j, person])
                for j in self._by_shot[track.shot]
                if chosen[j] == person
                and self._tracks[j].limited_to(*self._span(j, person)).overlaps(track)
            ),
            default=-SELECTED_STRENGTH,
        )

    def _span(self, index: int, person: int) -> tuple[int, int]:
        """Return the first and last frames between which a track's chips show the person.

        A track may switch to somebody else, so it proves nothing about other frames.
        """
        track = self._tracks[index]
        if track.selected is not None:
            return track.first, track.last
        return self._comparisons[index][person].span

    def _match(self, index: int, person: int, standing: Standing) -> Match:
        strength = self._strength[index, person]
        similarity = 1.0
        if strength < SELECTED_STRENGTH:
            similarity = self._scale.similarity(float(strength), self._tracks[index].quality)
        span = None if standing == "excluded" else self._span(index, person)
        return Match(person, min(similarity, 1.0), standing, span=span)


def _strengths(comparisons: Sequence[Sequence[Comparison]]) -> NDArray[np.float64]:
    """Return strengths (tracks, people)."""
    rows = [[comparison.strength for comparison in row] for row in comparisons]
    return np.asarray(rows, np.float64).reshape(len(rows), -1 if rows else 0)


def continue_lost_people(
    tracks: Sequence[Evidence], matches: Sequence[Match | None], max_gap: int
) -> list[Match | None]:
    """Return the matches, with unclear tracks made doubtful if they may continue a listed person.

    When somebody turns away, the tracker loses the face or switches to another face behind it. The
    turned face becomes a track of its own in which nobody can be recognised. It may be the person
    from the last frame that shows the person (``Match.span``) to ``max_gap`` frames after the end
    of the person's track.
    """
    by_shot: dict[int, list[int]] = defaultdict(list)
    for number, (track, match) in enumerate(zip(tracks, matches, strict=True)):
        if match is not None and match.span is not None and len(track.boxes):
            by_shot[track.shot].append(number)
    out = list(matches)
    for i, (track, match) in enumerate(zip(tracks, matches, strict=True)):
        if match is None or match.standing != "unclear" or not len(track.boxes):
            continue
        for j in by_shot[track.shot]:
            source = matches[j]
            if source is not None and _may_continue(tracks[j], source, track, max_gap):
                out[i] = Match(source.person, None, "doubtful", match.flaw)
                break
    return out


def _may_continue(source: Evidence, match: Match, track: Evidence, max_gap: int) -> bool:
    """Return whether ``track`` may show the person of ``source`` after that lost the person."""
    if match.span is None or source.limited_to(*match.span).overlaps(track):
        return False
    begin, end = max(match.span[1], track.first), min(source.last + max_gap, track.last)
    frames = np.arange(begin, end + 1)
    if not len(frames):
        return False
    own = track.boxes[frames - track.first]
    lost = source.boxes[np.clip(frames, source.first, source.last) - source.first]
    distance = np.linalg.norm(centres(own) - centres(lost), axis=1)
    side = np.sqrt(np.maximum(areas(own), areas(lost)))
    return bool((distance <= MAX_RETURN_DISTANCE * side).any())
