"""Make the media for scripts/smoke.py: a video of two people, photos of one, and the faces' boxes.

python -m testmedia.smoke_media FOLDER
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
"""Photos of the listed person; the video shows another one."""


def scene() -> Scene:
    """Two people side by side, who move a little."""
    obama = Actor(OBAMA, keys({0: (170, 150), 29: (200, 160)}), 80)
    biden = Actor(BIDEN, keys({0: (470, 170), 29: (450, 160)}), 80)
    return Scene((640, 360), (Shot(30, (obama, biden)),))


def main() -> int:
    """Write the media to the folder of the command line."""
    parser = argparse.ArgumentParser(description="Make the media for the smoke test of the image.")
    parser.add_argument("folder", type=Path, help="folder for the media")
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
