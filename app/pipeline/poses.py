"""Poses: ways to show a picture to the detector, for faces that lie on their side or are squeezed.

A detector finds upright faces of natural shape. A video that was recorded on its side or upside
down, without a tag that says so, shows none. So a picture may be shown in several poses, and the
faces of all of them are brought back. Their landmarks say which way is up, so that chips are
upright without any further step.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import cv2
import numpy as np

from app.types import Boxes, FaceDetector, Faces, Image, Landmarks, Size


@dataclass(frozen=True, slots=True)
class Pose:
    """How a picture is changed before detection: its width is stretched, then it is turned.

    ``turns`` are quarter turns clockwise, 0 to 3. ``stretch`` multiplies the width.
    """

    turns: int = 0
    stretch: float = 1.0

    def show(self, image: Image) -> Image:
        """Return a picture in this pose."""
        if self.stretch != 1:
            size = (max(1, round(image.shape[1] * self.stretch)), image.shape[0])
            image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        return np.ascontiguousarray(np.rot90(image, -self.turns))

    def back(self, faces: Faces, size: Size) -> Faces:
        """Return the faces of the shown picture in pixels of the picture of ``size``."""
        width, height = max(1, round(size[0] * self.stretch)), size[1]
        corners = self._turned_back(faces.boxes.reshape(-1, 2, 2), (width, height))
        low, high = corners.min(axis=1, initial=np.inf), corners.max(axis=1, initial=-np.inf)
        boxes: Boxes = np.concatenate([low, high], axis=1).astype(np.float32)
        landmarks = self._turned_back(faces.landmarks, (width, height))
        return Faces(boxes, faces.scores, landmarks).moved((size[0] / width, 1.0), (0.0, 0.0))

    def _turned_back(self, points: Landmarks, size: Size) -> Landmarks:
        """Turn points (N, K, 2) of the turned picture back; ``size`` is that before the turn."""
        x, y = points[..., 0], points[..., 1]
        width, height = size
        turned = {
            0: (x, y),
            1: (y, height - x),
            2: (width - x, height - y),
            3: (width - y, x),
        }[self.turns]
        return np.stack(turned, axis=-1).astype(np.float32)


UPRIGHT: Final = Pose()
Poses: TypeAlias = tuple[Pose, ...]
ROTATIONS: Final[dict[str, Poses]] = {
    "auto": (UPRIGHT,),
    "none": (UPRIGHT,),
    "90": (Pose(turns=1),),
    "180": (Pose(turns=2),),
    "270": (Pose(turns=3),),
}
"""The poses of whole runs by the setting ``rotate``."""


def detect_in_poses(
    detector: FaceDetector, images: Sequence[Image], poses: Poses
) -> list[list[Faces]]:
    """Return the faces of each image in each pose, in pixels of the image."""
    if poses == (UPRIGHT,):
        return [[faces] for faces in detector.detect(images)]
    shown = [pose.show(image) for image in images for pose in poses]
    results = iter(detector.detect(shown))
    return [
        [pose.back(next(results), (image.shape[1], image.shape[0])) for pose in poses]
        for image in images
    ]
