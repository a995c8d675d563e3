"""The scale of a recogniser from measured tracks: similarities over the quality of a track."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from bench.rates import Comparison, highest, lowest

MISSED = 0.01
"""Part of the tracks of the right person that may stay below ``doubtful``: such a person would stay
visible with ``listed``."""
MATCHED = 0.001
"""Part of the strangers that may reach ``sure``: they would stay visible with ``others``."""
GROUP = 10
"""People of a group from which on its strangers are counted by themselves, too: some groups of
people are more like each other than people at large, and ``sure`` has to hold among them."""
USEFUL = 0.25
"""Where more strangers than that reach ``doubtful``, nothing can be told of a track."""
BINS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.97, 1.01)
"""Borders of the qualities that are counted together."""
ENOUGH = 50
"""People with two sittings from which on a curve is worth more than the one in force."""
FEWEST = 100
"""Pairs of one person without which a bin is left out: the first of them can be missed."""
REPLICATES = 200


@dataclass(frozen=True, slots=True)
class Bin:
    """What tracks of about one quality say: similarities, and 95 % bounds of ``doubtful``."""

    quality: float
    genuine: int
    people: int
    stranger: float
    doubtful: float
    bounds: tuple[float, float]
    sure: float
    strangers_doubtful: float


Groups = Sequence[Sequence[int]]
"""Numbers of the people of each group."""


def bins(found: Comparison, qualities: NDArray[np.float64], groups: Groups = ()) -> list[Bin]:
    """The bins of tracks (P,) of these qualities that have enough pairs, by similarity."""
    out = []
    for low, high in pairwise(BINS):
        rows = np.flatnonzero((qualities >= low) & (qualities < high))
        part = Comparison(
            found.scores[rows], found.probes[rows], found.templates, found.apart[rows]
        )
        if len(part.genuine) >= FEWEST:
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
    """The similarity that 1 in 1,000 strangers of a group reach among each other."""
    rows, columns = np.isin(part.probes, group), np.isin(part.templates, group)
    scores = part.scores[np.ix_(rows, columns)][~part.same[np.ix_(rows, columns)]]
    return lowest(scores, MATCHED) if len(group) >= GROUP and len(scores) >= 1 / MATCHED else -1.0


def _bounds(part: Comparison) -> tuple[float, float]:
    """95 % bounds of ``doubtful``: people are drawn anew, with all their pairs."""
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
    """Rows for a ``pack.toml``: quality, stranger, doubtful, sure.

    ``doubtful`` may only rise with quality, and is the lowest of all better bins; ``sure`` is the
    highest of any bin from there on, so that chance in one bin does not lower it. The first row is
    the first quality at which at most ``USEFUL`` of the strangers reach ``doubtful``.
    """
    rows: list[tuple[float, float, float, float]] = []
    for i, one in enumerate(measured):
        better = measured[i:]
        sure = max(later.sure for later in better)
        doubtful = min(sure, *(later.doubtful for later in better))
        if one.strangers_doubtful <= USEFUL or rows:
            rows.append(
                (round(one.quality, 3), round(one.stranger, 3), round(doubtful, 3), round(sure, 3))
            )
    return rows


def toml(rows: Sequence[tuple[float, float, float, float]]) -> str:
    """The rows as they stand in a ``pack.toml``."""
    keys = ("quality", "stranger", "doubtful", "sure")
    pairs = (", ".join(f"{k} = {v}" for k, v in zip(keys, row, strict=True)) for row in rows)
    return "curve = [\n" + "".join(f"    {{ {row} }},\n" for row in pairs) + "]"


def table(pack: str, measured: Sequence[Bin]) -> str:
    """Markdown: a row for each bin."""
    head = (
        "pack",
        "quality",
        "people",
        "pairs of one person",
        "strangers, median",
        "1 % of the right people are below",
        "1 in 1,000 strangers reach, also in groups",
        "strangers above the 1 %",
    )
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    lines += [
        f"| {pack} | {one.quality:.2f} | {one.people} | {one.genuine} | {one.stranger:.3f}"
        f" | {one.doubtful:.3f} ({one.bounds[0]:.3f} to {one.bounds[1]:.3f}) | {one.sure:.3f}"
        f" | {100 * one.strangers_doubtful:.1f} % |"
        for one in measured
    ]
    return "\n".join(lines)
