"""Makes what scripts/smoke.py needs: a clip of two people, photos of one, and who is where.

python -m scripts.smoke_media FOLDER
"""

import argparse
import json
import shutil
import sys
from pathlib import Path

from testmedia.clip import write_clip
from testmedia.fetch import fetch
from testmedia.photos import BIDEN, OBAMA
from testmedia.scene import Actor, Scene, Shot, keys

REFERENCES = ("obama2.jpg", "obama3.jpg")
"""Photos of the listed person, other ones than the one that the clip shows."""


def scene() -> Scene:
    """Two people side by side, who move a little."""
    obama = Actor(OBAMA, keys({0: (170, 150), 29: (200, 160)}), 80)
    biden = Actor(BIDEN, keys({0: (470, 170), 29: (450, 160)}), 80)
    return Scene((640, 360), (Shot(30, (obama, biden)),))


def main() -> int:
    """Fill the folder that is named."""
    parser = argparse.ArgumentParser(description="Make what the smoke test of the image needs.")
    parser.add_argument("folder", type=Path, help="where to put it")
    folder: Path = parser.parse_args().folder
    truth = write_clip(scene(), folder / "clip.mp4").truth
    listed = folder / "people" / "obama"
    listed.mkdir(parents=True)
    for name in REFERENCES:
        shutil.copyfile(fetch(name), listed / name)
    faces = [[face.frame, face.person, *face.box] for face in truth.faces]
    text = json.dumps({"listed": "obama", "frames": truth.frames, "faces": faces})
    (folder / "truth.json").write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
