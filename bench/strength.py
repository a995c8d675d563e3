"""How often a hidden face is still recognised by the recogniser: by effect, cells and size of face.

    python -m bench.strength [--photos DIR] [--quick] [--json FILE]

Three attackers try to say who it is. ``same`` knows the very picture that was hidden, of everybody;
``clear`` knows another picture of everybody; ``hidden`` knows another picture of everybody that was
hidden in the same way. All of them know where eyes, nose and mouth were, compare the face alone
(what surrounds it is painted over) and take off how alike a known picture is to hidden faces on
average: otherwise all hidden faces are like the same few people.

The exit code is 1 when the weakest setting of ``blur`` or ``pixelate`` lets a clear gallery name
more people than chance does, or an equally hidden one more than the mean colour alone (one cell).
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
from app.faces.alignment import align
from app.faces.quality import brighten_dark
from app.pipeline import load_parts
from app.types import Boxes, Embeddings, FaceRecogniser, Image
from bench.hiding import Method, covered, methods
from bench.photos import Portrait, load_portraits, people_of, some
from bench.rates import Naming, Rates, chance_of, more_than, naming, wilson

SIZES = (400, 100, 50, 25)
QUICK_SIZES = (200, 50)
GREY = 128
"""What surrounds a hidden face is painted over with this."""
CLEAR_SIZE = 150
"""Width in pixels of a clear face that hidden ones are compared with."""
ALPHA = 0.01
"""Chance that is taken for noise."""
FEWEST = 8
"""People with a second picture from which on a gallery that is hidden, too, is judged."""
CMC = 5
ATTACKERS = ("same", "clear", "hidden")


def seen(portrait: Portrait, method: Method | None, size: float) -> tuple[Image, Boxes]:
    """The hidden face (None: not hidden) on grey, and its landmarks (5, 2)."""
    face = portrait.at_width(size)
    image = face.image.copy()
    if method is not None:
        method.draw(image, face.box)
        image[~covered(method.outline, face.box, image)] = GREY
    return image, face.landmarks


def embed(
    portraits: Sequence[Portrait], method: Method | None, size: float, recogniser: FaceRecogniser
) -> Embeddings:
    """(N, D) of portraits that were hidden by a method."""
    chips = []
    for portrait in portraits:
        image, landmarks = seen(portrait, method, size)
        (chip,) = align(image, landmarks[None], recogniser.template, recogniser.chip_size)
        chips.append(brighten_dark(chip))
    return recogniser.embed(chips)


@dataclass(frozen=True, slots=True)
class Row:
    """What one attacker achieves against one method at one size of face.

    ``rank1`` is the mean over ``people`` (of ``known`` ones) of the part of their pictures that is
    named right, with Wilson's bounds for so many people; ``cmc`` the part that is among the first 1
    to 5. ``noise`` is how likely it is by chance, all methods and sizes of the floor together; None
    where it is not judged.
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
        """The part that is named right by guessing."""
        return 1 / self.known


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """A method at a size against an attacker, and who was taken for whom."""

    method: Method
    size: int
    attacker: str
    naming: Naming


class Material:
    """The first picture of everybody, and those of other sittings."""

    def __init__(self, portraits: Sequence[Portrait]) -> None:
        people = people_of(portraits)
        self.known = tuple(next(p for p in portraits if p.person == name) for name in people)
        first = {portrait.person: portrait.sitting for portrait in self.known}
        others = (p for p in portraits if p.sitting != first[p.person])
        self.others = tuple(some(others))
        self.index = {name: i for i, name in enumerate(people)}

    def persons(self, portraits: Sequence[Portrait]) -> list[int]:
        """Who the portraits are of, by number."""
        return [self.index[portrait.person] for portrait in portraits]


def attack(
    material: Material, method: Method, size: int, clear: Embeddings, recogniser: FaceRecogniser
) -> Iterator[Trial]:
    """All attackers on one method at one size; ``clear`` (K, D) is the gallery of known people."""
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
    """The rows, with what the floor must not allow marked as violated."""
    noise: dict[int, float] = {}
    for attacker in ("same", "clear"):
        floor = [t for t in trials if t.method.floor and t.attacker == attacker]
        if floor:
            chances = chance_of([t.naming for t in floor])
            noise |= {id(t): p for t, p in zip(floor, chances, strict=True)}
    base = {t.size: t.naming for t in trials if t.method.base and t.attacker == "hidden"}
    for trial in trials:
        enough = len(trial.naming.people) >= FEWEST and trial.size in base
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
    ways: Sequence[Method],
    sizes: Sequence[int],
) -> tuple[Row, ...]:
    """Every attacker on every method at every size."""
    material = Material(portraits)
    clear = embed(material.known, None, CLEAR_SIZE, recogniser)
    return judged(
        [
            trial
            for method, size in product(ways, sizes)
            for trial in attack(material, method, size, clear, recogniser)
        ]
    )


_TITLES = {
    "same": "Known: the very picture that was hidden, of everybody",
    "clear": "Known: another picture of everybody",
    "hidden": "Known: another picture of everybody, hidden in the same way",
}


def table(rows: Sequence[Row]) -> str:
    """Markdown: for each attacker the part named right, by method and width of the face."""
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
        f"{_TITLES[first.attacker]}. {first.people} people are looked for among {first.known}:"
        f" chance names {first.chance:.0%} right, which is {low:.0%} to {high:.0%} with so few."
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
    """One line for each attacker on the floor: whether it holds, and by how much."""
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
            lines.append(f"{attacker}: holds; at most {top:.0%}, by chance with p = {least:.2f}")
        else:
            lines.append(f"{attacker}: not judged, fewer than {FEWEST} people have two pictures")
    return "\n".join(lines)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="How often hidden faces are still recognised.")
    parser.add_argument("--photos", type=Path, help="folder of people: NAME/*.jpg, two and more")
    parser.add_argument("--quick", action="store_true", help="two sizes and the main methods")
    parser.add_argument("--json", type=Path, help="write the rows to this file, too")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; 1 when the floor does not hold."""
    arguments = parse(argv)
    parts = load_parts(Settings(people=Path("people")))
    if parts.recogniser is None:
        raise TypeError("there is no recogniser")
    portraits = load_portraits(parts.detector, arguments.photos)
    ways = methods(quick=arguments.quick)
    sizes = QUICK_SIZES if arguments.quick else SIZES
    rows = measure(portraits, parts.recogniser, ways, sizes)
    print(table(rows), verdict(rows), sep="\n\n")
    if arguments.json is not None:
        text = json.dumps([asdict(row) for row in rows], indent=1)
        arguments.json.write_text(text + "\n", encoding="utf-8")
    return int(any(row.violated for row in rows))


if __name__ == "__main__":
    sys.exit(main())
