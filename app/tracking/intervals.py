"""Link faces through the interval between two full looks, with as few extra looks as possible.

Both ends of an interval have had a full look. A face that was found at both ends is predicted in
between and searched for there in a small crop. Where the look confirms the prediction, the interval
is interpolated. All other faces, including those found at only one end, are handled the same way in
both halves of the interval, down to neighbouring frames. So the frame in which a face appears or
leaves is found exactly, and extra looks are taken for unconfirmed faces only.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from app.geometry import iou
from app.tracking.association import associate
from app.tracking.observations import Observation, boxes_of, observe
from app.types import Boxes, Faces

CONFIRMING_IOU = 0.5
"""IoU from which a look confirms a prediction. The detector's own jitter stays above 0.8."""
SAME_FACE_IOU = 0.4
"""IoU from which two boxes in one frame are the same face. Below it, two people may overlap."""
NEW_FACE_SCORE = 0.4
"""Minimum score of a face where none was expected."""
EXPECTED_IOU = 0.3
"""IoU with an expected box from which a face counts at any score that the detector reports: half
hidden and turned faces score low, and losing them would show them."""
MIN_CORRELATION = 0.6
"""Minimum correlation of a face with itself one frame later. Below it the face is not where it was
expected, or is another person: for example if the camera shakes in step with the looks, or after a
cut in front of the same background."""
WIDE_REACH = 2.0
"""Factor of the wider crop in which a missed face is searched for again."""
MAX_LOOK_GAP = 4
"""Maximum frames from look to look. Missing a face that is visible for five frames is a failure."""


class Looker(Protocol):
    """Run the face detector on frames that are still in memory."""

    def detect_all(self, index: int) -> Faces:
        """Return every face of frame ``index``: a full look."""

    def detect_large(self, index: int) -> Faces:
        """Return the larger faces of frame ``index``: a quick look, at a fraction of the cost."""

    def detect_near(self, index: int, boxes: Boxes, reach: float = 1.0) -> Faces:
        """Return the faces near (N, 4) boxes, without duplicates; ``reach`` scales the crops."""

    def correlations(self, first: int, boxes: Boxes) -> NDArray[np.float32]:
        """Return the patch correlation of each box with the next one, (n - 1,) in -1..1.

        ``boxes`` (n, 4) has one box per frame, starting at frame ``first``. Pairs with a frame that
        is no longer in memory count as 1.
        """


Links = dict[Observation, Observation]
"""Maps an observation to the next one of the same face."""
Pairs = list[tuple[Observation, Observation]]
Interval = tuple[int, int]
"""First and last frame; both have had a look."""


def box_between(a: Observation, b: Observation, frame: int) -> Boxes:
    """Return the box (4,) at ``frame``, linearly interpolated between two observations."""
    fraction = (frame - a.frame) / (b.frame - a.frame)
    return np.asarray(a.box + (b.box - a.box) * fraction, np.float32)


def _too_long(interval: Interval) -> bool:
    """Return whether a face could come and go unseen inside the interval."""
    return interval[1] - interval[0] > MAX_LOOK_GAP


def inner_frame(interval: Interval) -> int:
    """Return the frame to look at inside an interval: the middle, or close to it to save looks.

    Looks may be ``MAX_LOOK_GAP`` frames apart, and the choice needs the fewest looks for that: in
    an interval of ten frames it is the fourth and then the seventh, not the fifth, second, seventh.

    >>> inner_frame((0, 3)), inner_frame((0, 10)), inner_frame((4, 10)), inner_frame((0, 12))
    (1, 4, 7, 4)
    """
    first, last = interval
    gaps = -(-(last - first) // MAX_LOOK_GAP)
    early = max(1, gaps // 2)
    earliest, latest = last - MAX_LOOK_GAP * (gaps - gaps // 2), first + MAX_LOOK_GAP * early
    return min(max((first + last) // 2, earliest), latest)


def credible(observations: Sequence[Observation], expected: Boxes) -> list[Observation]:
    """Return the observations that have a high score, or lie on an expected box (M, 4)."""
    on_box = np.any(iou(boxes_of(observations), expected) >= EXPECTED_IOU, axis=1).tolist()
    return [
        o for o, ok in zip(observations, on_box, strict=True) if ok or o.score >= NEW_FACE_SCORE
    ]


def without_faces_in(observations: Sequence[Observation], boxes: Boxes) -> list[Observation]:
    """Return the observations that are not the same face as any of ``boxes`` (M, 4)."""
    shared = np.any(iou(boxes_of(observations), boxes) >= SAME_FACE_IOU, axis=1).tolist()
    return [o for o, same in zip(observations, shared, strict=True) if not same]


class IntervalLinker:
    """Link the observations at both ends of one interval through the frames in between."""

    def __init__(self, looker: Looker) -> None:
        self._looker = looker
        self._confirmed: Pairs = []
        self.links: Links = {}
        self.inner_observations: list[Observation] = []
        """Observations made inside the interval."""

    def link(
        self,
        a: Sequence[Observation],
        b: Sequence[Observation],
        interval: Interval,
        expected: Boxes,
    ) -> None:
        """Link ``a``, seen in the first frame, with ``b``, seen in the last.

        ``expected`` (len(a), 4) are the predicted boxes of ``a`` in the last frame.
        """
        gap = interval[1] - interval[0]
        pairs = [(a[i], b[j]) for i, j in associate(expected, boxes_of(b), gap)]
        if gap == 1:
            self.links.update(pairs)
            return
        seen = self._look_inside(a, b, pairs, interval)
        self.inner_observations += seen
        middle = inner_frame(interval)
        confirmed = self._confirm(pairs, seen, middle)
        rest = [o for o in seen if o not in confirmed]
        self._link_half([o for o in a if o not in confirmed], rest, (interval[0], middle))
        self._link_half(rest, [o for o in b if o not in confirmed], (middle, interval[1]))

    def _link_half(
        self, a: Sequence[Observation], b: Sequence[Observation], interval: Interval
    ) -> None:
        if a or b or _too_long(interval):
            self.link(a, b, interval, boxes_of(a))

    def _look_inside(
        self, a: Sequence[Observation], b: Sequence[Observation], pairs: Pairs, interval: Interval
    ) -> list[Observation]:
        """Look where unconfirmed faces may be; return observations without confirmed faces.

        If a face is missing, or the interval is too long without a look, take a quick look at the
        whole frame too: faces come and go between two looks, and fast ones leave the crop.
        """
        middle = inner_frame(interval)
        confirmed = self._confirmed_boxes(middle)
        candidates = _candidate_boxes(a, b, pairs, middle)
        seen: list[Observation] = []
        missed = candidates
        for reach in (1.0, WIDE_REACH):
            if len(missed):
                near = observe(middle, self._looker.detect_near(middle, missed, reach))
                taken = np.concatenate([confirmed, boxes_of(seen)])
                seen += without_faces_in(credible(near, missed), taken)
                found = {i for i, _ in associate(candidates, boxes_of(seen), 1)}
                missed = candidates[[i for i in range(len(candidates)) if i not in found]]
        if _too_long(interval) or len(missed):
            large = credible(observe(middle, self._looker.detect_large(middle)), candidates)
            seen += without_faces_in(large, np.concatenate([confirmed, boxes_of(seen)]))
        return seen

    def _confirmed_boxes(self, frame: int) -> Boxes:
        """Return the boxes (N, 4) of confirmed faces in a frame."""
        around = [pair for pair in self._confirmed if pair[0].frame < frame < pair[1].frame]
        return _boxes_between(around, frame)

    def _looks_the_same(self, x: Observation, y: Observation, middle: Observation) -> bool:
        """Return whether the face changes little from frame to frame between three looks."""
        for a, b in ((x, middle), (middle, y)):
            if b.frame - a.frame > 1:
                path = [box_between(a, b, frame) for frame in range(a.frame, b.frame + 1)]
                correlations = self._looker.correlations(a.frame, np.asarray(path, np.float32))
                if correlations.min() < MIN_CORRELATION:
                    return False
        return True

    def _confirm(self, pairs: Pairs, seen: Sequence[Observation], middle: int) -> set[Observation]:
        """Link the pairs that the look confirms; return all observations of confirmed faces."""
        expected = _boxes_between(pairs, middle)
        agreement = iou(expected, boxes_of(seen))
        confirmed: set[Observation] = set()
        for i, j in associate(expected, boxes_of(seen), 1):
            if agreement[i, j] >= CONFIRMING_IOU and self._looks_the_same(*pairs[i], seen[j]):
                x, y = pairs[i]
                self.links.update([(x, seen[j]), (seen[j], y)])
                self._confirmed += [(x, seen[j]), (seen[j], y)]
                confirmed.update((x, seen[j], y))
        return confirmed


def _boxes_between(pairs: Pairs, frame: int) -> Boxes:
    """Return the interpolated boxes (N, 4) of pairs at a frame."""
    return np.asarray([box_between(x, y, frame) for x, y in pairs], np.float32).reshape(-1, 4)


def _candidate_boxes(
    a: Sequence[Observation], b: Sequence[Observation], pairs: Pairs, middle: int
) -> Boxes:
    """Return where the faces of both ends may be in the middle, (N, 4)."""
    paired = {o for pair in pairs for o in pair}
    unpaired = boxes_of(o for o in (*a, *b) if o not in paired)
    return np.concatenate([_boxes_between(pairs, middle), unpaired])
