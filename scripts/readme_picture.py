"""Draw docs/images/demo.jpg, the picture of the README: a contact sheet of a synthetic clip.

    python -m scripts.readme_picture [OUTPUT]

Two portraits in the public domain move over a painted background: the official portrait of Barack
Obama (2012), and NASA's portrait of Eileen Collins, which comes with scikit-image. The program gets
two other photos of Obama, and hides him and not her.
"""

import argparse
import shutil
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from PIL import Image

import app
from app.contact_sheet import contact_sheet
from app.video import open_source
from testmedia.clip import write_clip
from testmedia.fetch import fetch
from testmedia.photos import OBAMA, Photo
from testmedia.scene import Actor, Background, Scene, Shot, keys, ramp

REFERENCES = ("obama2.jpg", "obama3.jpg")
COLLINS_FACE = (182, 61, 271, 178)
"""x1, y1, x2, y2 in pixels of the portrait, as found by CenterFace."""
OUTPUT = Path(__file__).parents[1] / "docs" / "images" / "demo.jpg"


def collins() -> Photo:
    """The portrait of Eileen Collins in the installed scikit-image."""
    found = find_spec("skimage")
    if found is None or found.origin is None:
        raise app.UsageError("scikit-image is not installed; run make setup")
    portrait = Path(found.origin).with_name("data") / "astronaut.png"
    return Photo("collins", str(portrait), COLLINS_FACE)


def scene() -> Scene:
    """Two people pass each other, and one of them comes closer."""
    actors = (
        Actor(collins(), keys({0: (510, 150), 30: (430, 165), 89: (150, 160)}), 68),
        Actor(OBAMA, keys({0: (110, 180), 40: (230, 175), 89: (490, 185)}), ramp({0: 66, 89: 96})),
    )
    return Scene((640, 360), (Shot(90, actors, Background((90, 110, 130), (1.0, 0.5), seed=7)),))


def draw(folder: Path, output: Path) -> app.Plan:
    """Make the clip in ``folder``, hide the listed person, and write the contact sheet."""
    people = folder / "people" / "obama"
    people.mkdir(parents=True)
    for name in REFERENCES:
        shutil.copyfile(fetch(name), people / name)
    clip, hidden = folder / "clip.mp4", folder / "hidden.mp4"
    write_clip(scene(), clip)
    plan = app.FaceBlur(app.Settings(people=people.parent)).blur(clip, hidden)
    sheet = contact_sheet(
        open_source(clip), open_source(hidden), plan, frames=3, columns=1, width=400
    )
    Image.fromarray(sheet).save(output, quality=88)
    return plan


def main() -> int:
    """Write the picture; 0 if it was written."""
    parser = argparse.ArgumentParser(description="Draw the contact sheet of the README.")
    parser.add_argument("output", type=Path, nargs="?", default=OUTPUT, help="a JPEG to write")
    output: Path = parser.parse_args().output
    try:
        with tempfile.TemporaryDirectory() as folder:
            plan = draw(Path(folder), output)
    except app.FaceBlurError as error:
        print(f"readme_picture: error: {error}", file=sys.stderr)
        return error.exit_code
    for track in plan.tracks:
        print(track.id, track.first, track.last, track.person, track.decision, track.reason)
    return 0


if __name__ == "__main__":
    sys.exit(main())
