"""Error rates with their uncertainty: of naming people, and of comparing pairs of images."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, rankdata

Rates = NDArray[np.float64]
CONFIDENCE = 0.95
PERMUTATIONS = 20_000
Scores = NDArray[np.float64]
Mask = NDArray[np.bool_]
REPLICATES = 1000
NOT_FOUND = -1.0
"""Score of a probe without a detected face: it matches nobody."""


def wilson(rate: float, count: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return Wilson's bounds of a rate (0..1) observed in ``count`` independent cases.

    The rate may be a mean over people. If ``rate * count`` is not an integer, the bounds are
    interpolated between those of its two neighbours.

    >>> [round(bound, 3) for bound in wilson(0.0, 100)]
    [0.0, 0.037]
    """
    if not count:
        return 0.0, 1.0
    hits = min(max(rate, 0.0), 1.0) * count
    fewer = min(int(hits + 1e-9), count)
    more = min(fewer + 1, count)
    bounds = np.asarray(
        [binomtest(k, count).proportion_ci(confidence, method="wilson") for k in (fewer, more)]
    )
    part = max(0.0, hits - fewer)
    low, high = (1 - part) * bounds[0] + part * bounds[1]
    return float(low), float(high)


@dataclass(frozen=True, slots=True, eq=False)
class Naming:
    """How often the probes of each person are named as each known person.

    ``named`` (m, K): row a is the part of the probes of ``people[a]`` (an index below K) for which
    each of the K known people ranks first; ties are shared. ``cmc`` (K,) is the part of people who
    rank among the first 1, 2, ... K.
    """

    people: tuple[int, ...]
    named: Rates
    cmc: Rates

    @property
    def rank1(self) -> float:
        """The rate of correct names, as the mean over people."""
        rows = np.arange(len(self.people))
        return float(self.named[rows, self.people].mean())

    @property
    def right(self) -> Rates:
        """The part of each person's probes that is named correctly (m,)."""
        return np.asarray(self.named[np.arange(len(self.people)), self.people], np.float64)


def naming(scores: Rates, persons: Sequence[int]) -> Naming:
    """Name probes by their scores (probes, K); ``persons`` are their true identities.

    Scores are centred first: a known person's mean score for other people's probes, with equal
    weight for each of them, is subtracted. Otherwise a person who resembles everyone would be named
    for all.
    """
    people = tuple(dict.fromkeys(persons))
    of = np.asarray(persons)
    rows = [np.flatnonzero(of == person) for person in people]
    fair = _centred(scores, rows)
    first = np.isclose(fair, fair.max(axis=1, keepdims=True), rtol=0, atol=1e-7)
    shared = first / first.sum(axis=1, keepdims=True)
    own = fair[np.arange(len(of)), of][:, None]
    better = (fair > own + 1e-7).sum(axis=1)
    ties = np.isclose(fair, own, rtol=0, atol=1e-7).sum(axis=1)
    among = np.clip((np.arange(1, fair.shape[1] + 1)[None] - better[:, None]) / ties[:, None], 0, 1)
    return Naming(
        people,
        np.stack([shared[row].mean(axis=0) for row in rows]),
        np.mean([among[row].mean(axis=0) for row in rows], axis=0),
    )


def _centred(scores: Rates, rows: Sequence[NDArray[np.intp]]) -> Rates:
    """Subtract the scores of other people's probes; ``rows`` are the probes of each person."""
    means = np.stack([scores[row].mean(axis=0) for row in rows])
    out = scores.astype(np.float64)
    for i, row in enumerate(rows):
        if len(rows) > 1:
            out[row] -= np.delete(means, i, axis=0).mean(axis=0)
    return out


def chance_of(namings: Sequence[Naming], seed: int = 0) -> list[float]:
    """Return p-values: how likely chance names at least as many people correctly as each trial.

    A permutation test: if hidden faces carry no information, the assignment of names is arbitrary.
    Each trial is compared with the best of all trials under the same permutation, so the values
    hold for all trials together. The trials must have the same people.
    """
    known = namings[0].named.shape[1]
    people = np.asarray(namings[0].people)
    random = np.random.default_rng(seed)
    orders = random.permuted(np.tile(np.arange(known), (PERMUTATIONS, 1)), axis=1)[:, people]
    best = np.zeros(PERMUTATIONS)
    rows = np.arange(len(people))
    for trial in namings:
        best = np.maximum(best, trial.named[rows, orders].mean(axis=1))
    return [
        float((1 + (best >= trial.rank1 - 1e-9).sum()) / (1 + PERMUTATIONS)) for trial in namings
    ]


def more_than(rates: Rates, base: Rates, seed: int = 0) -> float:
    """Return the p-value of ``rates`` (people,) above ``base``, by a sign-flip test."""
    gap = rates - base
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], (PERMUTATIONS, len(gap)))
    flipped = (signs * gap).mean(axis=1)
    return float((1 + (flipped >= gap.mean() - 1e-9).sum()) / (1 + PERMUTATIONS))


@dataclass(frozen=True)
class Comparison:
    """Scores (P, T) of probes against templates, each from one image.

    ``probes`` (P,) and ``templates`` (T,) are identities. ``apart`` (P, T) is False for pairs of
    one sitting, which are never compared.
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
        """Whether a pair is of one person (P, T)."""
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
        """Return the part of pairs of one person below a threshold; nan without pairs."""
        return _part(self.genuine < threshold)

    def false_match(self, threshold: float) -> float:
        """Return the part of pairs of two people at or above a threshold; nan without pairs."""
        return _part(self.impostor >= threshold)

    @property
    def auc(self) -> float:
        """Probability that a pair of one person outscores one of two; nan without pairs."""
        genuine, impostor = self.genuine, self.impostor
        if not len(genuine) or not len(impostor):
            return float("nan")
        ranks = rankdata(np.concatenate([genuine, impostor]))[: len(genuine)].sum()
        least = len(genuine) * (len(genuine) + 1) / 2
        return float((ranks - least) / (len(genuine) * len(impostor)))

    def threshold(self, false_match: float) -> float:
        """Return the lowest threshold with at most this rate of false matches."""
        return lowest(self.impostor, false_match)

    def interval(self, threshold: float, seed: int = 0) -> tuple[tuple[float, float], ...]:
        """Return 95 % bounds of false non-match and false match, by a bootstrap over people.

        People are drawn, not pairs, because pairs with a person in common are not independent.
        Without any error the upper bound is 3 / people, by the rule of three.
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
        """Return the success rate of open-set identification, and its threshold.

        A search succeeds if the right person ranks first, at or above the threshold. The threshold
        lets the part ``false_alarms`` of the searches for unknown people name somebody. Every probe
        is searched once among the templates of others, and once with its own person's templates, if
        there are any.
        """
        top = np.where(~self.same & self.apart, self.scores, -np.inf).max(axis=1)
        own = np.where(self.same & self.apart, self.scores, -np.inf).max(axis=1)
        threshold = lowest(top, false_alarms)
        known = np.isfinite(own)
        return _part((own >= threshold)[known] & (own > top)[known]), threshold


def lowest(scores: Scores, part: float) -> float:
    """Return the lowest threshold that at most ``part`` of the scores reach.

    >>> round(lowest(np.array([0.1, 0.2, 0.3, 0.4]), 0.25), 3)
    0.3
    """
    allowed = int(np.floor(part * len(scores) + 1e-9))
    ordered = np.sort(scores)[::-1]
    if allowed >= len(ordered):
        return float("-inf")
    return float(np.nextafter(ordered[allowed], np.inf))


def highest(scores: Scores, part: float) -> float:
    """Return the highest threshold that at most ``part`` of the scores are below.

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
