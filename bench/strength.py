"""Measure how often hidden faces are still recognised: by effect, cells and size of the face.

    python -m bench.strength [--photos DIR] [--quick] [--json FILE]

Three attackers try to name the person. ``same`` has the unhidden originals of all images, ``clear``
has another image of each person, and ``hidden`` has another image of each person, hidden in the
same way. All of them know the positions of eyes, nose and mouth, and compare only the face, with
its surroundings painted over. They subtract the mean similarity of a known image to hidden faces:
otherwise all hidden faces would match the same few people.

The exit code is 1 if, at the weakest setting of ``blur`` or ``pixelate``, an attacker with clear
images names more people than chance, or one with hidden images more than with the mean colour
alone (one cell).
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

import numpy as np

from app.config import Settings
from app.faces.chips import align, brighten_dark
from app.pipeline import load_parts
from app.types import Boxes, Embeddings, FaceRecogniser, Image
from bench.methods import Method, covered, methods
from bench.portraits import Portrait, load_portraits, people_of, thin_sittings
from bench.rates import Naming, Rates, chance_of, more_than, naming, wilson

SIZES = (400, 100, 50, 25)
QUICK_SIZES = (200, 50)
GREY = 128
"""Colour painted over the surroundings of a hidden face."""
CLEAR_SIZE = 150
"""Width in pixels of the clear faces that hidden ones are compared with."""
ALPHA = 0.01
"""Significance level."""
MIN_PEOPLE = 8
"""Minimum people with a second image to judge the attacker with hidden images."""
CMC = 5
ATTACKERS = ("same", "clear", "hidden")


def seen(portrait: Portrait, method: Method | None, size: float) -> tuple[Image, Boxes]:
    """Return the hidden face (None: not hidden) on grey, and its landmarks (5, 2)."""
    face = portrait.at_width(size)
    image = face.image.copy()
    if method is not None:
        method.draw(image, face.box)
        image[~covered(method.outline, face.box, image)] = GREY
    return image, face.landmarks


def embed(
    portraits: Sequence[Portrait], method: Method | None, size: float, recogniser: FaceRecogniser
) -> Embeddings:
    """Return embeddings (N, D) of portraits hidden by a method."""
    chips = []
    for portrait in portraits:
        image, landmarks = seen(portrait, method, size)
        (chip,) = align(image, landmarks[None], recogniser.template, recogniser.chip_size)
        chips.append(brighten_dark(chip))
    return recogniser.embed(chips)


@dataclass(frozen=True, slots=True)
class Row:
    """The result of one attacker against one method at one size.

    ``rank1`` is the rate of correct names over ``people`` (out of ``known`` ones), with Wilson's
    bounds; ``cmc`` is the rate of people among the first 1 to 5. ``noise`` is the p-value,
    corrected for all judged methods and sizes; None if not judged.
    """

    method: str
    size: int
    attacker: str
    people: int
    known: int
    rank1: float
    low: float
    high: float
    cmc: tuple[float, ...]
    noise: float | None = None
    violated: bool = False

    @property
    def chance(self) -> float:
        """The rate of correct names by guessing."""
        return 1 / self.known


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """The names that an attacker gave, for a method at a size."""

    method: Method
    size: int
    attacker: str
    naming: Naming


class Material:
    """The first image of each person, and the images of other sittings."""

    def __init__(self, portraits: Sequence[Portrait]) -> None:
        people = people_of(portraits)
        self.known = tuple(next(p for p in portraits if p.person == name) for name in people)
        first = {portrait.person: portrait.sitting for portrait in self.known}
        others = (p for p in portraits if p.sitting != first[p.person])
        self.others = tuple(thin_sittings(others))
        self.index = {name: i for i, name in enumerate(people)}

    def persons(self, portraits: Sequence[Portrait]) -> list[int]:
        """Return the people of portraits, as indices."""
        return [self.index[portrait.person] for portrait in portraits]


def attack(
    material: Material, method: Method, size: int, clear: Embeddings, recogniser: FaceRecogniser
) -> Iterator[Trial]:
    """Yield all attackers for one method and size; ``clear`` (K, D) are the known people."""
    hidden = embed(material.known, method, size, recogniser)
    own = naming(_scores(hidden, clear), material.persons(material.known))
    yield Trial(method, size, "same", own)
    if not material.others:
        return
    others = embed(material.others, method, size, recogniser)
    persons = material.persons(material.others)
    yield Trial(method, size, "clear", naming(_scores(others, clear), persons))
    yield Trial(method, size, "hidden", naming(_scores(others, hidden), persons))


def _scores(probes: Embeddings, known: Embeddings) -> Rates:
    return np.asarray(probes @ known.T, np.float64)


def judged(trials: Sequence[Trial]) -> tuple[Row, ...]:
    """Return the rows, with violations marked where the weakest settings fail."""
    noise: dict[int, float] = {}
    for attacker in ("same", "clear"):
        floor = [t for t in trials if t.method.floor and t.attacker == attacker]
        if floor:
            chances = chance_of([t.naming for t in floor])
            noise |= {id(t): p for t, p in zip(floor, chances, strict=True)}
    base = {t.size: t.naming for t in trials if t.method.base and t.attacker == "hidden"}
    for trial in trials:
        enough = len(trial.naming.people) >= MIN_PEOPLE and trial.size in base
        if trial.method.floor and trial.attacker == "hidden" and enough:
            noise[id(trial)] = more_than(trial.naming.right, base[trial.size].right)
    return tuple(_row(trial, noise.get(id(trial))) for trial in trials)


def _row(trial: Trial, noise: float | None) -> Row:
    found = trial.naming
    low, high = wilson(found.rank1, len(found.people))
    return Row(
        method=trial.method.name,
        size=trial.size,
        attacker=trial.attacker,
        people=len(found.people),
        known=found.named.shape[1],
        rank1=found.rank1,
        low=low,
        high=high,
        cmc=tuple(float(value) for value in found.cmc[:CMC]),
        noise=noise,
        violated=noise is not None and noise < ALPHA,
    )


def measure(
    portraits: Sequence[Portrait],
    recogniser: FaceRecogniser,
    tested_methods: Sequence[Method],
    sizes: Sequence[int],
) -> tuple[Row, ...]:
    """Run every attacker on every method at every size."""
    material = Material(portraits)
    clear = embed(material.known, None, CLEAR_SIZE, recogniser)
    return judged(
        [
            trial
            for method, size in product(tested_methods, sizes)
            for trial in attack(material, method, size, clear, recogniser)
        ]
    )


_TITLES = {
    "same": "Known: the unhidden original of each person",
    "clear": "Known: another image of each person",
    "hidden": "Known: another image of each person, hidden in the same way",
}


def table(rows: Sequence[Row]) -> str:
    """Return a Markdown table for each attacker: the rate of correct names by method and width."""
    return "\n\n".join(
        _table([row for row in rows if row.attacker == attacker])
        for attacker in ATTACKERS
        if any(row.attacker == attacker for row in rows)
    )


def _table(rows: Sequence[Row]) -> str:
    first = rows[0]
    sizes = list(dict.fromkeys(row.size for row in rows))
    low, high = wilson(first.chance, first.people)
    head = (
        f"{_TITLES[first.attacker]}. {first.people} people are searched among {first.known}:"
        f" chance names {first.chance:.0%} correctly (95 % bounds: {low:.0%} to {high:.0%})."
    )
    lines = [head, "", "| hidden by | " + " | ".join(f"{size} px" for size in sizes) + " |"]
    lines.append("|---" * (1 + len(sizes)) + "|")
    cells = {(row.method, row.size): row for row in rows}
    for method in dict.fromkeys(row.method for row in rows):
        values = (cells[method, size] for size in sizes)
        shown = (f"**{v.rank1:.0%}**" if v.violated else f"{v.rank1:.0%}" for v in values)
        lines.append(f"| {method} | " + " | ".join(shown) + " |")
    return "\n".join(lines)


def verdict(rows: Sequence[Row]) -> str:
    """Return one line for each attacker: whether the weakest settings hold."""
    lines = []
    for attacker in ATTACKERS:
        mine = [row for row in rows if row.attacker == attacker and row.noise is not None]
        broken = [
            f"{row.method} at {row.size} px ({row.rank1:.0%})" for row in mine if row.violated
        ]
        if broken:
            lines.append(f"{attacker}: VIOLATED by {'; '.join(broken)}")
        elif mine:
            least = min(row.noise for row in mine if row.noise is not None)
            top = max(row.rank1 for row in mine)
            lines.append(f"{attacker}: holds; at most {top:.0%}, lowest p-value {least:.2f}")
        else:
            lines.append(f"{attacker}: not judged, fewer than {MIN_PEOPLE} people have two images")
    return "\n".join(lines)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description="Measure how often hidden faces are still recognised."
    )
    parser.add_argument("--photos", type=Path, help="folder of people: NAME/*.jpg, two or more")
    parser.add_argument("--quick", action="store_true", help="two sizes and the main methods")
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; return 1 if a weakest setting fails."""
    arguments = parse(argv)
    parts = load_parts(Settings(people=Path("people")))
    if parts.recogniser is None:
        raise TypeError("the pack has no recogniser")
    portraits = load_portraits(parts.detector, arguments.photos)
    tested_methods = methods(quick=arguments.quick)
    sizes = QUICK_SIZES if arguments.quick else SIZES
    rows = measure(portraits, parts.recogniser, tested_methods, sizes)
    print(table(rows), verdict(rows), sep="\n\n")
    if arguments.json is not None:
        text = json.dumps([asdict(row) for row in rows], indent=1)
        arguments.json.write_text(text + "\n", encoding="utf-8")
    return int(any(row.violated for row in rows))


if __name__ == "__main__":
    sys.exit(main())
