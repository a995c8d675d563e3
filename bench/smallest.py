"""Measure how small a face can be for one detector call on a whole frame.

    python -m bench.smallest

Ten portraits are shown one by one, at four places of a frame. A face is found if a detected box,
enlarged by a fifth on each side as by an effect, covers 95 % of it.
"""

import sys
from itertools import product

import cv2
import numpy as np

from app.config import Settings
from app.geometry import grow
from app.pipeline import load_parts
from app.types import FaceDetector, Size
from testmedia.photos import BIDEN, GUESTS, OBAMA, OBAMA_SPEAKING, OBAMA_STANDING, Photo
from testmedia.scene import Actor, Background, Scene, Shot, keys
from testmedia.truth import covered

PHOTOS = (OBAMA, OBAMA_SPEAKING, OBAMA_STANDING, BIDEN, *GUESTS)
PLACES = ((0.20, 0.30), (0.37, 0.41), (0.54, 0.52), (0.71, 0.63))
SIZES = ((640, 360), (1280, 720), (1920, 1080))
WIDTHS = (12, 16, 20, 24, 28, 32, 40, 48)
LEAST_SCORE = 0.35


def found(
    detector: FaceDetector, photo: Photo, at: tuple[float, float], face: int, size: Size
) -> bool:
    """Return whether one face is found in a frame."""
    place = keys({0: (size[0] * at[0], size[1] * at[1])})
    shot = Shot(1, (Actor(photo, place, face),), Background(seed=int(100 * at[0])))
    picture, seen = next(Scene(size, (shot,)).pictures())
    look = detector.input_size(size)
    small = np.asarray(cv2.resize(picture, look, interpolation=cv2.INTER_AREA), np.uint8)
    faces = detector.detect([small])[0]
    clear = faces.take(np.flatnonzero(faces.scores >= LEAST_SCORE))
    boxes = clear.moved((size[0] / look[0], size[1] / look[1]), (0, 0)).boxes
    return covered(seen[0].box, grow(boxes, 1.4), size) >= 0.95


def main() -> int:
    """Print a row for each frame size."""
    detector = load_parts(Settings()).detector
    total = len(PHOTOS) * len(PLACES)
    print(f"faces found of {total}, by their width in pixels")
    print(f"{'picture':10} {'look':>9}" + "".join(f"{width:5}" for width in WIDTHS))
    for size in SIZES:
        look = detector.input_size(size)
        row = [
            sum(found(detector, *one, width, size) for one in product(PHOTOS, PLACES))
            for width in WIDTHS
        ]
        print(
            f"{size[0]:4} x {size[1]:<4} {look[0]:4} x {look[1]:<4}"
            + "".join(f"{n:5}" for n in row)
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
