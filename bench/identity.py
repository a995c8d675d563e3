"""How well people are told apart in video: error rates of each model pack, and its thresholds.

    python bench/identity.py [--photos DIR] [--quick] [--json FILE]

Every picture becomes a short clip, as bad as its condition says, that runs through detection,
tracking, chips, weights and similarity as a user's video does; the references are read as a user's
photos are. Pairs of one sitting are never compared. A face that is not found matches nobody.

``doubtful`` should miss at most 1 in 100 faces of people looked for: who is not even doubtful stays
visible with ``listed``. ``sure`` should match at most 1 in 1,000 pairs of strangers: who surely is
somebody else stays visible with ``others``.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from footage import CONDITIONS, QUICK, Condition, evidence, write  # noqa: E402 - lies beside this script
from photos import Portrait, load_portraits, people_of, some  # noqa: E402
from verification import NOT_FOUND, Comparison, highest  # noqa: E402

from app.config import Settings  # noqa: E402
from app.errors import PeopleError  # noqa: E402
from app.faces.fetch import State, state  # noqa: E402
from app.faces.packs import find_packs, load_pack  # noqa: E402
from app.identity.gallery import Person  # noqa: E402
from app.identity.matching import similarity  # noqa: E402
from app.pipeline import Parts, load_parts, load_people  # noqa: E402

ENLARGED = 1.15
"""A face is shown at most this much larger than it was photographed."""
MISSED = 0.01
"""Part of the faces of people looked for that ``doubtful`` may miss."""
MATCHED = 0.001
"""Part of the pairs of strangers that ``sure`` may match."""
ENOUGH = 50
"""People with two sittings from which on the thresholds found here are worth more than those in
force."""


def references(
    portraits: Sequence[Portrait], parts: Parts, folder: Path
) -> Iterator[tuple[Portrait, Person]]:
    """Every portrait that can serve as a reference photo, read as those of users are.

    These are photographs; a frame of a clip serves where somebody has no photograph, and other
    pictures to be compared with.
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


def compare(
    portraits: Sequence[Portrait],
    known: Sequence[tuple[Portrait, Person]],
    condition: Condition,
    parts: Parts,
    settings: Settings,
) -> Comparison:
    """The scores of all portraits that can be shown so, against all references."""
    shown = [p for p in portraits if condition.width <= p.width * ENLARGED]
    number = {name: i for i, name in enumerate(people_of(portraits))}
    scores = np.full((len(shown), len(known)), NOT_FOUND)
    with tempfile.TemporaryDirectory(prefix="face-blur-bench-") as folder:
        path = Path(folder) / "clip.mp4"
        for row, portrait in zip(scores, shown, strict=True):
            boxes = write(portrait, condition, path)
            found = evidence(path, boxes, parts, settings)
            if found is not None:
                row[:] = [similarity(found, person.embeddings) for _, person in known]
    return Comparison(
        scores,
        np.asarray([number[p.person] for p in shown], np.int64),
        np.asarray([number[p.person] for p, _ in known], np.int64),
        np.asarray([[p.sitting_of != k.sitting_of for k, _ in known] for p in shown], bool),
    )


@dataclass(frozen=True, slots=True)
class Row:
    """Error rates in one condition; nan where there is nothing to count.

    ``missed`` and ``matched`` are false non-match and false match rates at the pack's thresholds,
    with 95 % bounds; ``at_100`` and ``at_1000`` are false non-match rates at 1 false match in 100
    and in 1,000; ``identified`` is the part found in searches with 1 false alarm in 100.
    """

    pack: str
    condition: str
    people: int
    genuine: int
    impostor: int
    lost: int
    auc: float
    at_100: float
    at_1000: float
    identified: float
    missed_doubtful: tuple[float, float, float]
    missed_sure: tuple[float, float, float]
    matched_doubtful: tuple[float, float, float]
    matched_sure: tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Advice:
    """Thresholds that the scores ask for, next to those in force, and how far to trust them."""

    pack: str
    doubtful: float
    sure: float
    in_force: tuple[float, float]
    mates: int

    def __str__(self) -> str:
        now = f"now {self.in_force[0]} and {self.in_force[1]}"
        trust = "" if self.mates >= ENOUGH else f"; too few to change them, {ENOUGH} are needed"
        return (
            f"{self.pack}: doubtful {self.doubtful:.3f}, sure {self.sure:.3f} ({now}), from"
            f" {self.mates} people with two sittings{trust}"
        )


def row(pack: str, condition: str, found: Comparison, parts: Parts) -> Row:
    """The error rates of a comparison."""
    doubtful, sure = parts.thresholds.doubtful, parts.thresholds.sure
    (low_miss, low_match), (high_miss, high_match) = found.interval(doubtful), found.interval(sure)
    return Row(
        pack=pack,
        condition=condition,
        people=len(np.unique(found.probes)),
        genuine=len(found.genuine),
        impostor=len(found.impostor),
        lost=int((found.scores == NOT_FOUND).all(axis=1).sum()),
        auc=found.auc,
        at_100=found.false_non_match(found.threshold(0.01)),
        at_1000=found.false_non_match(found.threshold(0.001)),
        identified=found.identified(0.01)[0],
        missed_doubtful=(found.false_non_match(doubtful), *low_miss),
        missed_sure=(found.false_non_match(sure), *high_miss),
        matched_doubtful=(found.false_match(doubtful), *low_match),
        matched_sure=(found.false_match(sure), *high_match),
    )


def together(comparisons: Sequence[Comparison]) -> Comparison:
    """The comparisons of several conditions as one; the templates are the same."""
    return Comparison(
        np.concatenate([one.scores for one in comparisons]),
        np.concatenate([one.probes for one in comparisons]),
        comparisons[0].templates,
        np.concatenate([one.apart for one in comparisons]),
    )


def advice(pack: str, found: Comparison, parts: Parts) -> Advice:
    """The thresholds for a comparison; a face that was not found asks for none."""
    genuine = found.genuine[found.genuine > NOT_FOUND]
    doubtful = highest(genuine, MISSED) if len(genuine) else float("nan")
    sure = found.threshold(MATCHED)
    now = parts.thresholds.doubtful, parts.thresholds.sure
    mates = len(np.unique(found.probes[(found.same & found.apart).any(axis=1)]))
    return Advice(pack, min(doubtful, sure), sure, now, mates)


def table(rows: Sequence[Row]) -> str:
    """Markdown: a row for each condition."""
    head = ("pack", "faces", "people", "pairs", "not found", "AUC", "missed at 1 in 100",
            "missed at 1 in 1,000", "identified", "missed by doubtful", "by sure",
            "strangers doubtful", "strangers sure")  # fmt: skip
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for one in rows:
        rates = (one.missed_doubtful, one.missed_sure, one.matched_doubtful, one.matched_sure)
        cells = (
            one.pack, one.condition, str(one.people), f"{one.genuine} / {one.impostor}",
            str(one.lost), f"{one.auc:.4f}", *map(_percent, (one.at_100, one.at_1000)),
            _percent(one.identified), *map(_bounded, rates),
        )  # fmt: skip
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _bounded(rate: tuple[float, float, float]) -> str:
    value, low, high = map(_percent, rate)
    return f"{value} ({low} to {high})"


def _percent(value: float) -> str:
    return "?" if np.isnan(value) else f"{100 * value:.3g} %"


def measure(
    pack: str, folder: Path | None, conditions: Sequence[Condition]
) -> tuple[list[Row], Advice]:
    """A pack in all conditions, and then in all of them together."""
    settings = Settings(people=Path("people"), models=pack, shots="none")
    parts = load_parts(settings)
    portraits = some(load_portraits(parts.detector, folder))
    with tempfile.TemporaryDirectory(prefix="face-blur-bench-") as place:
        known = list(references(portraits, parts, Path(place)))
    found = [compare(portraits, known, condition, parts, settings) for condition in conditions]
    rows = [row(pack, c.name, one, parts) for c, one in zip(conditions, found, strict=True)]
    whole = together(found)
    if len(found) > 1:
        rows.append(row(pack, "all", whole, parts))
    return rows, advice(pack, whole, parts)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure every pack that is installed, and print."""
    parser = argparse.ArgumentParser(description="How well people are told apart in video.")
    parser.add_argument("--photos", type=Path, help="folder of people: NAME/*.jpg, two and more")
    parser.add_argument("--quick", action="store_true", help="one condition")
    parser.add_argument("--json", type=Path, help="write the rows to this file, too")
    arguments = parser.parse_args(argv)
    conditions = QUICK if arguments.quick else CONDITIONS
    packs = [load_pack(name) for name in find_packs()]
    ready = [
        pack.name
        for pack in packs
        if {"detector", "recogniser"} <= pack.parts.keys() and state(pack) is State.READY
    ]
    measured = [measure(pack, arguments.photos, conditions) for pack in ready]
    rows = [one for rows, _ in measured for one in rows]
    print(table(rows), "", *(str(advised) for _, advised in measured), sep="\n")
    if arguments.json is not None:
        record = {"rows": [asdict(r) for r in rows], "advice": [asdict(a) for _, a in measured]}
        arguments.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
