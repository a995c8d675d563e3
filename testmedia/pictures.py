"""Frames made of nothing but their pixels, for parts that only read them."""

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np

from app.types import Image, Luma, Plane, Region, ShotDetector, Size


@dataclass(frozen=True)
class Picture:
    """A frame that is nothing but its pixels."""

    index: int
    image: Image

    @property
    def pts(self) -> int:
        return self.index * 1000

    @property
    def size(self) -> Size:
        return self.image.shape[1], self.image.shape[0]

    def rgb(self, size: Size | None = None, region: Region | None = None) -> Image:
        assert region is None
        scaled = cv2.resize(self.image, size or self.size, interpolation=cv2.INTER_AREA)
        return np.asarray(scaled, np.uint8)

    def luma(self, size: Size, region: Region) -> Luma:
        raise AssertionError("a shot detector compares no places")

    def quantiser(self, region: Region) -> float | None:
        return None

    def planes(self) -> tuple[Plane, ...]:
        raise AssertionError("a shot detector does not write")


def pictures(*shots: tuple[int, int], size: Size = (320, 180)) -> list[Picture]:
    """Noise that stays the same through a shot: ``(seed, frames)`` of each."""
    width, height = size
    images = [
        np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)
        for seed, frames in shots
        for _ in range(frames)
    ]
    smooth = [np.asarray(cv2.blur(image, (31, 31)), np.int16) for image in images]
    # The mean of a large patch of noise is grey: spread it out again, or all shots look the same.
    strong = [np.clip((image - 128) * 6 + 128, 0, 255).astype(np.uint8) for image in smooth]
    return [Picture(index, image) for index, image in enumerate(strong)]


def flash(picture: Picture) -> Picture:
    """The picture in the light of a flash: seven eighths of the way to white."""
    lit = 255 - (255 - picture.image) // 8
    return Picture(picture.index, lit)


def detect(detector: ShotDetector, frames: Iterable[Picture]) -> list[int]:
    """All cuts, checked to be told in time and in order."""
    cuts: list[int] = []
    last = -1
    for frame in frames:
        last = frame.index
        for cut in detector.push(frame):
            assert last - detector.latency <= cut <= last
            cuts.append(cut)
    cuts += detector.flush()
    assert cuts == sorted(set(cuts))
    assert not cuts or 0 < cuts[0] <= cuts[-1] <= last
    return cuts
