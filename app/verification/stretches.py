"""Group what was seen in single frames into stretches of one face."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from app.geometry import iou
from app.plan import PlanTrack
from app.plan.records import Rows
from app.verification.examiner import Sighting

_MAX_GAP: Final = 4
"""Frames from one sighting to the next in a stretch: the detector may miss a face in between."""
_MIN_IOU: Final = 0.2
"""IoU of two neighbouring sightings of one face that the plan does not have."""


@dataclass(slots=True, eq=False)
class Stretch:
    """Sightings of one kind and one face, in rising frames."""

    kind: str
    track: PlanTrack | None
    sightings: list[Sighting] = field(default_factory=list)

    @property
    def first(self) -> int:
        """The first frame."""
        return self.sightings[0].frame

    @property
    def last(self) -> int:
        """The last frame."""
        return self.sightings[-1].frame

    @property
    def measure(self) -> float:
        """The highest measure."""
        return max(one.measure for one in self.sightings)

    @property
    def rows(self) -> Rows:
        """Frame and place of each sighting, (n, 5), in pixels of the stored frame."""
        rows = [[one.frame, *one.stored.tolist()] for one in self.sightings]
        return np.asarray(rows, np.float32)

    def continues(self, other: Sighting) -> bool:
        """Return whether a sighting is the next one of this stretch."""
        newest = self.sightings[-1]
        if other.kind != self.kind or not 0 < other.frame - newest.frame <= _MAX_GAP:
            return False
        if self.track is not None and self.track is other.track:
            return True
        if self.kind == "readable":
            return False
        # In a gap between two tracks, the nearer one changes.
        return bool(iou(newest.stored[None], other.stored[None])[0, 0] >= _MIN_IOU)


class Stretches:
    """Collects sightings; a frame costs as much as there are stretches that may go on."""

    def __init__(self) -> None:
        self.ended: list[Stretch] = []
        self._open: list[Stretch] = []

    def add(self, frame: int, sightings: Sequence[Sighting]) -> list[tuple[Stretch, Sighting]]:
        """Add the sightings of the next frame; return the stretch of each."""
        over = [one for one in self._open if frame - one.last > _MAX_GAP]
        self.ended += over
        self._open = [one for one in self._open if frame - one.last <= _MAX_GAP]
        return [(self._place(sighting), sighting) for sighting in sightings]

    def _place(self, sighting: Sighting) -> Stretch:
        for stretch in self._open:
            if stretch.continues(sighting):
                stretch.sightings.append(sighting)
                return stretch
        new = Stretch(sighting.kind, sighting.track, [sighting])
        self._open.append(new)
        return new

    def finish(self) -> list[Stretch]:
        """Return all stretches, in the order of their first frames."""
        self.ended += self._open
        self._open = []
        return sorted(self.ended, key=lambda one: (one.first, one.last))
