"""Pictures that are stored with pixels that are not square, or lying on their side."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

import cv2
import numpy as np

from app.types import Image, Size
from testmedia.scene import Scene
from testmedia.truth import Seen, Truth


@dataclass(frozen=True, slots=True)
class Reshape:
    """How pictures are stored: turned clockwise by ``turns`` quarters, then squeezed.

    ``aspect`` is the width of a stored pixel divided by its height: pictures lose columns if it is
    above 1, and lines if it is below.
    """

    turns: int = 0
    aspect: Fraction = Fraction(1)

    def size(self, size: Size) -> Size:
        """Return the stored size of a picture; its sides are even."""
        width, height = size if self.turns % 2 == 0 else size[::-1]
        across = width / max(self.aspect, Fraction(1))
        down = height * min(self.aspect, Fraction(1))
        return int(across) // 2 * 2, int(down) // 2 * 2

    def picture(self, image: Image) -> Image:
        """Return a picture as it is stored."""
        turned = np.ascontiguousarray(np.rot90(image, -self.turns))
        size = self.size((image.shape[1], image.shape[0]))
        return np.asarray(cv2.resize(turned, size, interpolation=cv2.INTER_AREA), np.uint8)

    def face(self, face: Seen, size: Size) -> Seen:
        """Return a face of a picture of ``size`` in pixels of the stored picture."""
        x1, y1, x2, y2 = face.box
        for _, height in (size, size[::-1], size)[: self.turns]:
            x1, y1, x2, y2 = height - y2, x1, height - y1, x2
        turned = size if self.turns % 2 == 0 else size[::-1]
        stored = self.size(size)
        across, down = stored[0] / turned[0], stored[1] / turned[1]
        return replace(face, box=(x1 * across, y1 * down, x2 * across, y2 * down))


@dataclass(frozen=True, slots=True)
class Reshaped:
    """A scene whose pictures are stored in another shape; see ``testmedia.clip.write_clip``."""

    scene: Scene
    shape: Reshape

    @property
    def size(self) -> Size:
        """The stored size."""
        return self.shape.size(self.scene.size)

    @property
    def aspect(self) -> Fraction:
        """Width of a stored pixel divided by its height."""
        return self.shape.aspect

    def pictures(self) -> Iterator[tuple[Image, tuple[Seen, ...]]]:
        """Yield each stored frame, (h, w, 3) RGB, with its faces."""
        for picture, faces in self.scene.pictures():
            there = tuple(self.shape.face(face, self.scene.size) for face in faces)
            yield self.shape.picture(picture), there

    def truth(self, faces: tuple[Seen, ...]) -> Truth:
        """Return the truth in pixels of the stored frames."""
        return replace(self.scene.truth(faces), size=self.size)
