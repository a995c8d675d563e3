"""Measure leaks and spills of Face blur on synthetic videos whose truth is known.

    python -m bench.quality [SCENE...] [--quick] [--json FILE] [--set NAME=VALUE]...

Each video is hidden in three ways: the listed person, all others, and everyone. The result is
decoded and compared with the original; see ``bench/scoring.py``. The exit code is 1 if a face of at
least 32 pixels leaks.

Scenes with profiles and half profiles use photographs next to the checkout; without them they are
left out, with a message.
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
from app.pipeline import FaceBlur, Parts, load_parts, load_people
from app.video import Media
from bench.scoring import Attacker, Score, score
from testmedia.clip import Clip, write_clip
from testmedia.fetch import fetch
from testmedia.photos import BIDEN, GUESTS, OBAMA_SPEAKING, OBAMA_STANDING, Photo
from testmedia.scene import Scene
from testmedia.scenes import SCENES
from testmedia.turned import AVAILABLE, PHOTOS, TURNED

LISTED = "obama"
REFERENCES = (OBAMA_SPEAKING, OBAMA_STANDING)
"""Photographs of the listed person; most scenes show another one."""
QUICK = ("cuts", "appears", "jump")
CHOICES = ("listed", "others", "everyone")


@dataclass(frozen=True, slots=True)
class Row:
    """One video hidden in one way; ``milliseconds`` of CPU per frame, of both passes."""

    scene: str
    choice: str
    score: Score
    milliseconds: float


class Proof:
    """Models, settings and references for measuring; ``everybody`` is the attacker's folder."""

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
        """Return the rows of one scene."""
        clip = write_clip(scene, self._folder / f"{name}.mp4")
        return [self._row(name, clip, choice) for choice in CHOICES]

    def _row(self, name: str, clip: Clip, choice: str) -> Row:
        settings, truth = self._settings[choice], clip.truth
        output = self._folder / f"{name}-{choice}.mp4"
        begin = time.process_time()
        face_blur = FaceBlur(settings, parts=self._parts, gallery=self._gallery)
        media = Media(clip.path)
        plan = face_blur.analyse(media)
        face_blur.render(media, plan, output)
        cost = 1000 * (time.process_time() - begin) / truth.frames
        targets = {
            "listed": truth.people & {self._person},
            "others": truth.people - {self._person},
            "everyone": truth.people,
        }[choice]
        found = score(clip.path, output, truth, targets, plan=plan, attacker=self._attacker)
        output.unlink()
        return Row(name, choice, found, cost)


def write_photos(folder: Path, photos: Sequence[Photo]) -> Path:
    """Write a folder of people: each photo cropped to head and shoulders."""
    for photo in photos:
        picture = cv2.imread(str(fetch(photo.medium)))
        if picture is None:
            raise ValueError(f"{photo.medium} is not an image")
        x1, y1, x2, y2 = photo.face
        wide, high = (x2 - x1) // 2, (y2 - y1) // 2
        part = picture[max(0, y1 - high) : y2 + high, max(0, x1 - wide) : x2 + wide]
        place = folder / photo.person
        place.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(place / f"{len(list(place.iterdir()))}.png"), part)
    return folder


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table, with sums for each choice."""
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
        listed = write_photos(folder / "listed", REFERENCES)
        everybody = write_photos(folder / "everybody", (*REFERENCES, BIDEN, *GUESTS))
        proof = Proof(folder, LISTED, listed, everybody, **chosen)
        for scene in scenes:
            if scene in SCENES:
                rows += proof.measure(scene, SCENES[scene]())
            elif AVAILABLE:
                rows += _turned(folder / scene, scene, chosen)
            else:
                print(f"{scene}: LEFT OUT: its photographs are not available", file=sys.stderr)
                continue
            print(f"{scene}: {sum(row.score.leaks for row in rows[-3:])} leaks", file=sys.stderr)
    return rows


def _turned(folder: Path, name: str, chosen: dict[str, str]) -> list[Row]:
    """Return the rows of a scene with turned heads; the attacker has the same photos."""
    turned = TURNED[name]
    people = folder / "people" / turned.person
    people.mkdir(parents=True)
    for photo in turned.photos:
        shutil.copy(PHOTOS / photo, people)
    return Proof(folder, turned.person, people.parent, people.parent, **chosen).measure(
        name, turned.scene()
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Measure the scenes of the command line, or all of them."""
    parser = argparse.ArgumentParser(
        description="Measure leaks and spills on videos with known truth."
    )
    parser.add_argument("scenes", nargs="*", help=", ".join((*SCENES, *TURNED)))
    parser.add_argument("--quick", action="store_true", help=f"only {', '.join(QUICK)}")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", dest="settings")
    arguments = parser.parse_args(argv)
    unknown = set(arguments.scenes) - SCENES.keys() - TURNED.keys()
    if unknown:
        parser.error(f"unknown scene {min(unknown)}; choose from {', '.join((*SCENES, *TURNED))}")
    scenes = arguments.scenes or (QUICK if arguments.quick else (*SCENES, *TURNED))
    rows = run(scenes, dict(item.split("=", 1) for item in arguments.settings))
    print(table(rows))
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(row) for row in rows]), encoding="utf-8")
    return 1 if any(row.score.large_leaks for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
