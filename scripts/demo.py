"""The demo: hide faces in two videos with the real command, and print where to look.

    python -m scripts.demo FOLDER

The first video is real: a man talks in a car, and a point selects his face. The second one is
synthetic: portraits of two people move over a background. One of them is hidden, with two other
photos as references.
"""

import argparse
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from app.contact_sheet import contact_sheet, save_png
from app.errors import FaceBlurError
from app.plan import Plan, read_plan
from app.video import open_source
from testmedia.clip import write_clip
from testmedia.fetch import fetch
from testmedia.photos import BIDEN, OBAMA
from testmedia.scene import Actor, Background, Scene, Shot, keys, ramp

REFERENCES = ("obama2.jpg", "obama3.jpg")
MAN = "0,80,70"
"""A point in the man's face: frame, x, y."""


@dataclass(frozen=True, slots=True)
class Job:
    """One video of the demo, with a title and options of the command."""

    what: str
    source: Path
    options: tuple[str, ...]

    def beside(self, ending: str) -> Path:
        """Return the path of a file named after the video."""
        return self.source.with_name(self.source.stem + ending)

    def command(self) -> list[str]:
        """Return the command that hides the faces."""
        out = ["face-blur", "blur", str(self.source), "-o", str(self.beside("-hidden.mp4"))]
        out += ["--plan", str(self.beside("-plan.json")), "--overwrite"]
        return [*out, *self.options]


def meeting() -> Scene:
    """Two people pass each other; after a cut one comes close and the other stands aside."""
    first = Shot(
        90,
        (
            Actor(BIDEN, keys({0: (560, 150), 30: (430, 160), 89: (110, 150)}), 62),
            Actor(OBAMA, keys({0: (-60, 180), 40: (200, 170), 89: (480, 175)}), 72),
        ),
        Background((90, 110, 130), (1.0, 0.5), seed=7),
    )
    second = Shot(
        60,
        (
            Actor(BIDEN, keys({0: (520, 140), 59: (560, 150)}), 54),
            Actor(OBAMA, keys({0: (200, 150), 59: (230, 180)}), ramp({0: 50, 59: 130})),
        ),
        Background((70, 120, 90), (-1.0, 0.0), seed=8),
    )
    return Scene((640, 360), (first, second))


def prepare(folder: Path) -> list[Job]:
    """Write the videos and the reference photos to the folder."""
    people = folder / "people"
    (people / "obama").mkdir(parents=True, exist_ok=True)
    for name in REFERENCES:
        shutil.copyfile(fetch(name), people / "obama" / name)
    carphone, two = folder / "carphone.mp4", folder / "meeting.mp4"
    shutil.copyfile(fetch("carphone.mp4"), carphone)
    write_clip(meeting(), two)
    return [
        Job("a man in a car: a point selects his face", carphone, ("--select", MAN)),
        Job(
            "two people: the one with reference photos is hidden",
            two,
            ("--people", str(people)),
        ),
    ]


def hide(job: Job) -> Plan:
    """Run the command, and draw the contact sheet of its result."""
    command = job.command()
    print(f"\n{job.what}\n$ {shlex.join(command)}", flush=True)
    program = Path(sys.executable).with_name(command[0])
    subprocess.run([program, *command[1:]], check=True)
    plan = read_plan(job.beside("-plan.json"))
    before, after = open_source(job.source), open_source(job.beside("-hidden.mp4"))
    save_png(contact_sheet(before, after, plan), job.beside("-sheet.png"))
    return plan


def summary(job: Job, plan: Plan) -> str:
    """Return the number of hidden faces, and where to look."""
    hidden = [track for track in plan.tracks if track.decision == "blur"]
    times = sum(track.last - track.first + 1 for track in hidden)
    lines = [
        f"{job.what}",
        f"  {len(plan.tracks)} tracks, {len(hidden)} of them hidden",
        f"  {times} faces hidden in {plan.source.frames} frames",
        f"  result         {job.beside('-hidden.mp4')}",
        f"  plan           {job.beside('-plan.json')}",
        f"  contact sheet  {job.beside('-sheet.png')}",
    ]
    return "\n".join(lines)


def main() -> int:
    """Run the demo in the folder of the command line; return 0 on success."""
    parser = argparse.ArgumentParser(
        description="Hide faces in two videos, and print where to look."
    )
    parser.add_argument("folder", type=Path, help="folder for videos, results and contact sheets")
    folder: Path = parser.parse_args().folder
    try:
        jobs = prepare(folder)
        summaries = [summary(job, hide(job)) for job in jobs]
    except FaceBlurError as error:
        print(f"demo: error: {error}", file=sys.stderr)
        return error.exit_code
    except subprocess.CalledProcessError as error:  # the command printed the reason
        return error.returncode
    print("\n" + "\n\n".join(summaries))
    return 0


if __name__ == "__main__":
    sys.exit(main())
