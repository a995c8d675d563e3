"""Makes the clips that cost is measured with: 1920 x 1080, real faces, any number of frames.

    python bench/clips.py FRAMES OUT.mp4 [--film FILM]

A real film, enlarged and played to and fro, is what is behind; two portraits move before it. Every
200 frames the background jumps to another part of the film, and the people to other places.
"""

import argparse
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import av
import cv2
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "scripts")]

from fetch_media import fetch  # noqa: E402 - lies in scripts/
from media.clip import Clip, write_clip  # noqa: E402 - lies in tests/
from media.photos import BIDEN, OBAMA  # noqa: E402
from media.scene import Actor, Scene, Shot, keys  # noqa: E402

from app.types import Image, Size  # noqa: E402

SIZE = (1920, 1080)
SHOT = 200
"""Frames of a shot."""


@lru_cache(maxsize=2)
def _pictures(film: Path) -> tuple[Image, ...]:
    """The first 300 frames of a small film."""
    out: list[Image] = []
    with av.open(str(film)) as container:
        for frame in container.decode(video=0):
            out.append(np.asarray(frame.to_ndarray(format="rgb24"), np.uint8))
            if len(out) == 300:
                break
    return tuple(out)


@dataclass(frozen=True, slots=True)
class Film:
    """A film as the background: cut to the shape of the picture, enlarged, to and fro."""

    path: Path
    start: int = 0

    def picture(self, size: Size, frame: int) -> Image:
        """(h, w, 3) RGB at a frame of the shot."""
        pictures = _pictures(self.path)
        at = (self.start + frame) % (2 * len(pictures) - 1)
        part = pictures[min(at, 2 * len(pictures) - 2 - at)]
        height, width = part.shape[:2]
        rows = min(height, width * size[1] // size[0])
        top = (height - rows) // 3
        large = cv2.resize(part[top : top + rows], size, interpolation=cv2.INTER_CUBIC)
        return np.asarray(large, np.uint8)


def long_scene(frames: int, film: Path) -> Scene:
    """``frames`` frames in shots of 200."""
    shots = []
    for number, start in enumerate(range(0, frames, SHOT)):
        count = min(SHOT, frames - start)
        side = 1 if number % 2 else -1
        obama = keys({0: (960 - 500 * side, 400), count: (960 - 250 * side, 460)})
        biden = keys({0: (960 + 600 * side, 600), count: (960 + 420 * side, 540)})
        actors = (Actor(OBAMA, obama, 170), Actor(BIDEN, biden, 130))
        shots.append(Shot(count, actors, Film(film, 37 * number)))
    return Scene(SIZE, tuple(shots))


def make(frames: int, output: Path, film: Path | None = None) -> Clip:
    """Write a clip of ``frames`` frames; ``film`` defaults to the man in the car."""
    return write_clip(long_scene(frames, film or fetch("carphone.mp4")), output)


def main() -> int:
    """Make the clip of the command line."""
    parser = argparse.ArgumentParser(description="Make a 1080-line clip with faces.")
    parser.add_argument("frames", type=int)
    parser.add_argument("output", type=Path)
    parser.add_argument("--film", type=Path, help="what is behind (default: the man in the car)")
    arguments = parser.parse_args()
    if arguments.frames < 1:
        parser.error("there must be at least one frame")
    make(arguments.frames, arguments.output, arguments.film)
    print(arguments.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
