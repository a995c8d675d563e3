"""Decide to which track of a plan a face in a frame belongs."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from app.geometry import centres, iou
from app.plan import PlanTrack
from app.types import Boxes
from app.verification.places import Places

_MIN_IOU: Final = 0.2
"""IoU from which a face belongs to a track of the same frame. A box that is off by half a face has
about 0.3 with the face."""
_MIN_IOU_NEARBY: Final = 0.3
"""IoU with the end of a track that is over, or has not begun. Another person may stand there."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The track to which a face belongs.

    ``track`` is None for a face that the plan does not have. ``iou`` is that with its box.
    ``inside`` means that the track has this frame. ``between`` means that tracks to hide end before
    the frame and begin after it, so that the face is expected there.
    """

    track: PlanTrack | None
    iou: float
    inside: bool
    between: bool = False

    @property
    def hidden(self) -> bool:
        """Whether the face belongs to a track to hide."""
        return self.track is not None and self.track.decision == "blur"

    @property
    def kept(self) -> bool:
        """Whether the face belongs to a track that stays visible."""
        return self.track is not None and self.track.decision == "keep"


NOBODY: Final = Owner(None, 0.0, inside=False)


def owner_of(box: Boxes, frame: int, places: Places) -> Owner:
    """Return the owner of a face with this (4,) box in a frame.

    Of the tracks of the frame it is the one that overlaps most. Otherwise it is the nearest one in
    time, before or after the frame; if two are equally near, the one to hide.
    """
    if not len(places.boxes):
        return NOBODY
    shared = iou(box[None], places.boxes)[0]
    centre = centres(box[None])[0]
    holds = ((centre >= places.boxes[:, :2]) & (centre <= places.boxes[:, 2:])).all(axis=1)
    there = np.flatnonzero((places.distance == 0) & ((shared >= _MIN_IOU) | holds))
    if len(there):
        best = int(there[shared[there].argmax()])
        return Owner(places.tracks[best], float(shared[best]), inside=True)
    nearby = np.flatnonzero((places.distance > 0) & (shared >= _MIN_IOU_NEARBY))
    if not len(nearby):
        return NOBODY
    order = sorted(nearby.tolist(), key=lambda i: (places.distance[i], not places.hidden[i]))
    hidden = [places.tracks[i] for i in order if places.hidden[i]]
    between = any(t.last < frame for t in hidden) and any(t.first > frame for t in hidden)
    best = order[0]
    return Owner(places.tracks[best], float(shared[best]), inside=False, between=between)
