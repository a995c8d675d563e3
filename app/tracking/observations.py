"""Observations of faces in single frames, and tracklets: runs of observations of one face."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from app.types import Boxes, Faces, Landmarks

MAX_SPEED_GAP = 12
"""Frames between two observations up to which they still give a speed."""


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """One detected face in one frame. Compared by identity.

    ``box`` (4,) xyxy pixels, ``landmarks`` (5, 2) pixels, ``score`` in 0..1.
    """

    frame: int
    box: Boxes
    score: float
    landmarks: Landmarks


def observe(frame: int, faces: Faces) -> list[Observation]:
    """Return the faces of one frame as observations."""
    return [
        Observation(frame, box, float(score), landmarks)
        for box, score, landmarks in zip(faces.boxes, faces.scores, faces.landmarks, strict=True)
    ]


def boxes_of(observations: Iterable[Observation]) -> Boxes:
    """Return the boxes of observations, (N, 4)."""
    return np.asarray([o.box for o in observations], np.float32).reshape(-1, 4)


@dataclass(slots=True)
class Tracklet:
    """Observations of one face in one shot, sorted by frame; never empty."""

    observations: list[Observation] = field(default_factory=list)

    @property
    def first(self) -> int:
        """Frame of the first observation."""
        return self.observations[0].frame

    @property
    def last(self) -> int:
        """Frame of the last observation."""
        return self.observations[-1].frame

    @property
    def score(self) -> float:
        """The highest detection score."""
        return max(o.score for o in self.observations)

    def predict(self, frame: int) -> Boxes:
        """Return the box (4,) expected at a later frame, at half of the last speed.

        Half, because fast faces usually slow down or turn. The crop around the prediction is large
        enough for both. The box moves by its own longer side at most.
        """
        newest = self.observations[-1]
        if len(self.observations) == 1:
            return newest.box
        previous = self.observations[-2]
        gap = newest.frame - previous.frame
        if gap > MAX_SPEED_GAP:
            return newest.box
        shift = (newest.box - previous.box) * ((frame - newest.frame) / gap / 2)
        limit = float(np.max(newest.box[2:] - newest.box[:2]))
        middle = np.clip((shift[:2] + shift[2:]) / 2, -limit, limit)
        return np.asarray(newest.box + np.tile(middle, 2), np.float32)

    def extrapolate(self, frame: int) -> Boxes | None:
        """Return the box (4,) at an earlier or later frame, at constant speed.

        Return None if the speed is unknown, as that needs two observations close in time.
        """
        if len(self.observations) < 2:
            return None
        near, far = self.observations[-1], self.observations[-2]
        if frame < self.first:
            near, far = self.observations[0], self.observations[1]
        gap = near.frame - far.frame
        if abs(gap) > MAX_SPEED_GAP:
            return None
        shift = (near.box - far.box) * ((frame - near.frame) / gap)
        return np.asarray(near.box + np.tile((shift[:2] + shift[2:]) / 2, 2), np.float32)
