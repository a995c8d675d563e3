"""Follow faces through a shot, stretch by stretch."""

from collections.abc import Sequence

import numpy as np

from app.tracking.association import associate
from app.tracking.identity_switch import breaks
from app.tracking.observations import Observation, Trail, boxes_of, observe
from app.tracking.sampling import Links, Looker, Settler, apart, believed
from app.types import Boxes


class ShotTracker:
    """Trails of the faces of one shot.

    Made at the first frame of the shot; ``advance`` takes later frames, the last one of the shot
    among them. All frames since the previous call must be at hand for the looker. A face that was
    lost is looked for again where it was seen last, for ``patience`` frames.
    """

    def __init__(self, looker: Looker, first: int, patience: int) -> None:
        self._looker = looker
        self._patience = patience
        self._frame = first
        self._closed: list[Trail] = []
        self._recent: list[Trail] = []
        self._open = [Trail([o]) for o in self._whole(first, boxes_of([]))]

    @property
    def trails(self) -> list[Trail]:
        """All trails so far."""
        return self._closed + self._open

    def advance(self, frame: int) -> list[Trail]:
        """Follow the faces up to ``frame``; returns the trails that gained observations."""
        ends = [trail.observations[-1] for trail in self._open]
        expected = np.asarray([t.predicted(frame) for t in self._open], np.float32).reshape(-1, 4)
        seen = self._whole(frame, np.concatenate([expected, self._lost(frame)]))
        settler = Settler(self._looker)
        settler.settle(ends, seen, (self._frame, frame), expected)
        self._frame = frame
        return self._take(settler, seen)

    def _lost(self, frame: int) -> Boxes:
        """Where the faces (N, 4) were seen last that may come back before patience ends."""
        self._recent = [t for t in self._recent if frame - t.last <= self._patience]
        return boxes_of([t.observations[-1] for t in self._recent])

    def _whole(self, frame: int, expected: Boxes) -> list[Observation]:
        """All faces of a frame; those that are expected but missed are looked for again."""
        seen = believed(observe(frame, self._looker.whole(frame)), expected)
        matched = {i for i, _ in associate(expected, boxes_of(seen), 1)}
        missed = [i for i in range(len(expected)) if i not in matched]
        if not missed:
            return seen
        again = observe(frame, self._looker.around(frame, expected[missed]))
        return seen + apart(believed(again, expected[missed]), boxes_of(seen))

    def _take(self, settler: Settler, seen: Sequence[Observation]) -> list[Trail]:
        """Continue the open trails along the links and begin trails of new faces."""
        for last in breaks(settler.links, self._looker):
            del settler.links[last]
        linked = set(settler.links.values())
        fresh = [Trail([o]) for o in (*settler.found, *seen) if o not in linked]
        grown = [t for t in self._open if t.observations[-1] in settler.links]
        for trail in (*grown, *fresh):
            trail.observations += _follow(trail.observations[-1], settler.links)
        known = self._open + fresh
        self._open = [t for t in known if t.last == self._frame]
        lost = [t for t in known if t.last < self._frame]
        self._closed += lost
        self._recent += lost
        return grown + fresh


def _follow(start: Observation, links: Links) -> list[Observation]:
    chain = []
    while (following := links.get(start)) is not None:
        chain.append(following)
        start = following
    return chain
