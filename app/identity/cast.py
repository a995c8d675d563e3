"""The cast of a video: its tracks grouped into people, whether they are listed or not.

Only clear tracks are grouped. Two tracks that share frames are two people. The groups are those of
average linkage: a group is as similar to another one as their tracks are on average, so that one
similar pair does not join two people.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.identity.evidence import Evidence
from app.identity.scale import Scale, Values

SAME_PERSON = 1.0
"""Mean strength from which two groups are one person: see ``docs/decisions/cast.md``."""
LEAST_QUALITY = 0.35
"""Quality from which a track is clear enough to be grouped. In ``bench/cast.py`` soft, dark and
half hidden faces stay below it, and clear ones of 32 pixels and more do not."""
_CHIPS = 4
"""Best chips of each track that are compared: more see the same views again."""
_BLOCK = 512
"""Chips that are compared with all others at a time, to bound the memory."""
_FEW = 100
"""Tracks up to which scipy is not used: importing it takes 0.3 s of CPU, grouping them 5 ms."""
_APART = 1e9
"""Distance of tracks of two people: a mean that includes it is larger than any other."""


def group_people(
    tracks: Sequence[Evidence], scale: Scale, same: float = SAME_PERSON
) -> list[int | None]:
    """Return the number of the person of each track, None where that cannot be told.

    Numbers count from 0 in the order of the first appearance. Groups are one person if their mean
    strength is at least ``same``.
    """
    clear = [i for i, track in enumerate(tracks) if _is_clear(track, scale)]
    labels = dict(zip(clear, _linked([tracks[i] for i in clear], scale, same), strict=True))
    order: dict[int, int] = {}
    for i in sorted(clear, key=lambda i: (tracks[i].first, i)):
        order.setdefault(labels[i], len(order))
    return [order[labels[i]] if i in labels else None for i in range(len(tracks))]


def _is_clear(track: Evidence, scale: Scale) -> bool:
    return len(track.qualities) > 0 and track.quality >= max(LEAST_QUALITY, scale.least)


def strengths_between(tracks: Sequence[Evidence], scale: Scale) -> Values:
    """Return how strongly the clear views of tracks resemble each other, (n, n), symmetric.

    The similarity of two tracks is the mean similarity of each chip to the nearest one of the other
    track.
    """
    if not tracks:
        return np.zeros((0, 0))
    chosen = [np.argsort(-track.qualities, kind="stable")[:_CHIPS] for track in tracks]
    chips = np.concatenate([t.embeddings[c] for t, c in zip(tracks, chosen, strict=True)])
    starts = np.cumsum([0, *(len(one) for one in chosen[:-1])])
    nearest = np.concatenate(
        [
            np.maximum.reduceat(chips[at : at + _BLOCK] @ chips.T, starts, axis=1)
            for at in range(0, len(chips), _BLOCK)
        ]
    )
    counts = np.array([len(one) for one in chosen])
    directed = np.add.reduceat(nearest.astype(np.float64), starts, axis=0) / counts[:, None]
    quality = np.array([track.quality for track in tracks])
    return scale.strength((directed + directed.T) / 2, np.minimum(quality[:, None], quality))


def _linked(tracks: Sequence[Evidence], scale: Scale, same: float) -> list[int]:
    """Return a label for each track: equal for tracks of one person."""
    if len(tracks) < 2:
        return list(range(len(tracks)))
    strengths = strengths_between(tracks, scale)
    strongest = max(float(strengths.max()), same)  # distances count from it
    distances = strongest - strengths
    distances[_excluded(tracks)] = _APART
    np.fill_diagonal(distances, 0)
    return average_linkage(distances, strongest - same)


def average_linkage(distances: Values, limit: float) -> list[int]:
    """Group items whose mean distances are at most ``limit``; return a label for each.

    The nearest two groups are joined as long as there are some so near (of many, by scipy).

    >>> labels = average_linkage(np.array([[0, 1, 9], [1, 0, 9], [9, 9, 0]]), 2)
    >>> labels[0] == labels[1] != labels[2]
    True
    """
    if len(distances) > _FEW:
        return _linkage_of_many(distances, limit)
    mean, sizes = distances.astype(np.float64), np.ones(len(distances))
    np.fill_diagonal(mean, np.inf)
    labels = np.arange(len(distances))
    while True:
        i, j = divmod(int(mean.argmin()), len(mean))
        if not mean[i, j] <= limit:
            return [int(label) for label in labels]
        mean[i] = (sizes[i] * mean[i] + sizes[j] * mean[j]) / (sizes[i] + sizes[j])
        mean[:, i], mean[j], mean[:, j] = mean[i], np.inf, np.inf
        mean[i, i] = np.inf
        sizes[i] += sizes[j]
        labels[labels == labels[j]] = labels[i]


def _linkage_of_many(distances: Values, limit: float) -> list[int]:
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    tree = linkage(squareform(distances, checks=False), "average")
    return [int(label) for label in fcluster(tree, limit, "distance")]


def _excluded(tracks: Sequence[Evidence]) -> NDArray[np.bool_]:
    """Return which pairs of tracks (n, n) share frames, and so are two people."""
    first = np.array([track.first for track in tracks])
    last = np.array([track.last for track in tracks])
    return (first[:, None] <= last) & (first <= last[:, None])
