"""Settle what happened between two looks, face by face, with as few looks as possible.

Both ends of a stretch have been looked at as whole pictures. A face found at both ends is
predicted in between and looked for there, in a small crop; where prediction and look agree
the stretch is filled by interpolation. Otherwise, and for faces found at one end only, both
halves are treated the same way, down to neighbouring frames: so a face that appears or leaves is
located to the frame, and only the faces in dispute are looked at again.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from app.geometry import iou
from app.tracking.association import associate
from app.tracking.observations import Observation, boxes_of, observe
from app.types import Boxes, Faces

AGREEMENT = 0.5
"""IoU from which a look confirms a prediction. The detector's own jitter is above 0.8."""

SAME_FACE = 0.4
"""IoU from which two boxes in one frame are one face; below it people may overlap."""

NEW_FACE = 0.4
"""Score that a face must reach to be believed where none was expected."""
EXPECTED = 0.3
"""IoU with an expected box from which a face is believed at any score that the detector tells:
half-hidden and turned faces score low, and losing them would show them."""

STEADY = 0.6
"""Likeness of a face with itself one frame later, below which it is not where it was expected, or
is somebody else: shaking in step with the looks, or a cut in front of the same background."""
WIDE = 2.0
"""A face that is not in its crop is looked for once more in one so much wider."""
BLIND = 4
"""Frames from look to look, at most: a face that shows for five frames is a failure."""


class Looker(Protocol):
    """Looks at frames that are still at hand."""

    def whole(self, frame: int) -> Faces:
        """Every face of the frame."""

    def glance(self, frame: int) -> Faces:
        """The larger faces of the frame, at a fraction of the cost of ``whole``."""

    def around(self, frame: int, boxes: Boxes, reach: float = 1.0) -> Faces:
        """Faces near the (N, 4) boxes, each face once; ``reach`` widens the places."""

    def likeness(self, first: int, boxes: Boxes) -> NDArray[np.float32]:
        """How alike the places of neighbouring boxes are, (n - 1,) correlations.

        ``boxes`` (n, 4) has one box for each frame from ``first`` on; frames that are not at
        hand any more count as alike.
        """


Links = dict[Observation, Observation]
"""From an observation to the next one of the same face."""


Pairs = list[tuple[Observation, Observation]]
Stretch = tuple[int, int]
"""First and last frame, both looked at."""


def between(a: Observation, b: Observation, frame: int) -> Boxes:
    """The box (4,) at ``frame`` on the straight way from one observation to another."""
    part = (frame - a.frame) / (b.frame - a.frame)
    return np.asarray(a.box + (b.box - a.box) * part, np.float32)


def _blind(stretch: Stretch) -> bool:
    """Whether a face could come and go unseen for too long inside."""
    return stretch[1] - stretch[0] > BLIND


def inner(stretch: Stretch) -> int:
    """The frame inside at which to look: the middle, or as near to it as spares looks.

    ``BLIND`` frames from look to look are allowed, and as few glances are made as that takes: of
    ten frames the fourth and then the seventh are looked at, not the fifth, second and seventh.

    >>> inner((0, 3)), inner((0, 10)), inner((4, 10)), inner((0, 12))
    (1, 4, 7, 4)
    """
    first, last = stretch
    gaps = -(-(last - first) // BLIND)
    early = max(1, gaps // 2)
    earliest, latest = last - BLIND * (gaps - gaps // 2), first + BLIND * early
    return min(max((first + last) // 2, earliest), latest)


def _pairs(
    a: Sequence[Observation], b: Sequence[Observation], expected: Boxes, stretch: Stretch
) -> Pairs:
    gap = stretch[1] - stretch[0]
    return [(a[i], b[j]) for i, j in associate(expected, boxes_of(b), gap)]


def believed(observations: Sequence[Observation], expected: Boxes) -> list[Observation]:
    """Those observations that are sure, or where a face (M, 4) is expected."""
    near = np.any(iou(boxes_of(observations), expected) >= EXPECTED, axis=1).tolist()
    return [o for o, ok in zip(observations, near, strict=True) if ok or o.score >= NEW_FACE]


def apart(observations: Sequence[Observation], boxes: Boxes) -> list[Observation]:
    """Those observations that are of other faces than ``boxes``."""
    shared = np.any(iou(boxes_of(observations), boxes) >= SAME_FACE, axis=1).tolist()
    return [o for o, same in zip(observations, shared, strict=True) if not same]


class Settler:
    """Links the observations at both ends of one stretch through its inside."""

    def __init__(self, looker: Looker) -> None:
        self._looker = looker
        self._settled: list[tuple[Observation, Observation]] = []
        self.links: Links = {}
        self.found: list[Observation] = []
        """Observations made inside the stretch."""

    def settle(
        self,
        a: Sequence[Observation],
        b: Sequence[Observation],
        stretch: Stretch,
        expected: Boxes,
    ) -> None:
        """Link ``a``, seen in the first frame, with ``b``, seen in the last.

        ``expected`` (len(a), 4) says where the faces ``a`` should be in the last frame.
        """
        pairs = _pairs(a, b, expected, stretch)
        if stretch[1] - stretch[0] == 1:
            self.links.update(pairs)
            return
        seen = self._look(a, b, pairs, stretch)
        self.found += seen
        middle = inner(stretch)
        settled = self._confirm(pairs, seen, middle)
        rest = [o for o in seen if o not in settled]
        self._dispute([o for o in a if o not in settled], rest, (stretch[0], middle))
        self._dispute(rest, [o for o in b if o not in settled], (middle, stretch[1]))

    def _dispute(
        self, a: Sequence[Observation], b: Sequence[Observation], stretch: Stretch
    ) -> None:
        if a or b or _blind(stretch):
            self.settle(a, b, stretch, boxes_of(a))

    def _look(
        self, a: Sequence[Observation], b: Sequence[Observation], pairs: Pairs, stretch: Stretch
    ) -> list[Observation]:
        """Look inside, where the faces in dispute may be; settled ones are left out.

        When one is not there, or nobody looked at the picture for a while, all of it is glanced
        at: faces come and go between two looks, and fast ones leave the crop.
        """
        middle = inner(stretch)
        known = self._known(middle)
        places = self._places(a, b, pairs, middle)
        seen: list[Observation] = []
        missed = places
        for reach in (1.0, WIDE):
            if len(missed):
                around = observe(middle, self._looker.around(middle, missed, reach))
                seen += apart(believed(around, missed), np.concatenate([known, boxes_of(seen)]))
                found = {i for i, _ in associate(places, boxes_of(seen), 1)}
                missed = places[[i for i in range(len(places)) if i not in found]]
        if _blind(stretch) or len(missed):
            glanced = believed(observe(middle, self._looker.glance(middle)), places)
            seen += apart(glanced, np.concatenate([known, boxes_of(seen)]))
        return seen

    @staticmethod
    def _places(
        a: Sequence[Observation], b: Sequence[Observation], pairs: Pairs, middle: int
    ) -> Boxes:
        """Where the faces of both ends may be at the middle, (N, 4)."""
        paired = {o for pair in pairs for o in pair}
        places = [between(x, y, middle) for x, y in pairs]
        places += [o.box for o in (*a, *b) if o not in paired]
        return np.asarray(places, np.float32).reshape(-1, 4)

    def _known(self, frame: int) -> Boxes:
        """Where the settled faces are in a frame, (N, 4)."""
        inside = [pair for pair in self._settled if pair[0].frame < frame < pair[1].frame]
        boxes = [between(x, y, frame) for x, y in inside]
        return np.asarray(boxes, np.float32).reshape(-1, 4)

    def _steady(self, x: Observation, y: Observation, middle: Observation) -> bool:
        """Whether the face stays alike in all frames between three looks."""
        for a, b in ((x, middle), (middle, y)):
            if b.frame - a.frame > 1:
                way = [between(a, b, frame) for frame in range(a.frame, b.frame + 1)]
                alike = self._looker.likeness(a.frame, np.asarray(way, np.float32))
                if alike.min() < STEADY:
                    return False
        return True

    def _confirm(self, pairs: Pairs, seen: Sequence[Observation], middle: int) -> set[Observation]:
        """Link the pairs that a look confirms; returns all observations that are settled."""
        expected = np.asarray([between(x, y, middle) for x, y in pairs], np.float32).reshape(-1, 4)
        agreement = iou(expected, boxes_of(seen))
        settled: set[Observation] = set()
        for i, j in associate(expected, boxes_of(seen), 1):
            if agreement[i, j] >= AGREEMENT and self._steady(*pairs[i], seen[j]):
                x, y = pairs[i]
                self.links.update([(x, seen[j]), (seen[j], y)])
                self._settled += [(x, seen[j]), (seen[j], y)]
                settled.update((x, seen[j], y))
        return settled
