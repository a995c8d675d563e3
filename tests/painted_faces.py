"""Frames with squares as faces, a detector that finds them, and a recogniser of their colours.

They replace the models in tests of what the pipeline does with their results.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import cv2
import numpy as np

from app.identity.scale import Scale
from app.pipeline.parts import Parts
from app.plan import ModelRecord, ModelsRecord
from app.types import (
    Boxes,
    Embeddings,
    FaceRecogniser,
    Faces,
    Image,
    Landmarks,
    Luma,
    MediaInfo,
    Plane,
    Region,
    Size,
)

Colour = tuple[int, int, int]
RED, GREEN, BLUE = (220, 20, 20), (20, 220, 20), (20, 20, 220)
Square = tuple[float, float, float, float]
COLOURED = 80
"""Difference between channels from which a pixel belongs to a face: backgrounds are grey."""
PLACES = np.asarray([[0.3, 0.35], [0.7, 0.35], [0.5, 0.55], [0.35, 0.75], [0.65, 0.75]], np.float32)
"""Positions of the landmarks in the box of a face."""


def landmarks_of(box: Boxes) -> Landmarks:
    """Landmarks (5, 2) of a face in a (4,) box."""
    return np.asarray(box[:2] + PLACES * (box[2:] - box[:2]), np.float32)


@dataclass(frozen=True)
class Painted:
    """An image as a frame."""

    index: int
    image: Image
    pts: int = 0
    pixel_aspect: Fraction = Fraction(1)

    @property
    def size(self) -> Size:
        return self.image.shape[1], self.image.shape[0]

    def rgb(self, size: Size | None = None, region: Region | None = None) -> Image:
        x1, y1, x2, y2 = region or (0, 0, *self.size)
        assert 0 <= x1 < x2 <= self.size[0]
        assert 0 <= y1 < y2 <= self.size[1]
        part = self.image[y1:y2, x1:x2]
        if size is None or size == (x2 - x1, y2 - y1):
            return part.copy()
        smaller = size[0] < x2 - x1
        how = cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
        return np.asarray(cv2.resize(part, size, interpolation=how), np.uint8)

    def luma(self, size: Size, region: Region) -> Luma:
        return np.asarray(cv2.cvtColor(self.rgb(size, region), cv2.COLOR_RGB2GRAY), np.float32)

    def quantiser(self, region: Region) -> float | None:
        return None

    def planes(self) -> tuple[Plane, ...]:
        raise AssertionError("an analysis does not write")


def paint(squares: Mapping[Square, Colour], size: Size = (320, 240), level: int = 40) -> Image:
    """A grey image with chequered squares: x1, y1, x2, y2 in whole pixels, clipped."""
    width, height = size
    image = np.full((height, width, 3), level, np.uint8)
    y, x = np.mgrid[:height, :width]
    for (x1, y1, x2, y2), colour in squares.items():
        inside = (x >= x1) & (x < x2) & (y >= y1) & (y < y2)
        dark = ((x - x1) * 8 // max(x2 - x1, 1) + (y - y1) * 8 // max(y2 - y1, 1)) % 2 == 1
        image[inside] = colour
        image[inside & dark] = np.asarray(colour) // 2
    return image


@dataclass
class SquareDetector:
    """Finds coloured squares whose sides are within limits, and records the sizes of its inputs."""

    score: float = 0.9
    smallest: int = 4
    largest: int = 10**6
    width: int = 10**6
    """The best width of the input."""
    inputs: list[Size] = field(default_factory=list)

    def input_size(self, size: Size) -> Size:
        width = min(self.width, size[0])
        return width, max(1, round(size[1] * width / size[0]))

    def detect(self, images: Sequence[Image]) -> list[Faces]:
        self.inputs += [(image.shape[1], image.shape[0]) for image in images]
        return [self._one(image) for image in images]

    def _one(self, image: Image) -> Faces:
        colour = image.max(axis=2).astype(int) - image.min(axis=2)
        mask = np.asarray(colour > COLOURED, np.uint8)
        _, _, stats, _ = cv2.connectedComponentsWithStats(mask)
        boxes = [
            (x, y, x + w, y + h)
            for x, y, w, h, _ in stats[1:].tolist()
            if self.smallest <= min(w, h) and max(w, h) <= self.largest
        ]
        if not boxes:
            return Faces.empty()
        found = np.asarray(boxes, np.float32)
        scores = np.full(len(found), self.score, np.float32)
        return Faces(found, scores, np.stack([landmarks_of(box) for box in found]))


@dataclass
class ColourRecogniser:
    """Distinguishes red, green and blue: the axes of its embeddings."""

    embedded: int = 0
    chip_size: int = 48
    dimension: int = 3

    @property
    def template(self) -> Landmarks:
        return np.asarray(PLACES * 32 + 8, np.float32)

    def embed(self, chips: Sequence[Image]) -> Embeddings:
        self.embedded += len(chips)
        means = [chip[8:40, 8:40].reshape(-1, 3).mean(axis=0) for chip in chips]
        colours = np.asarray(means, np.float32).reshape(-1, 3)
        return np.asarray(
            colours / np.maximum(np.linalg.norm(colours, axis=1, keepdims=True), 1e-6), np.float32
        )


def parts(detector: SquareDetector, recogniser: FaceRecogniser | None = None) -> Parts:
    """Parts without models."""
    nothing = ModelRecord("none", "0" * 64)
    models = ModelsRecord("none", nothing, None)
    return Parts(detector, recogniser, Scale.flat(stranger=0.8, doubtful=0.9, sure=0.94), models)


@dataclass
class PaintedSource:
    """A video of images at 25 frames per second."""

    images: Sequence[Image]

    @property
    def info(self) -> MediaInfo:
        height, width = self.images[0].shape[:2] if self.images else (1, 1)
        count = len(self.images)
        rate = Fraction(25)
        return MediaInfo((width, height), 1 / rate, rate, count / rate, count, is_image=False)

    def __iter__(self) -> Iterator[Painted]:
        for index, image in enumerate(self.images):
            yield Painted(index, image, pts=index)
