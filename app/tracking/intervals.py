"""Link faces through the interval between two full looks, with as few extra looks as possible.

Both ends of an interval have had a full look. A face that was found at both ends is predicted in
between and searched for there in a small crop. Where the look confirms the prediction, the interval
is interpolated. All other faces, including those found at only one end, are handled the same way in
both halves of the interval, down to neighbouring frames. So the frame in which a face appears or
leaves is found exactly, and extra looks are taken for unconfirmed faces only.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
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
MAX_UNSEEN_TIME = Fraction(13, 100)
"""Maximum seconds from look to look that nobody looks at: three frames at 24 per second."""
MAX_FRAME_TIME = Fraction(67, 1000)
"""A frame that is shown for longer, as at less than 15 per second, always gets a look: it can be
read. Some containers round a fifteenth of a second to this."""


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

    def durations(self, first: int, last: int) -> list[Fraction]:
        """Return the seconds from each frame to the next, from ``first`` to ``last``."""

    def glimpses(self, first: int, last: int) -> Mapping[int, Boxes]:
        """Return the places (N, 4) of glimpses by frame, between two frames that had a look."""


Links = dict[Observation, Observation]
"""Maps an observation to the next one of the same face."""
Pairs = list[tuple[Observation, Observation]]
Interval = tuple[int, int]
"""First and last frame; both have had a look."""


def box_between(a: Observation, b: Observation, frame: int) -> Boxes:
    """Return the box (4,) at ``frame``, linearly interpolated between two observations."""
    fraction = (frame - a.frame) / (b.frame - a.frame)
    return np.asarray(a.box + (b.box - a.box) * fraction, np.float32)


def max_look_gap(durations: Sequence[Fraction]) -> int:
    """Return the maximum number of frames from look to look, for frames of these durations.

    >>> [max_look_gap([Fraction(1, rate)] * 9) for rate in (60, 24, 20, 15, 12)]
    [4, 4, 3, 2, 1]
    """
    longest = max(durations)
    if longest > MAX_FRAME_TIME:
        return 1
    return min(MAX_LOOK_GAP, 1 + int(MAX_UNSEEN_TIME / longest))


def inner_frame(interval: Interval, max_gap: int = MAX_LOOK_GAP) -> int:
    """Return the frame to look at inside an interval: the middle, or close to it to save looks.

    ``max_gap`` is the maximum number of frames from look to look.

    Looks may be ``MAX_LOOK_GAP`` frames apart, and the choice needs the fewest looks for that: in
    an interval of ten frames it is the fourth and then the seventh, not the fifth, second, seventh.

    >>> inner_frame((0, 3)), inner_frame((0, 10)), inner_frame((4, 10)), inner_frame((0, 12))
    (1, 4, 7, 4)
    """
    first, last = interval
    gaps = -(-(last - first) // max_gap)
    early = max(1, gaps // 2)
    earliest, latest = last - max_gap * (gaps - gaps // 2), first + max_gap * early
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
    """Link the observations at both ends of one interval through the frames in between.

    ``glimpses`` are places (N, 4) by frame: each of these frames gets a look. ``max_gap`` is the
    maximum number of frames from look to look.
    """

    def __init__(
        self, looker: Looker, glimpses: Mapping[int, Boxes], max_gap: int = MAX_LOOK_GAP
    ) -> None:
        self._looker = looker
        self._glimpses = glimpses
        self._max_gap = max_gap
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
        middle = self._next_look(interval, expects_faces=bool(a or b))
        seen = self._look_inside(a, b, pairs, interval, middle)
        self.inner_observations += seen
        confirmed = self._confirm(pairs, seen, middle)
        rest = [o for o in seen if o not in confirmed]
        self._link_half([o for o in a if o not in confirmed], rest, (interval[0], middle))
        self._link_half(rest, [o for o in b if o not in confirmed], (middle, interval[1]))

    def _link_half(
        self, a: Sequence[Observation], b: Sequence[Observation], interval: Interval
    ) -> None:
        if a or b or self._too_long(interval) or self._glimpses_in(interval):
            self.link(a, b, interval, boxes_of(a))

    def _too_long(self, interval: Interval) -> bool:
        """Return whether a face could come and go unseen inside the interval."""
        return interval[1] - interval[0] > self._max_gap

    def _glimpses_in(self, interval: Interval) -> list[int]:
        return [frame for frame in self._glimpses if interval[0] < frame < interval[1]]

    def _next_look(self, interval: Interval, *, expects_faces: bool) -> int:
        """Return the frame to look at inside an interval."""
        glimpses = self._glimpses_in(interval)
        if expects_faces or self._too_long(interval) or not glimpses:
            return inner_frame(interval, self._max_gap)
        return glimpses[len(glimpses) // 2]

    def _look_inside(
        self,
        a: Sequence[Observation],
        b: Sequence[Observation],
        pairs: Pairs,
        interval: Interval,
        middle: int,
    ) -> list[Observation]:
        """Look where unconfirmed faces may be; return observations without confirmed faces.

        If the interval is too long without a look, take a quick look at the whole frame too: faces
        come and go between two looks, and fast ones leave the crop. The same goes for a frame with
        a glimpse, of which small places are searched in crops as well. An interval that is not too
        long lies between two looks at the whole frame: a missing face gets no third one.
        """
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
        places = self._glimpses.get(middle)
        if self._too_long(interval) or places is not None:
            self._add(seen, confirmed, middle, self._looker.detect_large(middle), candidates)
        if places is not None:
            self._add(seen, confirmed, middle, self._looker.detect_near(middle, places), candidates)
        return seen

    @staticmethod
    def _add(
        seen: list[Observation], confirmed: Boxes, frame: int, faces: Faces, expected: Boxes
    ) -> None:
        """Add the credible ones of ``faces`` to ``seen``, without those that are known already."""
        found = credible(observe(frame, faces), expected)
        seen += without_faces_in(found, np.concatenate([confirmed, boxes_of(seen)]))

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
