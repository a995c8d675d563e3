"""Figures of recognition: error rates, and the scale of a recogniser fitted to measured tracks.

The scale is the similarity as a function of the quality of a track.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from bench.rates import NOT_FOUND, Comparison, highest, lowest

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
SURELY_HIDDEN = 100.0
"""Margin of an unclear track, which is always hidden."""


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


def make_bins(found: Comparison, qualities: NDArray[np.float64], groups: Groups = ()) -> list[Bin]:
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


def fit_curve(measured: Sequence[Bin]) -> list[tuple[float, float, float, float]]:
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


def curve_toml(rows: Sequence[tuple[float, float, float, float]]) -> str:
    """Return the rows in the format of ``pack.toml``."""
    keys = ("quality", "stranger", "doubtful", "sure")
    pairs = (", ".join(f"{k} = {v}" for k, v in zip(keys, row, strict=True)) for row in rows)
    return "curve = [\n" + "".join(f"    {{ {row} }},\n" for row in pairs) + "]"


def bin_table(pack: str, measured: Sequence[Bin]) -> str:
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


@dataclass(frozen=True)
class Measured:
    """Tracks (P,) of one or more conditions, compared with all references (T,).

    ``similarities`` and ``strengths`` are (P, T), ``qualities`` and ``doubts`` are (P,); a doubt is
    the strength from which a track may be the person. A track that was not found has quality 0, and
    counts as missed.
    """

    similarities: NDArray[np.float64]
    strengths: NDArray[np.float64]
    qualities: NDArray[np.float64]
    doubts: NDArray[np.float64]
    found: NDArray[np.bool_]
    probes: NDArray[np.int64]
    templates: NDArray[np.int64]
    apart: NDArray[np.bool_]
    least: float

    @property
    def unclear(self) -> NDArray[np.bool_]:
        """Whether a track is too poor to recognise anybody (P,)."""
        return self.found & (self.qualities < self.least)

    def _compared(self, scores: NDArray[np.float64]) -> Comparison:
        return Comparison(scores, self.probes, self.templates, self.apart)

    @cached_property
    def sure(self) -> Comparison:
        """Comparison by strength: sure from 1."""
        return self._compared(np.where(self.found[:, None], self.strengths, NOT_FOUND))

    @cached_property
    def doubtful(self) -> Comparison:
        """Comparison by margin over doubt: doubtful from 0; unclear tracks are hidden too."""
        margin = self.strengths - self.doubts[:, None]
        margin[self.unclear] = SURELY_HIDDEN
        return self._compared(np.where(self.found[:, None], margin, NOT_FOUND))

    def bins(self, groups: Groups) -> list[Bin]:
        """Return the tracks binned by quality, without those that were not found."""
        rows = np.flatnonzero(self.found)
        part = Comparison(
            self.similarities[rows],
            self.probes[rows],
            self.templates,
            self.apart[rows],
        )
        return make_bins(part, self.qualities[rows], groups)

    def of(self, people: Sequence[int]) -> "Measured":
        """Return the part with some people only, as probes and as templates."""
        rows = np.flatnonzero(np.isin(self.probes, people))
        columns = np.flatnonzero(np.isin(self.templates, people))
        return Measured(
            self.similarities[np.ix_(rows, columns)],
            self.strengths[np.ix_(rows, columns)],
            self.qualities[rows],
            self.doubts[rows],
            self.found[rows],
            self.probes[rows],
            self.templates[columns],
            self.apart[np.ix_(rows, columns)],
            self.least,
        )


def combine(parts: Sequence[Measured]) -> Measured:
    """Combine the tracks of several conditions with the same references."""
    names = ("similarities", "strengths", "qualities", "doubts", "found", "probes")
    rows = {name: np.concatenate([getattr(one, name) for one in parts]) for name in names}
    apart = np.concatenate([one.apart for one in parts])
    return Measured(**rows, templates=parts[0].templates, apart=apart, least=parts[0].least)


@dataclass(frozen=True, slots=True)
class Row:
    """Error rates in one condition; nan if there is nothing to count.

    ``missed``: pairs of one person taken for somebody else (unclear ones are hidden).
    ``missed_sure``: pairs of one person that are not sure. ``hidden`` and ``matched``: pairs of
    strangers that are hidden with ``listed``, and that are sure. These four have 95 % bounds.
    ``unclear``: part of the tracks in which nobody can be recognised. ``at_100`` and ``at_1000``:
    false non-match rates at 1 false match in 100 and in 1,000. ``identified``: part found in
    searches with 1 false alarm in 100.
    """

    pack: str
    condition: str
    people: int
    genuine: int
    impostor: int
    lost: int
    unclear: float
    auc: float
    at_100: float
    at_1000: float
    identified: float
    missed: tuple[float, float, float]
    missed_sure: tuple[float, float, float]
    hidden: tuple[float, float, float]
    matched: tuple[float, float, float]


def error_rates(pack: str, condition: str, found: Measured) -> Row:
    """Return the error rates of some tracks."""
    sure, doubtful = found.sure, found.doubtful
    (low_miss, low_match), (high_miss, high_match) = doubtful.interval(0.0), sure.interval(1.0)
    return Row(
        pack=pack,
        condition=condition,
        people=len(np.unique(found.probes)),
        genuine=len(sure.genuine),
        impostor=len(sure.impostor),
        lost=int((~found.found).sum()),
        unclear=float(found.unclear.mean()),
        auc=sure.auc,
        at_100=sure.false_non_match(sure.threshold(0.01)),
        at_1000=sure.false_non_match(sure.threshold(0.001)),
        identified=sure.identified(0.01)[0],
        missed=(doubtful.false_non_match(0.0), *low_miss),
        missed_sure=(sure.false_non_match(1.0), *high_miss),
        hidden=(doubtful.false_match(0.0), *low_match),
        matched=(sure.false_match(1.0), *high_match),
    )


def rate_table(rows: Sequence[Row]) -> str:
    """Return a Markdown table with a row for each condition."""
    head = (
        "| pack | faces | people | pairs | not found | unclear | AUC | missed at 1 in 100 "
        "| missed at 1 in 1,000 | identified | taken for somebody else | not sure "
        "| strangers hidden | strangers sure |"
    )
    lines = [head, "|---" * 14 + "|"]
    for one in rows:
        rates = (one.missed, one.missed_sure, one.hidden, one.matched)
        cells = (
            one.pack,
            one.condition,
            str(one.people),
            f"{one.genuine} / {one.impostor}",
            str(one.lost),
            _percent(one.unclear),
            f"{one.auc:.4f}",
            *map(_percent, (one.at_100, one.at_1000)),
            _percent(one.identified),
            *map(_bounded, rates),
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _bounded(rate: tuple[float, float, float]) -> str:
    value, low, high = map(_percent, rate)
    return f"{value} ({low} to {high})"


def _percent(value: float) -> str:
    return "?" if np.isnan(value) else f"{100 * value:.3g} %"
