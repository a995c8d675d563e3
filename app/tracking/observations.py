"""What is seen of faces: single observations, and trails of observations of one face."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from app.types import Boxes, Faces, Landmarks

STEADY = 12
"""Observations further apart than this many frames say nothing about the present speed."""


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """One face as a detector saw it in one frame. Compared by identity.

    ``box`` (4,) xyxy pixels, ``landmarks`` (5, 2) pixels, ``score`` in 0..1.
    """

    frame: int
    box: Boxes
    score: float
    landmarks: Landmarks


def observe(frame: int, faces: Faces) -> list[Observation]:
    """The faces of one frame as observations."""
    return [
        Observation(frame, box, float(score), landmarks)
        for box, score, landmarks in zip(faces.boxes, faces.scores, faces.landmarks, strict=True)
    ]


def boxes_of(observations: Iterable[Observation]) -> Boxes:
    """Boxes of observations, (N, 4)."""
    return np.asarray([o.box for o in observations], np.float32).reshape(-1, 4)


@dataclass(slots=True)
class Trail:
    """Observations of one face in one shot, in order of time; never empty."""

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
        """The best score of any observation."""
        return max(o.score for o in self.observations)

    def predicted(self, frame: int) -> Boxes:
        """Where the box (4,) is expected at a later frame: it keeps half of its speed.

        Half, because faces that move fast mostly slow down or turn; the look around the
        prediction has room for both.
        """
        newest = self.observations[-1]
        if len(self.observations) == 1:
            return newest.box
        before = self.observations[-2]
        gap = newest.frame - before.frame
        if gap > STEADY:
            return newest.box
        shift = (newest.box - before.box) * ((frame - newest.frame) / gap / 2)
        limit = float(np.max(newest.box[2:] - newest.box[:2]))
        middle = np.clip((shift[:2] + shift[2:]) / 2, -limit, limit)
        return np.asarray(newest.box + np.tile(middle, 2), np.float32)

    def coasting(self, frame: int) -> Boxes | None:
        """Where the box (4,) would be at a frame before or after at an unchanging speed.

        None where the speed is not known: two observations that are near each other tell it.
        """
        if len(self.observations) < 2:
            return None
        near, far = self.observations[-1], self.observations[-2]
        if frame < self.first:
            near, far = self.observations[0], self.observations[1]
        gap = near.frame - far.frame
        if abs(gap) > STEADY:
            return None
        shift = (near.box - far.box) * ((frame - near.frame) / gap)
        return np.asarray(near.box + np.tile((shift[:2] + shift[2:]) / 2, 2), np.float32)
