"""Who is who in one shot: the assignment of people to tracks that is best as a whole.

A track is one person, and a person is in one place at a time. A shot may last for hours, but what
excludes each other hangs together for a while only: each such group is decided by itself.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.errors import FaceBlurError

Pair = tuple[int, int]
"""Numbers of a track and of a person."""
Span = tuple[int, int]
"""First and last frame, inclusive."""


def best(pairs: Sequence[Pair], spans: Sequence[Span], gain: NDArray[np.float64]) -> list[Pair]:
    """The pairs of track and person of largest total gain that do not exclude each other.

    Args:
        pairs: of one shot.
        spans: first and last frame of each track.
        gain: (tracks, people), what taking a pair is worth.

    Raises:
        FaceBlurError: the solver gives up.
    """
    chosen: list[Pair] = []
    for group, excluded in _groups(pairs, _exclusions(pairs, spans)):
        gains = np.array([gain[pair] for pair in group])
        taken = _programme(gains, excluded) if excluded else np.ones(len(group), bool)
        chosen += [pair for pair, yes in zip(group, taken, strict=True) if yes]
    return chosen


def _exclusions(pairs: Sequence[Pair], spans: Sequence[Span]) -> list[tuple[int, int]]:
    """Numbers of pairs of which at most one can be: of one track, or of one person at a time."""
    out: list[tuple[int, int]] = []
    present: dict[int, list[int]] = defaultdict(list)
    of_track: dict[int, list[int]] = defaultdict(list)
    for i in sorted(range(len(pairs)), key=lambda number: spans[pairs[number][0]]):
        t, p = pairs[i]
        present[p] = [j for j in present[p] if spans[pairs[j][0]][1] >= spans[t][0]]
        out += [(j, i) for j in (*present[p], *of_track[t])]
        present[p].append(i)
        of_track[t].append(i)
    return out


def _groups(
    pairs: Sequence[Pair], excluded: Sequence[tuple[int, int]]
) -> list[tuple[list[Pair], list[tuple[int, int]]]]:
    """Pairs that hang together, with the numbers in the group of those that exclude each other."""
    if not excluded:
        return [(list(pairs), [])]
    # loading it takes as long as starting all the rest, and often there is nothing to decide
    from scipy.sparse import coo_array  # noqa: PLC0415
    from scipy.sparse.csgraph import connected_components  # noqa: PLC0415

    one, other = np.asarray(excluded).T
    graph = coo_array((np.ones(len(one)), (one, other)), (len(pairs), len(pairs)))
    count, labels = connected_components(graph, directed=False)
    members: list[list[Pair]] = [[] for _ in range(count)]
    place = []
    for pair, label in zip(pairs, labels, strict=True):
        place.append(len(members[label]))
        members[label].append(pair)
    inside: list[list[tuple[int, int]]] = [[] for _ in range(count)]
    for i, j in excluded:
        inside[labels[i]].append((place[i], place[j]))
    return list(zip(members, inside, strict=True))


def _programme(
    gains: NDArray[np.float64], excluded: Sequence[tuple[int, int]]
) -> NDArray[np.bool_]:
    """Which of some pairs to take (n,): an integer programme (scipy's ``milp``)."""
    if len(excluded) == len(gains) * (len(gains) - 1) // 2:
        # each excludes each other one
        return np.asarray(np.arange(len(gains)) == gains.argmax())
    from scipy.optimize import Bounds, LinearConstraint, milp  # noqa: PLC0415 - see ``_groups``

    rows = np.zeros((len(excluded), len(gains)))
    for row, couple in zip(rows, excluded, strict=True):
        row[list(couple)] = 1
    answer = milp(
        -gains,
        constraints=LinearConstraint(rows, ub=1),
        integrality=np.ones(len(gains), np.int64),
        bounds=Bounds(0, 1),
    )
    if answer.x is None:
        raise FaceBlurError(f"people could not be assigned to tracks: {answer.message}")
    return np.asarray(answer.x > 0.5)
