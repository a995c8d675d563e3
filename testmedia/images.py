"""Frames without a video, for parts that only read their pixels."""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

import cv2
import numpy as np

from app.types import Image, Luma, Plane, Region, ShotDetector, Size


@dataclass(frozen=True)
class ImageFrame:
    """A frame that has only an index and an image."""

    index: int
    image: Image

    @property
    def pts(self) -> int:
        return self.index * 1000

    @property
    def size(self) -> Size:
        return self.image.shape[1], self.image.shape[0]

    @property
    def pixel_aspect(self) -> Fraction:
        return Fraction(1)

    def rgb(self, size: Size | None = None, region: Region | None = None) -> Image:
        assert region is None
        scaled = cv2.resize(self.image, size or self.size, interpolation=cv2.INTER_AREA)
        return np.asarray(scaled, np.uint8)

    def luma(self, size: Size, region: Region) -> Luma:
        raise AssertionError("a shot detector does not compare regions")

    def quantiser(self, region: Region) -> float | None:
        return None

    def planes(self) -> tuple[Plane, ...]:
        raise AssertionError("a shot detector does not write")


def noise_frames(*shots: tuple[int, int], size: Size = (320, 180)) -> list[ImageFrame]:
    """Return frames of noise, constant within a shot; each shot is ``(seed, frames)``."""
    width, height = size
    images = [
        np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)
        for seed, frames in shots
        for _ in range(frames)
    ]
    smooth = [np.asarray(cv2.blur(image, (31, 31)), np.int16) for image in images]
    # The mean of a large patch of noise is grey: amplify it, or all shots look alike.
    strong = [np.clip((image - 128) * 6 + 128, 0, 255).astype(np.uint8) for image in smooth]
    return [ImageFrame(index, image) for index, image in enumerate(strong)]


def flash(picture: ImageFrame) -> ImageFrame:
    """Return the frame lit by a flash: seven eighths of the way to white."""
    lit = 255 - (255 - picture.image) // 8
    return ImageFrame(picture.index, lit)


def detect(detector: ShotDetector, frames: Iterable[ImageFrame]) -> list[int]:
    """Return all cuts; check that they come in time and in order."""
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
