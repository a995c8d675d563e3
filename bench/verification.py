"""Error rates of telling people apart, from the scores of probes against templates."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

Scores = NDArray[np.float64]
Mask = NDArray[np.bool_]
REPLICATES = 1000
NOT_FOUND = -1.0
"""Score of a probe in which no face was found: it is like nobody."""


@dataclass(frozen=True)
class Comparison:
    """Scores (P, T) of probes against templates, each of one picture.

    ``probes`` (P,) and ``templates`` (T,) say who is who. ``apart`` (P, T) is False for pairs that
    are never compared, because they are of one sitting.
    """

    scores: Scores
    probes: NDArray[np.int64]
    templates: NDArray[np.int64]
    apart: Mask

    def __post_init__(self) -> None:
        shape = len(self.probes), len(self.templates)
        if self.scores.shape != shape or self.apart.shape != shape:
            raise ValueError(f"scores and apart: expected {shape}, got {self.scores.shape}")

    @cached_property
    def same(self) -> Mask:
        """Pairs of one person."""
        return np.asarray(self.probes[:, None] == self.templates[None], bool)

    @property
    def genuine(self) -> Scores:
        """Scores of pairs of one person."""
        return self.scores[self.same & self.apart]

    @property
    def impostor(self) -> Scores:
        """Scores of pairs of two people."""
        return self.scores[~self.same & self.apart]

    def false_non_match(self, threshold: float) -> float:
        """The part of pairs of one person below a threshold; nan without any."""
        return _part(self.genuine < threshold)

    def false_match(self, threshold: float) -> float:
        """The part of pairs of two people at or above a threshold; nan without any."""
        return _part(self.impostor >= threshold)

    @property
    def auc(self) -> float:
        """How likely a pair of one person scores higher than one of two; nan without pairs."""
        genuine, impostor = self.genuine, self.impostor
        if not len(genuine) or not len(impostor):
            return float("nan")
        ranks = rankdata(np.concatenate([genuine, impostor]))[: len(genuine)].sum()
        least = len(genuine) * (len(genuine) + 1) / 2
        return float((ranks - least) / (len(genuine) * len(impostor)))

    def threshold(self, false_match: float) -> float:
        """The lowest threshold with at most this part of false matches."""
        return lowest(self.impostor, false_match)

    def interval(self, threshold: float, seed: int = 0) -> tuple[tuple[float, float], ...]:
        """95 % bounds of false non-match and false match: people are drawn anew, with all pairs.

        Pairs with one person in common are not independent; that is why people are drawn, not
        pairs. Where no error was seen the upper bound is the rule of three over people: 3 / n.
        """
        people = np.unique(np.concatenate([self.probes, self.templates]))
        random = np.random.default_rng(seed)
        missed, matched = [], []
        for _ in range(REPLICATES):
            drawn = np.bincount(
                np.searchsorted(people, random.choice(people, len(people))), minlength=len(people)
            ).astype(np.float64)
            rows = drawn[np.searchsorted(people, self.probes)]
            columns = drawn[np.searchsorted(people, self.templates)]
            own = np.broadcast_to(rows[:, None], self.scores.shape)
            missed.append(_weighted(self.scores < threshold, self.same & self.apart, own))
            pairs = rows[:, None] * columns[None]
            matched.append(_weighted(self.scores >= threshold, ~self.same & self.apart, pairs))
        mates = len(np.unique(self.probes[(self.same & self.apart).any(axis=1)]))
        return _bounds(missed, mates), _bounds(matched, len(people))

    def identified(self, false_alarms: float) -> tuple[float, float]:
        """Open-set identification: the part of searches for known people that succeed, and where.

        A search succeeds if the right person comes first, at or above a threshold that lets this
        part of the searches for unknown people name somebody. Every probe is searched once among
        the others' templates, and once with those of the same person if there are any.
        """
        top = np.where(~self.same & self.apart, self.scores, -np.inf).max(axis=1)
        own = np.where(self.same & self.apart, self.scores, -np.inf).max(axis=1)
        threshold = lowest(top, false_alarms)
        known = np.isfinite(own)
        return _part((own >= threshold)[known] & (own > top)[known]), threshold


def lowest(scores: Scores, part: float) -> float:
    """The lowest threshold that at most ``part`` of the scores reach: just above the next one.

    >>> round(lowest(np.array([0.1, 0.2, 0.3, 0.4]), 0.25), 3)
    0.3
    """
    allowed = int(np.floor(part * len(scores) + 1e-9))
    ordered = np.sort(scores)[::-1]
    if allowed >= len(ordered):
        return float("-inf")
    return float(np.nextafter(ordered[allowed], np.inf))


def highest(scores: Scores, part: float) -> float:
    """The highest threshold that at most ``part`` of the scores are below.

    >>> highest(np.array([0.1, 0.2, 0.3, 0.4]), 0.25)
    0.2
    """
    return float(np.sort(scores)[int(np.floor(part * len(scores) + 1e-9))])


def _part(mask: Mask) -> float:
    return float(mask.mean()) if mask.size else float("nan")


def _weighted(errors: Mask, pairs: Mask, weights: Scores) -> float:
    total = weights[pairs].sum()
    return float(weights[pairs & errors].sum() / total) if total else float("nan")


def _bounds(values: list[float], people: int) -> tuple[float, float]:
    seen = np.asarray(values)[~np.isnan(values)]
    if not len(seen) or not people:
        return float("nan"), float("nan")
    low, high = np.percentile(seen, [2.5, 97.5])
    return float(low), float(high if high > 0 else min(1.0, 3 / people))
