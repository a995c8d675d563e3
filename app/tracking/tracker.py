"""Follow faces through a shot, interval by interval, and split tracklets at identity switches.

An identity switch: a shot detector misses a cut in front of a background that stays (an interview
with its pauses cut out), and the next person may sit where the last one sat. The face then changes
from one frame to the next, and is stable before and after.
"""

from collections.abc import Sequence

import numpy as np

from app.tracking.association import associate
from app.tracking.intervals import (
    IntervalLinker,
    Links,
    Looker,
    box_between,
    credible,
    max_look_gap,
    without_faces_in,
)
from app.tracking.observations import Observation, Tracklet, boxes_of, observe
from app.types import Boxes

SWITCH_CORRELATION = 0.5
STABLE_CORRELATION = 0.7
"""A face is another person one frame later if the correlation is below the first, and those of the
frames before and after are above the second. At such cuts it is 0.25 or less, otherwise mostly
0.9."""


class ShotTracker:
    """Build the tracklets of the faces of one shot.

    Create it at the first frame of the shot. Then call ``advance`` with later frames, including the
    last one of the shot; the looker needs all frames since the previous call. A lost face is
    searched for in its last box for ``max_gap`` frames.
    """

    def __init__(self, looker: Looker, first: int, max_gap: int) -> None:
        self._looker = looker
        self._max_gap = max_gap
        self._frame = first
        self._closed: list[Tracklet] = []
        self._lost: list[Tracklet] = []
        self._open = [Tracklet([o]) for o in self._full_look(first, boxes_of([]))]

    @property
    def tracklets(self) -> list[Tracklet]:
        """All tracklets so far."""
        return self._closed + self._open

    def advance(self, frame: int) -> list[Tracklet]:
        """Follow the faces up to ``frame``; return the tracklets that gained observations."""
        ends = [tracklet.observations[-1] for tracklet in self._open]
        expected = np.asarray([t.predict(frame) for t in self._open], np.float32).reshape(-1, 4)
        seen = self._full_look(frame, np.concatenate([expected, self._lost_boxes(frame)]))
        linker = self._linker(self._frame, frame)
        linker.link(ends, seen, (self._frame, frame), expected)
        self._frame = frame
        return self._extend(linker, seen)

    def _linker(self, first: int, last: int) -> IntervalLinker:
        """Return a linker for the frames between two full looks."""
        if last - first == 1:
            return IntervalLinker(self._looker, {})
        max_gap = max_look_gap(self._looker.durations(first, last))
        return IntervalLinker(self._looker, self._looker.glimpses(first, last), max_gap)

    def _lost_boxes(self, frame: int) -> Boxes:
        """Return the last boxes (N, 4) of the faces lost at most ``max_gap`` frames ago."""
        self._lost = [t for t in self._lost if frame - t.last <= self._max_gap]
        return boxes_of([t.observations[-1] for t in self._lost])

    def _full_look(self, frame: int, expected: Boxes) -> list[Observation]:
        """Return all faces of a frame; search again near expected boxes without a face."""
        seen = credible(observe(frame, self._looker.detect_all(frame)), expected)
        matched = {i for i, _ in associate(expected, boxes_of(seen), 1)}
        missed = [i for i in range(len(expected)) if i not in matched]
        if not missed:
            return seen
        near = observe(frame, self._looker.detect_near(frame, expected[missed]))
        return seen + without_faces_in(credible(near, expected[missed]), boxes_of(seen))

    def _extend(self, linker: IntervalLinker, seen: Sequence[Observation]) -> list[Tracklet]:
        """Extend the open tracklets along the links, and begin tracklets of new faces."""
        for last in identity_switches(linker.links, self._looker):
            del linker.links[last]
        linked = set(linker.links.values())
        new = [Tracklet([o]) for o in (*linker.inner_observations, *seen) if o not in linked]
        grown = [t for t in self._open if t.observations[-1] in linker.links]
        for tracklet in (*grown, *new):
            tracklet.observations += _chain(tracklet.observations[-1], linker.links)
        current = self._open + new
        self._open = [t for t in current if t.last == self._frame]
        ended = [t for t in current if t.last < self._frame]
        self._closed += ended
        self._lost += ended
        return grown + new


def _chain(start: Observation, links: Links) -> list[Observation]:
    chain = []
    while (following := links.get(start)) is not None:
        chain.append(following)
        start = following
    return chain


def identity_switches(links: Links, looker: Looker) -> list[Observation]:
    """Return the observations after which another person is in the same place.

    Only links between neighbouring frames are checked: a pair of looks that does not stay similar
    in between is divided down to them (``IntervalLinker``).
    """
    previous = {following: one for one, following in links.items()}
    adjacent = [(x, y) for x, y in links.items() if y.frame - x.frame == 1]
    return [x for x, y in adjacent if _switches(x, y, previous.get(x), links.get(y), looker)]


def _switches(
    x: Observation, y: Observation, w: Observation | None, z: Observation | None, looker: Looker
) -> bool:
    """Return whether the face changes from ``x`` to ``y``, but not right before or after."""
    before = [] if w is None else [box_between(w, x, x.frame - 1)]
    after = [] if z is None else [box_between(y, z, y.frame + 1)]
    path = np.asarray([*before, x.box, y.box, *after], np.float32)
    correlations = looker.correlations(x.frame - len(before), path)
    others = np.delete(correlations, len(before))
    return bool(
        correlations[len(before)] < SWITCH_CORRELATION and (others > STABLE_CORRELATION).all()
    )
