"""Measure how well shot detectors find cuts, and their cost.

    python -m bench.shots [CASE...] [--json FILE]

The cuts of the music video (``bench/shots/music_video.json``) and of the concert were labelled by
eye; the concert is measured only if it is next to the checkout. The other videos are synthetic, and
their cuts known. A gradual transition is found by one cut anywhere in it. CPU time is that of the
detector on one thread, without decoding.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from app.networks import Runtime
from app.shots import ContentShots
from app.shots.transnet import TransNetShots
from app.types import Frame, ShotDetector
from app.video import open_source
from testmedia.clip import write_clip
from testmedia.fetch import fetch
from testmedia.images import ImageFrame, flash
from testmedia.scenes import SCENES
from testmedia.transnet_weights import converted

ROOT = Path(__file__).resolve().parents[1]

MUSIC = Path(__file__).parent / "shots" / "music_video.json"
CONCERT = ROOT.parent / "shared" / "data" / "hamilton" / "clip.mp4"
CONCERT_CUTS = (20, 82, 211)
GRADUAL = ("dissolve", "melts")
CUTTING = ("cuts", "edges", "jump")
STEADY = ("appears", "blinks", "dash", "shake", "sizes")
FLASHES = {10: 1, 25: 2, 40: 3}
"""First frame of each flash in the calm scene, and its number of frames."""
TOLERANCES = (0, 1)


@dataclass(frozen=True, slots=True)
class Cuts:
    """The truth: first frames of new shots, and transitions from ``first`` to ``last`` frame."""

    hard: tuple[int, ...] = ()
    gradual: tuple[tuple[int, int], ...] = ()

    def places(self) -> list[tuple[int, int]]:
        """Return the intervals in which a cut is correct, one cut each."""
        return sorted([*((cut, cut) for cut in self.hard), *self.gradual])


@dataclass(frozen=True, slots=True)
class Score:
    """Numbers of correct cuts, missed cuts and false cuts."""

    found: int = 0
    missed: int = 0
    false: int = 0

    def __add__(self, other: "Score") -> "Score":
        return Score(self.found + other.found, self.missed + other.missed, self.false + other.false)

    @property
    def precision(self) -> float:
        """Part of the detected cuts that are correct, 0..1; 1 without detected cuts."""
        return self.found / total if (total := self.found + self.false) else 1.0

    @property
    def recall(self) -> float:
        """Part of the true cuts that are detected, 0..1; 1 without true cuts."""
        return self.found / total if (total := self.found + self.missed) else 1.0


def score(detected: Sequence[int], truth: Cuts, tolerance: int) -> Score:
    """Match detected cuts to true ones at most ``tolerance`` frames away, in order of time.

    >>> score([5, 9, 31, 33], Cuts((5, 10), ((30, 34),)), 0)
    Score(found=2, missed=1, false=2)
    >>> score([5, 9, 31, 33], Cuts((5, 10), ((30, 34),)), 1)
    Score(found=3, missed=0, false=1)
    """
    left = sorted(detected)
    found = 0
    for first, last in truth.places():
        near = [cut for cut in left if first - tolerance <= cut <= last + tolerance]
        if near:
            left.remove(min(near, key=lambda cut: abs(cut - (first + last) / 2)))
            found += 1
    return Score(found, len(truth.places()) - found, len(left))


@dataclass(frozen=True, slots=True)
class Case:
    """A video and its cuts; ``frames`` opens it anew."""

    name: str
    frames: Callable[[], Iterator[Frame]]
    truth: Cuts


@dataclass(slots=True)
class Row:
    """The result of a detector: cuts, scores by tolerance, CPU milliseconds per frame."""

    case: str
    detector: str
    frames: int
    cuts: list[int]
    milliseconds: float
    scores: dict[int, Score] = field(default_factory=dict)


def detectors() -> dict[str, ShotDetector]:
    """Return the detectors to compare, each with one thread whose CPU time is the total."""
    model = converted()
    return {
        "content": ContentShots(),
        "TransNet V2 at 0.5": TransNetShots(model, runtime=Runtime(threads=1)),
        "TransNet V2 at 0.2": TransNetShots(model, threshold=0.2, runtime=Runtime(threads=1)),
    }


def cases(folder: Path) -> Iterator[Case]:
    """Yield all cases; synthetic videos go to ``folder``."""
    known = json.loads(MUSIC.read_text("utf-8"))
    gradual = tuple((first, last) for first, last in known["gradual"])
    yield Case("music video", _frames(fetch("music.mp4")), Cuts(tuple(known["hard"]), gradual))
    if CONCERT.exists():
        yield Case("concert", _frames(CONCERT), Cuts(CONCERT_CUTS))
    for name in (*CUTTING, *GRADUAL, *STEADY):
        scene = SCENES[name]()
        clip = write_clip(scene, folder / f"{name}.mp4")
        lengths = [shot.dissolve for shot in scene.shots[1:]]
        whole = list(zip(clip.truth.cuts, lengths, strict=True))
        hard = tuple(cut for cut, length in whole if not length)
        melting = tuple((cut, cut + length) for cut, length in whole if length)
        yield Case(name, _frames(clip.path), Cuts(hard, melting))
    calm = write_clip(SCENES["calm"](), folder / "calm.mp4")
    yield Case("flashes", lambda: _flashing(calm.path), Cuts())


def _frames(path: Path) -> Callable[[], Iterator[Frame]]:
    return lambda: iter(open_source(path, threads=1))


def _flashing(path: Path) -> Iterator[Frame]:
    lit = {begin + n for begin, length in FLASHES.items() for n in range(length)}
    for frame in open_source(path, threads=1):
        picture = ImageFrame(frame.index, frame.rgb())
        yield flash(picture) if frame.index in lit else picture


def measure(case: Case, detector: ShotDetector, name: str) -> Row:
    """Run one detector on one case."""
    cuts: list[int] = []
    count, spent = 0, 0.0
    for frame in case.frames():
        count += 1
        begin = time.thread_time()
        cuts += detector.push(frame)
        spent += time.thread_time() - begin
    begin = time.thread_time()
    cuts += detector.flush()
    spent += time.thread_time() - begin
    row = Row(case.name, name, count, cuts, 1000 * spent / count)
    row.scores = {tolerance: score(cuts, case.truth, tolerance) for tolerance in TOLERANCES}
    return row


def table(rows: Sequence[Row]) -> str:
    """The rows as Markdown; ``within 1`` is precision and recall with that tolerance."""
    lines = [
        "| video | detector | found | missed | false | precision | recall | within 1 | ms/frame |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*lines, *(_line(row) for row in rows)])


def _line(row: Row) -> str:
    exact, near = row.scores[0], row.scores[1]
    return (
        f"| {row.case} | {row.detector} | {exact.found} | {exact.missed} | {exact.false} "
        f"| {exact.precision:.3f} | {exact.recall:.3f} "
        f"| {near.precision:.3f}, {near.recall:.3f} | {row.milliseconds:.2f} |"
    )


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("cases", nargs="*", metavar="CASE", help="only these")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows there, too")
    arguments = parser.parse_args()
    compared = detectors()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for case in cases(Path(folder)):
            if not arguments.cases or case.name in arguments.cases:
                rows += [measure(case, detector, name) for name, detector in compared.items()]
    print(table(rows))
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(row) for row in rows], indent=1), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
