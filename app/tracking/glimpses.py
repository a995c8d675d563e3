"""Find glimpses: places that change for one to three frames, before a background that stays.

Between two looks a few frames are skipped. A face that is visible in these frames only leaves a
trace in small grey copies of the frames: they differ there from the frame before and from one of
the next three, while these two look alike. Moving things do that too. But the frame before, or the
later one, shows the same pattern nearby, and so they are left out.
"""

from collections.abc import Sequence
from typing import Final, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from app.types import Boxes, Frame, Size

Copy: TypeAlias = NDArray[np.uint8]
"""A small grey copy of a frame, (h, w)."""
COPY_SIDE: Final = 240
"""Approximate longer side of the copies. Most of their cost is to read the frame."""
LONGEST: Final = 3
"""Most frames of a glimpse: a longer one is met by a look."""
_WINDOW: Final = 5
"""Side of the window in which changes are averaged, in pixels of the copy: 27 pixels of 1280."""
_MIN_CHANGE: Final = 6
"""Mean change of luma in a window, of 255. Noise and compression stay below 3."""
_MAX_REMAINDER: Final = 4
"""The change from the frame before a glimpse to that after it is smaller by this factor."""
_PATTERN: Final = 4
"""Pixels of the copy on each side of the middle of a pattern that is searched for nearby."""
_REACH: Final = 12
"""Pixels of the copy up to which it is searched for, on each side: 5 % of the width per frame."""
_SAME_PATTERN: Final = 0.8
"""Correlation from which a pattern nearby is the same, so that it has moved."""
_MIN_TEXTURE: Final = 4.0
"""Standard deviation of a pattern, of 255. Flatter ones are no faces, and correlate at random."""
_MOST_PLACES: Final = 4
"""Places considered in each frame, those of the largest change."""
_JOINED: Final = 7
"""Changes that are fewer pixels of the copy apart belong to one place: parts of one face."""

Point = tuple[int, int]


def small_copy(frame: Frame) -> Copy:
    """Return the small grey copy of a frame, reduced by ``reduction_of`` its size.

    Pixels at the right and at the bottom that fill no pixel of the copy are left out.
    """
    reduction = reduction_of(frame.size)
    width, height = (max(1, side // reduction) for side in frame.size)
    region = 0, 0, min(frame.size[0], width * reduction), min(frame.size[1], height * reduction)
    return np.asarray(np.rint(frame.luma((width, height), region)), np.uint8)


def reduction_of(size: Size) -> int:
    """Return the whole number by which the sides of a frame of ``size`` are divided.

    Averages over a whole number of pixels cost a third of others.

    >>> reduction_of((1920, 1080)), reduction_of((640, 360)), reduction_of((100, 80))
    (8, 3, 1)
    """
    return max(1, round(max(size) / COPY_SIDE))


def find_glimpses(copies: Sequence[Copy]) -> dict[int, Boxes]:
    """Return the places (N, 4) of glimpses, in pixels of the copies, by number of the copy.

    ``copies`` are those of consecutive frames without a cut; the first and the last one cannot show
    a glimpse. Of a glimpse of several frames, only the first frame is returned.
    """
    found = {number: _places(copies, number) for number in range(1, len(copies) - 1)}
    return {number: places for number, places in found.items() if len(places)}


def _places(copies: Sequence[Copy], number: int) -> Boxes:
    """Return the places (N, 4) of glimpses that begin at copy ``number``."""
    before, now = copies[number - 1], copies[number]
    since = _change(before, now)
    if since.max() < _MIN_CHANGE:
        return np.zeros((0, 4), np.float32)
    strongest, latest = np.zeros_like(since), np.zeros_like(since)
    for step, after in enumerate(copies[number + 1 : number + 1 + LONGEST], start=1):
        change = cv2.min(since, _change(now, after))
        stays = (change >= _MIN_CHANGE) & (_change(before, after) <= change // _MAX_REMAINDER)
        better = stays & (change > strongest)
        strongest[better], latest[better] = change[better], step
    new = [
        peak
        for peak in _peaks(strongest)
        if _is_new(now, before, peak)
        and _is_new(now, copies[number + int(latest[peak[1], peak[0]])], peak)
    ]
    return _regions(strongest, new) if new else np.zeros((0, 4), np.float32)


def _change(one: Copy, other: Copy) -> Copy:
    return np.asarray(cv2.blur(cv2.absdiff(one, other), (_WINDOW, _WINDOW)), np.uint8)


def _peaks(change: Copy) -> list[Point]:
    """Return the points (x, y) of the largest changes, at least a pattern apart."""
    left = change.copy()
    peaks: list[Point] = []
    while len(peaks) < _MOST_PLACES:
        _, highest, _, (x, y) = cv2.minMaxLoc(left)
        if highest == 0:
            break
        peaks.append((int(x), int(y)))
        _around(left, peaks[-1], 2 * _PATTERN)[:] = 0
    return peaks


def _is_new(now: Copy, other: Copy, peak: Point) -> bool:
    """Return whether the pattern at a peak is nowhere near in another copy."""
    pattern = _around(now, peak, _PATTERN)
    if pattern.std() < _MIN_TEXTURE:
        return False
    alike = cv2.matchTemplate(
        _around(other, peak, _PATTERN + _REACH), pattern, cv2.TM_CCOEFF_NORMED
    )
    return float(np.nan_to_num(alike).max()) < _SAME_PATTERN


def _around(copy: Copy, peak: Point, reach: int) -> Copy:
    x, y = peak
    return copy[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1]


def _regions(change: Copy, peaks: Sequence[Point]) -> Boxes:
    """Return the regions (N, 4) of connected changes that hold the peaks."""
    near = np.ones((_JOINED, _JOINED), np.uint8)
    joined = cv2.morphologyEx(np.asarray(change > 0, np.uint8), cv2.MORPH_CLOSE, near)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(joined)
    chosen = sorted({int(labels[y, x]) for x, y in peaks})
    corners = stats[chosen][:, :4].astype(np.float32)
    corners[:, 2:] += corners[:, :2]
    return corners
