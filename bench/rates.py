"""Rates with their uncertainty: of naming people, and of matching pairs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

Rates = NDArray[np.float64]
CONFIDENCE = 0.95
PERMUTATIONS = 20_000


def wilson(rate: float, count: float, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Bounds of a rate (0..1) seen in ``count`` independent cases: Wilson's score interval.

    E. B. Wilson, "Probable inference, the law of succession, and statistical inference", 1927.

    >>> [round(bound, 3) for bound in wilson(0.0, 100)]
    [0.0, 0.037]
    """
    if not count:
        return 0.0, 1.0
    z = float(norm.ppf((1 + confidence) / 2))
    scale = 1 / (1 + z * z / count)
    middle = scale * (rate + z * z / (2 * count))
    half = scale * z * float(np.sqrt(rate * (1 - rate) / count + z * z / (4 * count * count)))
    return max(0.0, middle - half), min(1.0, middle + half)


@dataclass(frozen=True, slots=True, eq=False)
class Naming:
    """How often probes of each person are named as each known one.

    ``named`` (m, K): row a is the part of the probes of person ``people[a]`` (an index below K) for
    which each of K known people comes first; ties are shared. ``cmc`` (K,) is the part of people
    who are among the first 1, 2, ... K.
    """

    people: tuple[int, ...]
    named: Rates
    cmc: Rates

    @property
    def rank1(self) -> float:
        """The mean over people of the part that is named right."""
        rows = np.arange(len(self.people))
        return float(self.named[rows, self.people].mean())

    @property
    def right(self) -> Rates:
        """(m,) the part of each person's probes that is named right."""
        return np.asarray(self.named[np.arange(len(self.people)), self.people], np.float64)


def naming(scores: Rates, persons: Sequence[int]) -> Naming:
    """Name probes by their scores (probes, K); ``persons`` says who each probe is.

    Scores are centred first: what a known person gets for the other people's probes, each person
    counting the same, is taken off. Otherwise whoever is like everybody is named for all.
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
    """Scores less those of other people's probes; ``rows`` are the probes of each person."""
    means = np.stack([scores[row].mean(axis=0) for row in rows])
    out = scores.astype(np.float64)
    for i, row in enumerate(rows):
        if len(rows) > 1:
            out[row] -= np.delete(means, i, axis=0).mean(axis=0)
    return out


def chance_of(namings: Sequence[Naming], seed: int = 0) -> list[float]:
    """How likely it is that chance names as many people right as each trial does, or more.

    Probabilities are those of a permutation test: if a hidden face tells nothing, who is called
    whom does not matter. They hold for all the trials together (each is compared with the best of
    all trials under the same permutation), so that many trials do not make one of them succeed.
    The trials must have the same people.
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
    """How likely it is that ``rates`` (people,) are above ``base`` by chance: sign-flip test."""
    gap = rates - base
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], (PERMUTATIONS, len(gap)))
    flipped = (signs * gap).mean(axis=1)
    return float((1 + (flipped >= gap.mean() - 1e-9).sum()) / (1 + PERMUTATIONS))
