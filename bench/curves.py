"""Fit the scale of a recogniser to measured tracks: similarity as a function of track quality."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from bench.rates import Comparison, highest, lowest

MISSED = 0.01
"""Part of the right person's tracks that may stay below ``doubtful``. With ``listed`` such a person
would stay visible."""
MATCHED = 0.001
"""Part of the strangers that may reach ``sure``. With ``others`` they would stay visible."""
GROUP = 10
"""Minimum people of a group whose strangers are also counted separately: within some groups people
are more alike than elsewhere, and ``sure`` must hold there too."""
MAX_STRANGERS = 0.25
"""If more strangers than this part reach ``doubtful``, a track of this quality says nothing."""
BINS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.97, 1.01)
"""Borders of the quality bins."""
MIN_PEOPLE = 50
"""Minimum people with two sittings to replace the present curve."""
MIN_PAIRS = 100
"""Minimum pairs of one person in a bin: with fewer, 1 % of them cannot be measured."""
REPLICATES = 200


@dataclass(frozen=True, slots=True)
class Bin:
    """Statistics of the tracks in a quality bin; ``bounds`` are the 95 % bounds of ``doubtful``."""

    quality: float
    genuine: int
    people: int
    stranger: float
    doubtful: float
    bounds: tuple[float, float]
    sure: float
    strangers_doubtful: float


Groups = Sequence[Sequence[int]]
"""The people of each group, as indices."""


def bins(found: Comparison, qualities: NDArray[np.float64], groups: Groups = ()) -> list[Bin]:
    """Return the bins with enough pairs, for tracks (P,) with these qualities."""
    out = []
    for low, high in pairwise(BINS):
        rows = np.flatnonzero((qualities >= low) & (qualities < high))
        part = Comparison(
            found.scores[rows], found.probes[rows], found.templates, found.apart[rows]
        )
        if len(part.genuine) >= MIN_PAIRS:
            out.append(_bin(part, float(np.mean(qualities[rows])), groups))
    return out


def _bin(part: Comparison, quality: float, groups: Groups) -> Bin:
    genuine, impostor = part.genuine, part.impostor
    doubtful = highest(genuine, MISSED)
    return Bin(
        quality=quality,
        genuine=len(genuine),
        people=len(np.unique(part.probes)),
        stranger=float(np.median(impostor)),
        doubtful=doubtful,
        bounds=_bounds(part),
        sure=max(lowest(impostor, MATCHED), *(_sure_among(part, group) for group in groups), -1.0),
        strangers_doubtful=float((impostor >= doubtful).mean()),
    )


def _sure_among(part: Comparison, group: Sequence[int]) -> float:
    """Return the similarity that 1 in 1,000 strangers within a group reach."""
    rows, columns = np.isin(part.probes, group), np.isin(part.templates, group)
    scores = part.scores[np.ix_(rows, columns)][~part.same[np.ix_(rows, columns)]]
    return lowest(scores, MATCHED) if len(group) >= GROUP and len(scores) >= 1 / MATCHED else -1.0


def _bounds(part: Comparison) -> tuple[float, float]:
    """Return 95 % bounds of ``doubtful``, by a bootstrap over people."""
    own = [part.scores[row][(part.same & part.apart)[row]] for row in range(len(part.probes))]
    people = np.unique(part.probes)
    by_person = [
        np.concatenate([own[row] for row in np.flatnonzero(part.probes == one)]) for one in people
    ]
    random = np.random.default_rng(0)
    drawn = []
    for _ in range(REPLICATES):
        scores = np.concatenate(
            [by_person[i] for i in random.integers(0, len(people), len(people))]
        )
        if len(scores):
            drawn.append(highest(scores, MISSED))
    low, high = np.percentile(drawn, [2.5, 97.5])
    return float(low), float(high)


def curve(measured: Sequence[Bin]) -> list[tuple[float, float, float, float]]:
    """Return rows for a ``pack.toml``: quality, stranger, doubtful, sure.

    ``doubtful`` must not fall as quality rises, so it is the lowest of all better bins. ``sure`` is
    the highest of this and all better bins, so that chance in one bin does not lower it. The first
    row is the first quality at which at most ``MAX_STRANGERS`` of the strangers reach ``doubtful``.
    """
    rows: list[tuple[float, float, float, float]] = []
    for i, one in enumerate(measured):
        better = measured[i:]
        sure = max(later.sure for later in better)
        doubtful = min(sure, *(later.doubtful for later in better))
        if one.strangers_doubtful <= MAX_STRANGERS or rows:
            rows.append(
                (round(one.quality, 3), round(one.stranger, 3), round(doubtful, 3), round(sure, 3))
            )
    return rows


def toml(rows: Sequence[tuple[float, float, float, float]]) -> str:
    """Return the rows in the format of ``pack.toml``."""
    keys = ("quality", "stranger", "doubtful", "sure")
    pairs = (", ".join(f"{k} = {v}" for k, v in zip(keys, row, strict=True)) for row in rows)
    return "curve = [\n" + "".join(f"    {{ {row} }},\n" for row in pairs) + "]"


def table(pack: str, measured: Sequence[Bin]) -> str:
    """Return a Markdown table with a row for each bin."""
    head = (
        "pack",
        "quality",
        "people",
        "pairs of one person",
        "strangers, median",
        "1 % of the right people score below",
        "1 in 1,000 strangers reach, also within groups",
        "strangers above that 1 %",
    )
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    lines += [
        f"| {pack} | {one.quality:.2f} | {one.people} | {one.genuine} | {one.stranger:.3f}"
        f" | {one.doubtful:.3f} ({one.bounds[0]:.3f} to {one.bounds[1]:.3f}) | {one.sure:.3f}"
        f" | {100 * one.strangers_doubtful:.1f} % |"
        for one in measured
    ]
    return "\n".join(lines)
