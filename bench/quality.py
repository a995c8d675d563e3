"""What Face blur leaks and hides too much, on the made clips whose truth is known.

    python bench/quality.py [SCENE...] [--set NAME=VALUE]...

For each scene: the face-frames of Obama that stay visible when his photos are listed, those of
others that are hidden then, and those of anybody that stay visible when everyone is to be hidden.
Faces count as visible when the hidden box, with the margin that an effect adds, leaves more than a
twentieth of them.
"""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "scripts")]

from fetch_media import fetch  # noqa: E402 - lies in scripts/
from media.clip import write_clip  # noqa: E402 - lies in tests/
from media.scenes import SCENES  # noqa: E402
from media.truth import Seen, leaked, spilled  # noqa: E402

from app.config import Settings  # noqa: E402
from app.pipeline import analyse, load_parts, load_people  # noqa: E402

SHARE = 0.95
REFERENCES = ("obama2.jpg", "obama3.jpg")


def people(folder: Path) -> Path:
    """A folder with the reference photos of Obama."""
    (folder / "people" / "obama").mkdir(parents=True)
    for name in REFERENCES:
        shutil.copyfile(fetch(name), folder / "people" / "obama" / name)
    return folder / "people"


def places(faces: list[Seen]) -> str:
    """The first few faces: frame, person, width."""
    return " ".join(f"{face.frame}:{face.person}:{face.width:.0f}px" for face in faces[:4])


def measure(name: str, folder: Path, listed: Settings, everyone: Settings) -> str:
    """One line of the table."""
    clip = write_clip(SCENES[name](), folder / f"{name}.mp4")
    truth, margin = clip.truth, listed.margin
    parts = load_parts(listed)
    gallery = load_people(folder / "people", parts)
    begin = time.process_time()
    plan = analyse(clip.path, listed, parts, gallery)
    cpu = 1000 * (time.process_time() - begin) / truth.frames
    whole = analyse(clip.path, everyone, load_parts(everyone), None)
    leaks = leaked(truth, plan, {"obama"}, share=SHARE, margin=margin)
    spills = spilled(truth, plan, {"obama"})
    missed = leaked(truth, whole, truth.people, share=SHARE, margin=margin)
    faces = list(truth.recognisable())
    listed_faces = sum(face.person == "obama" for face in faces)
    cuts = [first for first, _ in plan.shots[1:]] == list(truth.cuts)
    return (
        f"{name:11} {len(leaks):4}/{listed_faces:<4} {len(spills):4}/{len(faces) - listed_faces:<4}"
        f" {len(missed):4}/{len(faces):<4} {'yes' if cuts else 'NO':>5} {cpu:8.1f}"
        f"  {places(leaks or missed)}"
    )


def main() -> int:
    """Measure the scenes of the command line, or all."""
    parser = argparse.ArgumentParser(description="Leaks and spills on clips with known truth.")
    parser.add_argument("scenes", nargs="*", help=", ".join(SCENES))
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", dest="settings")
    arguments = parser.parse_args()
    unknown = set(arguments.scenes) - set(SCENES)
    if unknown:
        parser.error(f"no scene is named {min(unknown)}; there are {', '.join(SCENES)}")
    chosen = dict(item.split("=", 1) for item in arguments.settings)
    print(f"{'scene':11} {'leaked':>9} {'spilled':>9} {'everyone':>9} {'cuts':>5} {'ms/frame':>8}")
    with tempfile.TemporaryDirectory(prefix="face-blur-bench-") as name:
        folder = Path(name)
        listed, everyone = Settings(people=people(folder), **chosen), Settings(**chosen)
        for scene in arguments.scenes or SCENES:
            print(measure(scene, folder, listed, everyone), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
