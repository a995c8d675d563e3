"""Measure the second look at a result: false findings, planted leaks that are found, and its cost.

    python -m bench.verification [SCENE...] [--leaks SCENE...]

First, results as they should be: scenes of ``testmedia`` with everyone hidden by each effect, and
with the listed person or all others hidden. Every finding is false. Then leaks are planted. The
truth of a scene says in which frames a face can be read; a finding should name these frames.
"""

import argparse
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from app.config import Settings
from app.effects import EFFECTS
from app.pipeline import FaceBlur, Parts, load_parts, load_people
from app.pipeline.rendering import effect_of
from app.plan import Plan
from app.verification import Verification, verify
from app.verification.detail import READABLE, readable
from app.video import Media
from bench.quality import REFERENCES, write_photos
from bench.scoring import frame_pairs
from testmedia.clip import Clip, write_clip
from testmedia.leaks import HalfTransparent, exposed, shifted, with_gap
from testmedia.scenes import SCENES

LEAKING = ("calm", "small", "dark", "leans", "overlap", "pressed", "uneven", "crowd")
"""Scenes with planted leaks: small, dark, turned, covered and strongly compressed faces."""
LEAKING_EFFECTS = ("blur", "pixelate")
"""Effects of planted leaks; of ``solid`` nothing can be mistaken for detail."""


@dataclass(slots=True)
class Good:
    """Sums over good results: frames, false findings with and without the source, CPU seconds."""

    frames: int = 0
    compared: int = 0
    alone: int = 0
    blurring: float = 0.0
    verifying: float = 0.0


@dataclass(slots=True)
class Planted:
    """Sums over results with a leak.

    ``leaks``: frames in which a face can be read, by the truth; ``found``: those of them that a
    finding names; ``more``: other frames that a finding names, outside of those with the leak.
    """

    results: int = 0
    leaks: int = 0
    found: int = 0
    more: int = 0


@dataclass(slots=True)
class Bench:
    """The measurements, in ``folder``."""

    folder: Path
    parts: Parts
    sessions: Mapping[str, FaceBlur]
    good: defaultdict[tuple[str, str], Good] = field(default_factory=lambda: defaultdict(Good))
    planted: defaultdict[tuple[str, str, str], Planted] = field(
        default_factory=lambda: defaultdict(Planted)
    )

    def add_good(self, name: str) -> None:
        """Add the good results of a scene."""
        clip = write_clip(SCENES[name](), self.folder / f"{name}.mp4")
        for choice, session in self.sessions.items():
            effects = tuple(EFFECTS) if choice == "everyone" else ("blur",)
            began = time.process_time()
            plan = session.analyse(Media(clip.path))
            analysing = time.process_time() - began
            for effect in effects:
                self._add_result(clip, choice, effect, plan, analysing)

    def _add_result(
        self, clip: Clip, choice: str, effect: str, plan: Plan, analysing: float
    ) -> None:
        session = self._with_effect(choice, effect)
        output, media = self.folder / "out.mp4", Media(clip.path)
        began = time.process_time()
        session.render(media, plan, output, overwrite=True)
        rendered = time.process_time()
        compared = verify(session, plan, Media(output), media)
        verified = time.process_time()
        alone = verify(session, plan, Media(output))
        for finding in compared.findings:
            print(f"{clip.path.stem}, {choice}, {effect}: {finding.line}", file=sys.stderr)
        row = self.good[choice, effect]
        row.frames += compared.frames
        row.compared += len(compared.findings)
        row.alone += len(alone.findings)
        row.blurring += analysing + rendered - began
        row.verifying += verified - rendered

    def add_planted(self, name: str) -> None:
        """Add the results of a scene with a leak in the middle of its longest track."""
        clip = write_clip(SCENES[name](), self.folder / f"{name}.mp4")
        plan = self.sessions["everyone"].analyse(Media(clip.path))
        track = max(plan.tracks, key=lambda one: one.last - one.first)
        first = (track.first + track.last) // 2
        bad_plans: dict[str, tuple[Plan, range]] = {
            "a gap of 1 frame": (with_gap(plan, track.id, first, 1), range(first, first + 1)),
            "a gap of 5 frames": (with_gap(plan, track.id, first, 5), range(first, first + 5)),
            "a box beside the face": (shifted(plan, track.id, first, 5), range(first, first + 5)),
            "a frame of the source": (exposed(plan, first), range(first, first + 1)),
            "a weak effect": (plan, range(plan.source.frames)),
        }
        for kind, (bad, frames) in bad_plans.items():
            for effect in LEAKING_EFFECTS:
                self._add_leak(clip, plan, bad, (kind, effect), frames)

    def _add_leak(
        self, clip: Clip, plan: Plan, bad: Plan, label: tuple[str, str], frames: range
    ) -> None:
        kind, effect = label
        session, output = self._with_effect("everyone", effect), self.folder / "out.mp4"
        whole = effect_of(session.settings, effect)
        drawn = HalfTransparent(whole) if kind == "a weak effect" else None
        session.render(clip.path, bad, output, overwrite=True, effect=drawn)
        leaks = set(_readable_frames(clip, output))
        judges = {"the plan with the leak": bad, "the good plan": plan}
        for judge, judged in judges.items() if bad is not plan else (("the good plan", plan),):
            found = _frames_of(verify(session, judged, Media(output), Media(clip.path)))
            row = self.planted[kind, effect, judge]
            row.results += 1
            row.leaks += len(leaks)
            row.found += len(leaks & found)
            row.more += len(found - leaks - set(frames))

    def _with_effect(self, choice: str, effect: str) -> FaceBlur:
        session = self.sessions[choice]
        return session.changed(session.settings.changed(effect=effect))


def _readable_frames(clip: Clip, output: Path) -> Iterator[int]:
    """Yield the frames in which a face can be read, by the truth."""
    faces = list(clip.truth.recognisable())
    for number, pictures in enumerate(frame_pairs(clip.path, output)):
        there = (face for face in faces if face.frame == number)
        if any(readable(*pictures, face.box) > READABLE for face in there):
            yield number


def _frames_of(found: Verification) -> set[int]:
    return {int(row[0]) for finding in found.findings for row in finding.rows}


def good_table(bench: Bench) -> str:
    """Return the table of good results."""
    lines = [
        "| hidden | effect | frames | findings | without the source | CPU time; blur = 1 |",
        "|---|---|---|---|---|---|",
    ]
    for (choice, effect), row in bench.good.items():
        ratio = row.verifying / row.blurring
        lines.append(
            f"| {choice} | {effect} | {row.frames} | {row.compared} | {row.alone} | {ratio:.2f} |"
        )
    return "\n".join(lines)


def planted_table(bench: Bench) -> str:
    """Return the table of planted leaks."""
    lines = [
        "| leak | effect | judged by | results | frames with a readable face | found | others |",
        "|---|---|---|---|---|---|---|",
    ]
    for labels, row in bench.planted.items():
        cells = (*labels, row.results, row.leaks, row.found, row.more)
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def run(scenes: Sequence[str], leaking: Sequence[str]) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="face-blur-bench-") as name:
        folder = Path(name)
        listed = write_photos(folder / "listed", REFERENCES)
        settings = Settings(people=listed)
        parts = load_parts(settings)
        people = load_people(listed, parts)
        choices: Mapping[str, Callable[[], Settings]] = {
            "everyone": Settings,
            "listed": lambda: settings,
            "others": lambda: settings.changed(blur="others"),
        }
        sessions = {
            choice: FaceBlur(make(), parts=parts, gallery=people)
            for choice, make in choices.items()
        }
        bench = Bench(folder, parts, sessions)
        for scene in scenes:
            bench.add_good(scene)
            print(f"{scene}: good", file=sys.stderr)
        print(good_table(bench), end="\n\n", flush=True)
        for scene in leaking:
            bench.add_planted(scene)
            print(f"{scene}: planted", file=sys.stderr)
        print(planted_table(bench))


def main(argv: Sequence[str] | None = None) -> int:
    """Measure the scenes of the command line, or all of them."""
    parser = argparse.ArgumentParser(description="Measure the second look at a result.")
    parser.add_argument("scenes", nargs="*", help=", ".join(SCENES))
    parser.add_argument("--leaks", nargs="*", default=LEAKING, help="scenes with planted leaks")
    arguments = parser.parse_args(argv)
    run(arguments.scenes or tuple(SCENES), arguments.leaks)
    return 0


if __name__ == "__main__":
    sys.exit(main())
