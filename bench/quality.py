"""What Face blur leaks and hides too much, on the made clips whose truth is known.

    python -m bench.quality [SCENE...] [--quick] [--json FILE] [--set NAME=VALUE]...

Each clip is hidden in three ways: the listed person, all others, and everybody. What was written is
decoded and compared with the clip: ``bench/scoring.py`` says what is counted. Exit code 1 if a
face of 32 pixels or more leaks.

Clips with people in half profile and profile are of photographs beside the checkout; where there
are none, they are left out, and that is said.
"""

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2

from app.config import Settings
from app.identity.gallery import Gallery
from app.pipeline import Parts, analyse, load_parts, load_people, parts_for, render
from bench.scoring import Attacker, Score, score
from testmedia.clip import Clip, write_clip
from testmedia.fetch import fetch
from testmedia.photos import BIDEN, GUESTS, OBAMA_SPEAKING, OBAMA_STANDING, Photo
from testmedia.scene import Scene
from testmedia.scenes import SCENES
from testmedia.turned import AVAILABLE, PHOTOS, TURNED

LISTED = "obama"
REFERENCES = (OBAMA_SPEAKING, OBAMA_STANDING)
"""Other photographs of the listed person than the one that most scenes show."""
QUICK = ("cuts", "appears", "jump")
CHOICES = ("listed", "others", "everyone")


@dataclass(frozen=True, slots=True)
class Row:
    """One clip hidden in one way; ``milliseconds`` of CPU for a frame, of both passes."""

    scene: str
    choice: str
    score: Score
    milliseconds: float


class Proof:
    """The models and people that clips are measured with: the ``listed`` one, and ``everybody``."""

    def __init__(
        self, folder: Path, person: str, listed: Path, everybody: Path, **chosen: str
    ) -> None:
        self._folder, self._person = folder, person
        self._settings = {
            "listed": Settings(people=listed, **chosen),
            "others": Settings(people=listed, blur="others", **chosen),
            "everyone": Settings(**chosen),
        }
        self._parts: Parts = load_parts(self._settings["listed"])
        self._gallery: Gallery = load_people(listed, self._parts)
        self._attacker = Attacker(self._parts, load_people(everybody, self._parts))

    def measure(self, name: str, scene: Scene) -> list[Row]:
        """The rows of one scene."""
        clip = write_clip(scene, self._folder / f"{name}.mp4")
        return [self._row(name, clip, choice) for choice in CHOICES]

    def _row(self, name: str, clip: Clip, choice: str) -> Row:
        settings, truth = self._settings[choice], clip.truth
        output = self._folder / f"{name}-{choice}.mp4"
        begin = time.process_time()
        plan = analyse(clip.path, settings, parts_for(self._parts, settings), self._gallery)
        render(clip.path, plan, output, settings)
        cost = 1000 * (time.process_time() - begin) / truth.frames
        targets = {
            "listed": truth.people & {self._person},
            "others": truth.people - {self._person},
            "everyone": truth.people,
        }[choice]
        found = score(clip.path, output, truth, targets, plan=plan, attacker=self._attacker)
        output.unlink()
        return Row(name, choice, found, cost)


def _photos(folder: Path, photos: Sequence[Photo]) -> Path:
    """A folder of people: each photo cut to head and shoulders."""
    for photo in photos:
        picture = cv2.imread(str(fetch(photo.medium)))
        if picture is None:
            raise ValueError(f"{photo.medium} is no picture")
        x1, y1, x2, y2 = photo.face
        wide, high = (x2 - x1) // 2, (y2 - y1) // 2
        part = picture[max(0, y1 - high) : y2 + high, max(0, x1 - wide) : x2 + wide]
        place = folder / photo.person
        place.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(place / f"{len(list(place.iterdir()))}.png"), part)
    return folder


def table(rows: Sequence[Row]) -> str:
    """The rows, and the sums of each way of choosing, as Markdown."""
    lines = [
        "| scene | hidden | leaks | longest | late, early | spills | named | jitter | ms/frame |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    lines += [_line(row.scene, row.choice, row.score, f"{row.milliseconds:.0f}") for row in rows]
    for choice in CHOICES:
        whole = sum((row.score for row in rows if row.choice == choice), Score())
        lines.append(_line("**all**", choice, whole, ""))
    return "\n".join(lines)


def _line(scene: str, choice: str, found: Score, cost: str) -> str:
    if not found.targets:
        return f"| {scene} | {choice} | nobody | | | {found.spills}/{found.others} | | | {cost} |"
    return (
        f"| {scene} | {choice} | {found.leaks}/{found.targets} | {found.longest}"
        f" | {found.late} / {found.early} of {found.appearances} | {found.spills}/{found.others}"
        f" | {found.named_before}, {found.named} of {found.asked}"
        f" | {100 * found.unsteadiness:.1f} % | {cost} |"
    )


def run(scenes: Sequence[str], chosen: dict[str, str]) -> list[Row]:
    """Measure the scenes; progress goes to stderr."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="face-blur-bench-") as name:
        folder = Path(name)
        listed = _photos(folder / "listed", REFERENCES)
        everybody = _photos(folder / "everybody", (*REFERENCES, BIDEN, *GUESTS))
        proof = Proof(folder, LISTED, listed, everybody, **chosen)
        for scene in scenes:
            if scene in SCENES:
                rows += proof.measure(scene, SCENES[scene]())
            elif AVAILABLE:
                rows += _turned(folder / scene, scene, chosen)
            else:
                print(f"{scene}: LEFT OUT: there are no photographs for it here", file=sys.stderr)
                continue
            print(f"{scene}: {sum(row.score.leaks for row in rows[-3:])} leaks", file=sys.stderr)
    return rows


def _turned(folder: Path, name: str, chosen: dict[str, str]) -> list[Row]:
    """The rows of a scene with people who turn away; the attacker has the same photos as we."""
    turned = TURNED[name]
    people = folder / "people" / turned.person
    people.mkdir(parents=True)
    for photo in turned.photos:
        shutil.copy(PHOTOS / photo, people)
    return Proof(folder, turned.person, people.parent, people.parent, **chosen).measure(
        name, turned.scene()
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Measure the scenes of the command line, or all."""
    parser = argparse.ArgumentParser(description="Leaks and spills on clips with known truth.")
    parser.add_argument("scenes", nargs="*", help=", ".join((*SCENES, *TURNED)))
    parser.add_argument("--quick", action="store_true", help=f"only {', '.join(QUICK)}")
    parser.add_argument("--json", type=Path, help="write the figures, too")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", dest="settings")
    arguments = parser.parse_args(argv)
    unknown = set(arguments.scenes) - SCENES.keys() - TURNED.keys()
    if unknown:
        parser.error(f"no scene is named {min(unknown)}; there are {', '.join((*SCENES, *TURNED))}")
    scenes = arguments.scenes or (QUICK if arguments.quick else (*SCENES, *TURNED))
    rows = run(scenes, dict(item.split("=", 1) for item in arguments.settings))
    print(table(rows))
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(row) for row in rows]), encoding="utf-8")
    return 1 if any(row.score.large_leaks for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
