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
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from app.config import Settings
from app.errors import PeopleError
from app.identity.evidence import Evidence, compare_track
from app.identity.gallery import Person
from app.machine import available_cpus
from app.packs.catalogue import find_packs, load_pack
from app.packs.fetch import State, state
from app.pipeline import Parts, load_parts, load_people
from bench.portraits import (
    CLEAR,
    CONDITIONS,
    LOCAL_PHOTOS,
    QUICK,
    Condition,
    Portrait,
    find_evidence,
    first_portraits,
    group_people,
    load_portraits,
    people_of,
    thin_sittings,
    write_video,
)
from bench.rates import NOT_FOUND
from bench.recognition import (
    MIN_PEOPLE,
    Bin,
    Measured,
    Row,
    bin_table,
    combine,
    curve_toml,
    error_rates,
    fit_curve,
    rate_table,
)

ENLARGED = 1.15
"""A face is shown at most this much larger than in its photograph."""


def references(
    portraits: Sequence[Portrait], parts: Parts, folder: Path
) -> Iterator[tuple[Portrait, Person]]:
    """Yield every portrait that can be a reference, read like a user's photo.

    References are photographs. A frame of a video is one only for people without a photograph, and
    if there are other images of them to compare.
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


def show(pack: str, portrait: Portrait, condition: Condition) -> Evidence | None:
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
class Report:
    """The measurements of a pack; ``mates`` counts people with two sittings."""

    pack: str
    rows: list[Row]
    bins: list[Bin]
    mates: int

    def __str__(self) -> str:
        enough = self.mates >= MIN_PEOPLE
        trust = "" if enough else f"; too few to change the curve, {MIN_PEOPLE} are needed"
        text = f"{self.pack}: from {self.mates} people with two sittings{trust}"
        found = curve_toml(fit_curve(self.bins)) if self.bins else ""
        return f"{bin_table(self.pack, self.bins)}\n\n{text}\n{found}"


def measure(
    pack: str, folder: Path | None, conditions: Sequence[Condition], most: int | None = None
) -> Report:
    """Measure a pack in each condition, in the clear ones by group, and in all of them together.

    At most ``most`` images of each person are used (default: all).
    """
    parts = load_parts(_settings(pack))
    portraits = first_portraits(thin_sittings(load_portraits(parts.detector, folder)), most)
    with tempfile.TemporaryDirectory(prefix="face-blur-bench-") as place:
        known = list(references(portraits, parts, Path(place)))
    found = []
    with ProcessPoolExecutor(available_cpus()) as pool:
        for condition in conditions:
            here = [p for p in portraits if condition.width <= p.width * ENLARGED]
            count = len(here)
            shown = pool.map(show, [pack] * count, here, [condition] * count, chunksize=8)
            found.append(compare(portraits, known, list(zip(here, shown, strict=True)), parts))
    rows = [error_rates(pack, c.name, one) for c, one in zip(conditions, found, strict=True)]
    whole, apart = combine(found), group_people(portraits)
    if len(found) > 1:
        clear = combine(found[:CLEAR])
        rows.append(error_rates(pack, "clear", clear))
        rows += [
            error_rates(pack, f"clear, {name}", clear.of(group)) for name, group in apart.items()
        ]
        rows.append(error_rates(pack, "all", whole))
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
    print(rate_table(rows), *map(str, reports), sep="\n\n")
    if arguments.json is not None:
        record = {"rows": [asdict(r) for r in rows], "reports": [asdict(r) for r in reports]}
        arguments.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
