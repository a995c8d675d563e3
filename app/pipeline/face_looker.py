"""Looks at frames for the tracker: whole pictures, coarse ones, and crops around a place."""

import math
from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from app.errors import FaceBlurError
from app.geometry import grow, inside, suppress_overlaps
from app.tracking.patch_similarity import correlation, patch
from app.types import Boxes, FaceDetector, Faces, Frame, Image, Size

CROP = 160
"""Side of a crop's input in pixels; a tenth of the cost of a whole picture or less."""
ROOM = 2.5
"""Side of the crop over the longer side of the box: the face is then about 64 pixels in it, a
size that the detector is good at whatever the size of the face in the picture."""
GLANCE = 2
"""A glance sees the input of a whole look at this fraction of its size."""
COARSE = 3
"""Every whole picture is looked at again at this fraction of its size: faces that fill the
picture are missed at full size."""
LARGE = 96
"""Sides in pixels of the whole input from which a face of the coarse look counts."""
DUPLICATE = 0.4
"""IoU from which two boxes of one frame are one face seen twice."""


class PictureLooker:
    """The looker of ``app.tracking`` over the frames that are at hand.

    ``frames`` is shared with whoever adds and drops them.
    """

    def __init__(self, detector: FaceDetector, frames: dict[int, Frame]) -> None:
        self._detector = detector
        self._frames = frames

    def whole(self, frame: int) -> Faces:
        """Every face of the frame, large and small."""
        picture = self._frames[frame]
        size = self._detector.input_size(picture.size)
        image = picture.rgb(size)
        small = tuple(max(1, side // COARSE) for side in size)
        coarse = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
        fine, huge = self._detector.detect([image, np.asarray(coarse, np.uint8)])
        huge = scaled(huge, (small[0], small[1]), size)
        sides = huge.boxes[:, 2:] - huge.boxes[:, :2]
        faces = once([fine, huge.take(np.flatnonzero(sides.min(axis=1, initial=1e9) >= LARGE))])
        return scaled(faces, size, picture.size)

    def glance(self, frame: int) -> Faces:
        """The larger faces of the frame."""
        picture = self._frames[frame]
        width, height = self._detector.input_size(picture.size)
        size = max(1, width // GLANCE), max(1, height // GLANCE)
        (faces,) = self._detector.detect([picture.rgb(size)])
        return scaled(faces, size, picture.size)

    def likeness(self, first: int, boxes: Boxes) -> NDArray[np.float32]:
        """How alike the places of neighbouring boxes are: see ``app.tracking.sampling``."""
        patches = [
            patch(self._frames[frame], box) if frame in self._frames else None
            for frame, box in enumerate(boxes, first)
        ]
        alike = [1.0 if a is None or b is None else correlation(a, b) for a, b in pairwise(patches)]
        return np.asarray(alike, np.float32)

    def around(self, frame: int, boxes: Boxes, reach: float = 1.0) -> Faces:
        """Faces near the (N, 4) boxes, each once; ``reach`` widens the crops."""
        picture = self._frames[frame]
        crops = [crop for box in boxes if (crop := Crop.around(picture, box, reach)) is not None]
        found = self._detector.detect([crop.image for crop in crops])
        return once([c.in_picture(f) for c, f in zip(crops, found, strict=True)])


class Crop:
    """A square cut out of a picture around a face, black where it overhangs the picture."""

    def __init__(self, image: Image, scale: float, corner: tuple[float, float]) -> None:
        self.image = image
        self._scale = scale
        self._corner = corner

    @classmethod
    def around(cls, picture: Frame, box: Boxes, reach: float = 1.0) -> "Crop | None":
        """The crop around a (4,) box, or None when it lies outside the picture."""
        side = max(float((box[2:] - box[:2]).max()), 4.0) * ROOM * reach
        middle = (box[:2] + box[2:]) / 2
        corner = (float(middle[0]) - side / 2, float(middle[1]) - side / 2)
        square = np.asarray([*corner, corner[0] + side, corner[1] + side], np.float32)
        region = inside(square, picture.size)
        if region is None:
            return None
        scale = CROP / side
        x1, y1, x2, y2 = region
        width = max(1, min(CROP, round((x2 - x1) * scale)))
        height = max(1, min(CROP, round((y2 - y1) * scale)))
        left = min(max(0, round((x1 - corner[0]) * scale)), CROP - width)
        top = min(max(0, round((y1 - corner[1]) * scale)), CROP - height)
        image = np.zeros((CROP, CROP, 3), np.uint8)
        image[top : top + height, left : left + width] = picture.rgb((width, height), region)
        return cls(image, scale, corner)

    def in_picture(self, faces: Faces) -> Faces:
        """Faces of the crop in pixels of the picture, without those that its border cuts."""
        middle = (faces.boxes[:, :2] + faces.boxes[:, 2:]) / 2
        central = (np.abs(middle - CROP / 2) < CROP / 4).all(axis=1)
        whole = (faces.boxes > 2).all(axis=1) & (faces.boxes < CROP - 2).all(axis=1)
        kept = faces.take(np.flatnonzero(central | whole))
        return kept.moved((1 / self._scale, 1 / self._scale), self._corner)


def scaled(faces: Faces, seen: Size, size: Size) -> Faces:
    """Faces found in an input of size ``seen``, in pixels of a picture of ``size``."""
    return faces.moved((size[0] / seen[0], size[1] / seen[1]), (0, 0))


def once(found: Sequence[Faces]) -> Faces:
    """All faces of several looks at one frame, each face once, by its best score."""
    some = [faces for faces in found if len(faces)]
    if not some:
        return Faces.empty()
    faces = Faces(
        np.concatenate([f.boxes for f in some]),
        np.concatenate([f.scores for f in some]),
        np.concatenate([f.landmarks for f in some]),
    )
    return faces.take(suppress_overlaps(faces.boxes, faces.scores, DUPLICATE))


def face_picture(picture: Frame, box: Boxes, side: int) -> tuple[Image, float, tuple[int, int]]:
    """The surroundings of a (4,) box as RGB, the face about ``side`` pixels large or smaller.

    Returns the image, its scale, and the picture's pixel at its corner.

    Raises:
        FaceBlurError: the box lies outside the picture.
    """
    region = inside(grow(box[None], 2.0)[0], picture.size)
    if region is None:
        raise FaceBlurError(f"frame {picture.index}: a face outside the picture has no chip")
    x1, y1, x2, y2 = region
    longest = float((box[2:] - box[:2]).max())
    scale = min(1.0, side / longest)
    size = math.ceil((x2 - x1) * scale), math.ceil((y2 - y1) * scale)
    return picture.rgb(size, region), scale, (x1, y1)
