"""Make the media for scripts/pipeline_local.py: videos of two people, photos of one, and the truth.

python -m testmedia.pipeline_media FOLDER
"""

import argparse
import json
import shutil
import sys
from pathlib import Path

from testmedia.clip import Clip, write_clip
from testmedia.fetch import fetch
from testmedia.photos import BIDEN, OBAMA
from testmedia.scene import Actor, Background, Scene, Shot, keys
from testmedia.smoke_media import REFERENCES

SHOT_FRAMES = 24


def short() -> Scene:
    """Two people in one shot: there is no cut to split at."""
    return Scene((480, 270), (_shot(12, (130, 350), 0),))


def long() -> Scene:
    """Six shots, in which the two people change places."""
    places = [(120, 340), (350, 130), (150, 330), (340, 110), (130, 350), (350, 150)]
    shots = [_shot(SHOT_FRAMES, at, number) for number, at in enumerate(places)]
    return Scene((480, 270), tuple(shots))


def _shot(frames: int, at: tuple[int, int], number: int) -> Shot:
    obama, biden = at
    path = keys({0: (obama, 115), frames - 1: (obama + 15, 125)})
    other = keys({0: (biden, 125), frames - 1: (biden - 10, 120)})
    actors = (Actor(OBAMA, path, 62), Actor(BIDEN, other, 62))
    # Another colour for each shot, so that its cuts are cuts.
    colour = [(90, 110, 130), (150, 90, 70), (60, 130, 80)][number % 3]
    return Shot(frames, actors, Background(colour, seed=number))


def main() -> int:
    """Write the media to the folder of the command line."""
    parser = argparse.ArgumentParser(description="Make the media for the pipeline.")
    parser.add_argument("folder", type=Path, help="folder for the media")
    folder: Path = parser.parse_args().folder
    videos = folder / "input"
    videos.mkdir(parents=True)
    clips = {name: write_clip(scene, videos / name) for name, scene in _SCENES.items()}
    whole = clips["long.mp4"].path.read_bytes()
    (videos / "broken.mp4").write_bytes(whole[: len(whole) // 2])
    listed = folder / "people" / "obama"
    listed.mkdir(parents=True)
    for name in REFERENCES:
        shutil.copyfile(fetch(name), listed / name)
    truth = {name: _truth(clip) for name, clip in clips.items()}
    text = json.dumps({"listed": "obama", "videos": truth})
    (folder / "truth.json").write_text(text, encoding="utf-8")
    return 0


def _truth(clip: Clip) -> dict[str, object]:
    faces = clip.truth.recognisable(visible=1)
    return {
        "frames": clip.truth.frames,
        "faces": [[face.frame, face.person, *face.box] for face in faces],
    }


_SCENES = {"short.mp4": short(), "long.mp4": long()}


if __name__ == "__main__":
    sys.exit(main())
