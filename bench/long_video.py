"""Make videos for measuring cost: real faces, any size, any number of frames.

    python -m bench.long_video FRAMES OUT.mp4 [--background VIDEO] [--lines 1080] [--crowd]

The background is a real video, enlarged and played forwards and backwards; two portraits move in
front of it, or eight with --crowd. Every 200 frames there is a cut to another, mirrored part of the
background, with the people in other places.
"""

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import av
import cv2
import numpy as np

from app.types import Image, Size
from testmedia.clip import Clip, write_clip
from testmedia.fetch import fetch
from testmedia.photos import BIDEN, GUESTS, OBAMA, Photo
from testmedia.scene import Actor, Scene, Shot, keys

SIZE = (1920, 1080)
SHOT = 200
"""Frames of a shot."""


@lru_cache(maxsize=2)
def _images(video: Path) -> tuple[Image, ...]:
    """Return the first 300 frames of a small video."""
    out: list[Image] = []
    with av.open(str(video)) as container:
        for frame in container.decode(video=0):
            out.append(np.asarray(frame.to_ndarray(format="rgb24"), np.uint8))
            if len(out) == 300:
                break
    return tuple(out)


@dataclass(frozen=True, slots=True)
class VideoBackdrop:
    """A video as the background: cropped to the aspect ratio, enlarged, forwards and backwards.

    ``negative`` mirrors and inverts it, which makes a cut.
    """

    path: Path
    start: int = 0
    negative: bool = False

    def picture(self, size: Size, frame: int) -> Image:
        """Return the image (h, w, 3) RGB at a frame of the shot."""
        images = _images(self.path)
        at = (self.start + frame) % (2 * len(images) - 1)
        part = images[min(at, 2 * len(images) - 2 - at)]
        height, width = part.shape[:2]
        rows = min(height, width * size[1] // size[0])
        top = (height - rows) // 3
        large = cv2.resize(part[top : top + rows], size, interpolation=cv2.INTER_CUBIC)
        return np.asarray(255 - large[:, ::-1] if self.negative else large, np.uint8)


def long_scene(
    frames: int,
    background: Path,
    size: Size = SIZE,
    *,
    crowd: bool = False,
    half: bool = False,
    shot: int = SHOT,
) -> Scene:
    """Return a scene of ``frames`` frames in shots of ``shot``; people scale with the frame size.

    With ``half``, Obama is only in every other shot.
    """
    shots = []
    for number, start in enumerate(range(0, frames, shot)):
        count = min(shot, frames - start)
        side = 1 if number % 2 else -1
        actors = _pair(count, side, size[1] / SIZE[1])
        if half and number % 2:
            actors = actors[1:]
        if crowd:
            actors += _guests(count, side, size[1] / SIZE[1])
        shots.append(
            Shot(count, actors, VideoBackdrop(background, 37 * number, negative=number % 2 == 1))
        )
    return Scene(size, tuple(shots))


def _pair(count: int, side: int, scale: float) -> tuple[Actor, ...]:
    """Return two people who walk towards each other."""
    obama = {0: (960 - 500 * side, 400), count: (960 - 250 * side, 460)}
    biden = {0: (960 + 600 * side, 600), count: (960 + 420 * side, 540)}
    return _walker(OBAMA, 170, obama, scale), _walker(BIDEN, 130, biden, scale)


def _guests(count: int, side: int, scale: float) -> tuple[Actor, ...]:
    """Return six people who walk along the top and the bottom."""
    actors = []
    for number, photo in enumerate(GUESTS):
        x, y = 200 + 300 * number, 150 if number % 2 else 880
        way = {0: (x, y), count: (x + 120 * side * (-1) ** number, y + 20)}
        actors.append(_walker(photo, 90 + 6 * number, way, scale))
    return tuple(actors)


def _walker(
    photo: Photo, width: float, way: Mapping[int, tuple[float, float]], scale: float
) -> Actor:
    """Return a person on a path given for 1080 lines, scaled to the frame size."""
    path = {frame: (x * scale, y * scale) for frame, (x, y) in way.items()}
    return Actor(photo, keys(path), width * scale)


def make(
    frames: int,
    output: Path,
    background: Path | None = None,
    size: Size = SIZE,
    *,
    crowd: bool = False,
    half: bool = False,
) -> Clip:
    """Write a video of ``frames`` frames; ``background`` defaults to the man in the car."""
    scene = long_scene(frames, background or fetch("carphone.mp4"), size, crowd=crowd, half=half)
    return write_clip(scene, output)


def main() -> int:
    """Make the video of the command line."""
    parser = argparse.ArgumentParser(description="Make a video with faces.")
    parser.add_argument("frames", type=int)
    parser.add_argument("output", type=Path)
    parser.add_argument(
        "--background", type=Path, help="background video (default: the man in the car)"
    )
    parser.add_argument("--lines", type=int, default=SIZE[1], help="height of a frame")
    parser.add_argument("--crowd", action="store_true", help="eight people instead of two")
    parser.add_argument("--half", action="store_true", help="Obama only in every other shot")
    arguments = parser.parse_args()
    if arguments.frames < 1:
        parser.error("FRAMES must be at least 1")
    size = (arguments.lines * 16 // 9 // 2 * 2, arguments.lines)
    make(
        arguments.frames,
        arguments.output,
        arguments.background,
        size,
        crowd=arguments.crowd,
        half=arguments.half,
    )
    print(arguments.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
