"""The places of a plan's tracks in each frame, to tell which track a face belongs to."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.plan import Plan, PlanTrack
from app.types import Boxes

_BUCKET = 64
"""Frames for each entry of the index from frames to tracks."""
REACH = 12
"""Frames before and after a track in which a face at its end may still belong to it. The padding
of three frames hides a face that is lost between two looks; a face that turns away is found again
within half a second, or has become another track."""


@dataclass(frozen=True, slots=True)
class Places:
    """Tracks and their boxes (N, 4) in one frame, in pixels of the stored frame.

    ``hidden`` (N,) says which are hidden, and ``distance`` (N,) how many frames the track ends
    before, or begins after, the frame: 0 inside the track.
    """

    tracks: Sequence[PlanTrack]
    boxes: Boxes
    hidden: NDArray[np.bool_]
    distance: NDArray[np.int64]


class PlanPlaces:
    """The places of all tracks of a plan; the cost of a frame depends on the tracks near it."""

    def __init__(self, plan: Plan) -> None:
        self._index: dict[int, list[PlanTrack]] = {}
        self._borders = np.asarray([end for _, end in plan.shots], np.int64)
        for track in plan.tracks:
            first, last = max(0, track.first - REACH), track.last + REACH
            for bucket in range(first // _BUCKET, last // _BUCKET + 1):
                self._index.setdefault(bucket, []).append(track)

    def shot_of(self, frame: int) -> int:
        """Return the number of the shot of a frame."""
        return int(np.searchsorted(self._borders, frame, side="right"))

    def at(self, frame: int) -> Places:
        """Return the places of a frame: of its own tracks, and of those that end nearby in it."""
        shot = self.shot_of(frame)
        rows: list[tuple[PlanTrack, int]] = []
        for track in self._index.get(frame // _BUCKET, ()):
            distance = max(track.first - frame, frame - track.last, 0)
            if distance == 0 or (distance <= REACH and track.shot == shot):
                rows.append((track, distance))
        boxes = [
            track.boxes[min(max(frame, track.first), track.last) - track.first, 1:]
            for track, _ in rows
        ]
        return Places(
            [track for track, _ in rows],
            np.asarray(boxes, np.float32).reshape(-1, 4),
            np.asarray([track.decision == "blur" for track, _ in rows], np.bool_),
            np.asarray([distance for _, distance in rows], np.int64),
        )
