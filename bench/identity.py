"""Measure face recognition in video: error rates of each model pack, and its scale.

    python -m bench.identity [--photos DIR] [--most N] [--packs NAME...] [--quick] [--json FILE]

Every portrait becomes a short video in a given condition. It passes detection, tracking, alignment
and quality like a user's video, and references are read like a user's photos. Pairs from one
sitting are never compared.

There are three answers: somebody listed (sure or doubtful), somebody else, and unclear. With
``listed``, a person taken for somebody else stays visible; with ``others``, so does a stranger who
surely matches a listed person. The fitted curves are printed in the format of ``pack.toml``.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache, cached_property
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from app.config import Settings
from app.errors import PeopleError
from app.identity.evidence import Evidence, compare_track
from app.identity.gallery import Person
from app.networks import available_cpus
from app.packs.catalogue import find_packs, load_pack
from app.packs.fetch import State, state
from app.pipeline import Parts, load_parts, load_people
from bench import curves
from bench.portraits import (
    CLEAR,
    CONDITIONS,
    LOCAL_PHOTOS,
    QUICK,
    Condition,
    Portrait,
    find_evidence,
    first_pictures,
    group_people,
    load_portraits,
    people_of,
    thin_sittings,
    write_video,
)
from bench.rates import NOT_FOUND, Comparison

ENLARGED = 1.15
"""A face is shown at most this much larger than in its photograph."""
SURELY_HIDDEN = 100.0
"""Margin of an unclear track, which is always hidden."""


def references(
    portraits: Sequence[Portrait], parts: Parts, folder: Path
) -> Iterator[tuple[Portrait, Person]]:
    """Yield every portrait that can be a reference, read like a user's photo.

    References are photographs. A frame of a video is one only for people without a photograph, and
    if there are other pictures of them to compare.
    """
    photographed = {portrait.person for portrait in portraits if portrait.still}
    pictured = [portrait.person for portrait in portraits]
    taken: set[str] = set()
    for number, portrait in enumerate(portraits):
        name = portrait.person
        alone = name in photographed or name in taken or pictured.count(name) < 2
        if not portrait.still and alone:
            continue
        taken.add(name)
        path = folder / str(number) / f"{number}.png"
        path.parent.mkdir()
        cv2.imwrite(str(path), cv2.cvtColor(portrait.image, cv2.COLOR_RGB2BGR))
        try:
            (person,) = load_people(path.parent, parts).people
        except PeopleError as error:
            print(f"not a reference: {portrait.name}: {error}", file=sys.stderr)
            continue
        yield portrait, person


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

    def bins(self, groups: curves.Groups) -> list[curves.Bin]:
        """Return the tracks binned by quality, without those that were not found."""
        rows = np.flatnonzero(self.found)
        part = Comparison(
            self.similarities[rows],
            self.probes[rows],
            self.templates,
            self.apart[rows],
        )
        return curves.bins(part, self.qualities[rows], groups)

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
class _Worker:
    """The models of a worker process."""

    settings: Settings
    parts: Parts

    def show(self, portrait: Portrait, condition: Condition) -> Evidence | None:
        with tempfile.TemporaryDirectory(prefix="face-blur-bench-") as folder:
            path = Path(folder) / "clip.mp4"
            return find_evidence(
                path, write_video(portrait, condition, path), self.parts, self.settings
            )


@cache
def _worker(pack: str) -> _Worker:
    """Return the models of this process, with one thread."""
    settings = _settings(pack).changed(threads=1)
    return _Worker(settings, load_parts(settings))


def _show(pack: str, portrait: Portrait, condition: Condition) -> Evidence | None:
    """Analyse a portrait in a worker process, which loads its models once."""
    return _worker(pack).show(portrait, condition)


def _settings(pack: str) -> Settings:
    return Settings(people=Path("people"), models=pack, shots="none")


def compare(
    portraits: Sequence[Portrait],
    known: Sequence[tuple[Portrait, Person]],
    shown: Sequence[tuple[Portrait, Evidence | None]],
    parts: Parts,
) -> Measured:
    """Compare the tracks of the shown portraits with all references."""
    number = {name: i for i, name in enumerate(people_of(portraits))}
    scale = parts.scale
    strengths = np.full((len(shown), len(known)), NOT_FOUND)
    similarities = strengths.copy()
    qualities = np.zeros(len(shown))
    for i, (_, found) in enumerate(shown):
        if found is None or not len(found.qualities):
            continue
        qualities[i] = found.quality
        strengths[i] = [
            compare_track(found, person.embeddings, scale).strength for _, person in known
        ]
        similarities[i] = [scale.similarity(value, found.quality) for value in strengths[i]]
    return Measured(
        similarities=similarities,
        strengths=strengths,
        qualities=qualities,
        doubts=scale.doubtful(qualities),
        found=np.asarray([found is not None for _, found in shown], bool),
        probes=np.asarray([number[p.person] for p, _ in shown], np.int64),
        templates=np.asarray([number[p.person] for p, _ in known], np.int64),
        apart=np.asarray(
            [[p.sitting_key != k.sitting_key for k, _ in known] for p, _ in shown], bool
        ),
        least=scale.least,
    )


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


def row(pack: str, condition: str, found: Measured) -> Row:
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


def table(rows: Sequence[Row]) -> str:
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


@dataclass(frozen=True, slots=True)
class Report:
    """The measurements of a pack; ``mates`` counts people with two sittings."""

    pack: str
    rows: list[Row]
    bins: list[curves.Bin]
    mates: int

    def __str__(self) -> str:
        enough = self.mates >= curves.MIN_PEOPLE
        trust = "" if enough else f"; too few to change the curve, {curves.MIN_PEOPLE} are needed"
        text = f"{self.pack}: from {self.mates} people with two sittings{trust}"
        found = curves.toml(curves.curve(self.bins)) if self.bins else ""
        return f"{curves.table(self.pack, self.bins)}\n\n{text}\n{found}"


def measure(
    pack: str, folder: Path | None, conditions: Sequence[Condition], most: int | None = None
) -> Report:
    """Measure a pack in each condition, in the clear ones by group, and in all of them together.

    At most ``most`` pictures of each person are used (default: all).
    """
    parts = load_parts(_settings(pack))
    portraits = first_pictures(thin_sittings(load_portraits(parts.detector, folder)), most)
    with tempfile.TemporaryDirectory(prefix="face-blur-bench-") as place:
        known = list(references(portraits, parts, Path(place)))
    found = []
    with ProcessPoolExecutor(available_cpus()) as pool:
        for condition in conditions:
            here = [p for p in portraits if condition.width <= p.width * ENLARGED]
            count = len(here)
            shown = pool.map(_show, [pack] * count, here, [condition] * count, chunksize=8)
            found.append(compare(portraits, known, list(zip(here, shown, strict=True)), parts))
    rows = [row(pack, c.name, one) for c, one in zip(conditions, found, strict=True)]
    whole, apart = combine(found), group_people(portraits)
    if len(found) > 1:
        clear = combine(found[:CLEAR])
        rows.append(row(pack, "clear", clear))
        rows += [row(pack, f"clear, {name}", clear.of(group)) for name, group in apart.items()]
        rows.append(row(pack, "all", whole))
    genuine = (whole.sure.same & whole.apart).any(axis=1)
    bins = whole.bins([*apart.values()])
    return Report(pack, rows, bins, len(np.unique(whole.probes[genuine])))


def main(argv: Sequence[str] | None = None) -> int:
    """Measure every installed pack, and print the results."""
    parser = argparse.ArgumentParser(description="Measure face recognition in video.")
    parser.add_argument(
        "--photos",
        type=Path,
        default=LOCAL_PHOTOS if LOCAL_PHOTOS.is_dir() else None,
        help="folder of people: NAME/*.jpg, two or more (default: that next to the checkout, or the"
        " few people of the registry)",
    )
    parser.add_argument("--most", type=int, help="maximum number of photos of each person")
    parser.add_argument("--packs", nargs="+", metavar="NAME", help="default: all installed packs")
    parser.add_argument("--quick", action="store_true", help="one condition only")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    arguments = parser.parse_args(argv)
    conditions = QUICK if arguments.quick else CONDITIONS
    packs = [load_pack(name) for name in arguments.packs or find_packs()]
    ready = [
        pack.name
        for pack in packs
        if {"detector", "recogniser"} <= pack.parts.keys() and state(pack) is State.READY
    ]
    reports = [measure(pack, arguments.photos, conditions, arguments.most) for pack in ready]
    rows = [one for report in reports for one in report.rows]
    print(table(rows), *map(str, reports), sep="\n\n")
    if arguments.json is not None:
        record = {"rows": [asdict(r) for r in rows], "reports": [asdict(r) for r in reports]}
        arguments.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
