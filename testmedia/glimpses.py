"""Scenes with glimpses: faces that are visible for a few frames, before a still background."""

import random
from dataclasses import dataclass
from fractions import Fraction

import cv2
import numpy as np

from app.types import Image, Size
from testmedia.photos import BIDEN, GUESTS, OBAMA, OBAMA_SPEAKING, OBAMA_STANDING
from testmedia.scene import Actor, Backdrop, Background, Scene, Shot, keys

PHOTOS = (OBAMA, BIDEN, OBAMA_SPEAKING, OBAMA_STANDING, *GUESTS)
STILL = Background((95, 105, 115), (0.0, 0.0), seed=8)
_ROOM = 12
"""Mean number of frames between two glimpses at random times."""


@dataclass(frozen=True, slots=True)
class Wallpaper:
    """A background of strong detail, in spots of six pixels.

    It moves to the side by ``speed`` pixels per frame.
    """

    speed: float

    def picture(self, size: Size, frame: int) -> Image:
        """Return the image (h, w, 3) RGB at a frame of the shot."""
        random = np.random.default_rng(9)
        spots = random.integers(40, 216, (size[1] // 6, size[0] // 6), np.uint8)
        image = np.asarray(cv2.resize(spots, size, interpolation=cv2.INTER_LINEAR), np.uint8)
        return np.repeat(np.roll(image, round(self.speed * frame), axis=1)[..., None], 3, axis=2)


def glimpses(
    length: int,
    *,
    count: int = 25,
    rate: int = 25,
    every: int | None = None,
    width: int = 90,
    background: Backdrop = STILL,
    seed: int = 1,
) -> Scene:
    """Return a scene of ``count`` glimpses of ``length`` frames each, in 640 x 360.

    Args:
        length: frames for which each face is visible.
        count: number of glimpses.
        rate: frames per second.
        every: frames from one glimpse to the next; default: random times.
        width: width of the faces in pixels.
        background: what is behind the faces.
        seed: of times and places.
    """
    chance = random.Random(seed)
    actors, time = [], 5
    for number in range(count):
        place = chance.uniform(0.15, 0.85) * 640, chance.uniform(0.3, 0.6) * 360
        photo = PHOTOS[number % len(PHOTOS)]
        actors.append(Actor(photo, keys({0: place}), width, enter=time, leave=time + length))
        time += every or length + 2 + chance.randrange(2 * _ROOM)
    shot = Shot(time + 6, tuple(actors), background)
    return Scene((640, 360), (shot,), Fraction(rate))
