"""Assign people to the tracks of one shot, with the largest total gain.

A track is one person, and a person is in one place at a time. A shot may last for hours, but tracks
conflict only with others nearby in time, so each group of conflicting pairs is solved separately.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.errors import FaceBlurError

Pair = tuple[int, int]
"""Numbers of a track and of a person."""
Conflict = tuple[int, int]
"""Positions of two pairs that exclude each other."""
Span = tuple[int, int]
"""First and last frame, inclusive."""


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
    # Importing scipy takes as long as the rest of the start-up; often there are no conflicts.
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    one, other = np.asarray(conflicts).T
    graph = coo_array((np.ones(len(one)), (one, other)), (len(pairs), len(pairs)))
    count, labels = connected_components(graph, directed=False)
    members: list[list[Pair]] = [[] for _ in range(count)]
    position = []
    for pair, label in zip(pairs, labels, strict=True):
        position.append(len(members[label]))
        members[label].append(pair)
    inner: list[list[Conflict]] = [[] for _ in range(count)]
    for i, j in conflicts:
        inner[labels[i]].append((position[i], position[j]))
    return list(zip(members, inner, strict=True))


def _solve(gains: NDArray[np.float64], conflicts: Sequence[Conflict]) -> NDArray[np.bool_]:
    """Return which pairs to take, (n,), by an integer programme (scipy's ``milp``)."""
    if len(conflicts) == len(gains) * (len(gains) - 1) // 2:
        # Every pair excludes every other one.
        return np.asarray(np.arange(len(gains)) == gains.argmax())
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
