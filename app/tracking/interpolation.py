"""Turn the observations of a track into one box per frame: smooth, interpolate, pad, sweep."""

import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.geometry import hull, iou
from app.tracking.intervals import SAME_FACE_IOU
from app.tracking.observations import Observation, Tracklet, boxes_of
from app.types import Boxes

SMOOTHING = 2.0
"""Standard deviation in frames of the smoothing of boxes. It removes the detector's jitter from
frame to frame, and keeps motion over a quarter of a second."""

Values = NDArray[np.float64]


def _to_centres(boxes: Boxes) -> Values:
    """Return centres and log sizes: faces grow by factors, and sizes never become negative."""
    wide = boxes.astype(np.float64)
    extents = np.maximum(wide[:, 2:] - wide[:, :2], 1e-3)
    return np.concatenate([(wide[:, :2] + wide[:, 2:]) / 2, np.log(extents)], axis=1)


def _to_boxes(states: Values) -> Boxes:
    half = np.exp(states[:, 2:]) / 2
    return np.concatenate([states[:, :2] - half, states[:, :2] + half], axis=1).astype(np.float32)


def interpolate(frames: NDArray[np.int64], boxes: Boxes) -> Boxes:
    """Return boxes (n, 4) for every frame from ``frames[0]`` to ``frames[-1]``.

    ``frames`` (k,) increases strictly, ``boxes`` is (k, 4). Centre and log size follow a monotone
    cubic (``pchip``), which is smooth and never overshoots.

    >>> interpolate(np.array([0, 2]), np.float32([[0, 0, 2, 2], [4, 0, 6, 2]])).round(3).tolist()
    [[0.0, 0.0, 2.0, 2.0], [2.0, 0.0, 4.0, 2.0], [4.0, 0.0, 6.0, 2.0]]
    """
    if len(frames) == 1:
        return boxes.astype(np.float32)
    every = np.arange(frames[0], frames[-1] + 1)
    return _to_boxes(pchip(frames, _to_centres(boxes), every))


def pchip(x: NDArray[np.int64], y: Values, at: NDArray[np.int64]) -> Values:
    """Return a monotone cubic through ``y`` (k, d) at ``x`` (k,), evaluated at ``at`` (n,): (n, d).

    ``x`` increases strictly, ``k`` is at least 2, and ``at`` lies in ``x[0]``..``x[-1]``.

    Fritsch and Carlson, "Monotone piecewise cubic interpolation", SIAM J. Numer. Anal. 17 (1980),
    with the slopes of Fritsch and Butland, "A method for constructing local monotone piecewise
    cubic interpolants", SIAM J. Sci. Stat. Comput. 5 (1984). The same curve as scipy's
    ``PchipInterpolator``, which takes half a second to import.
    """
    widths = np.diff(x).astype(np.float64)[:, None]
    secants = np.diff(y, axis=0) / widths
    slopes = _slopes(widths, secants)
    piece = np.clip(np.searchsorted(x, at, side="right") - 1, 0, len(x) - 2)
    width = widths[piece]
    part = (at - x[piece])[:, None] / width
    rest = 1 - part
    values = y[piece] * (1 + 2 * part) * rest**2 + y[piece + 1] * (1 + 2 * rest) * part**2
    bends = slopes[piece] * part * rest**2 - slopes[piece + 1] * rest * part**2
    return np.asarray(values + width * bends, np.float64)


def _slopes(widths: Values, secants: Values) -> Values:
    """Return the slope at each point, (k, d); 0 at turning points."""
    if len(secants) == 1:
        return np.repeat(secants, 2, axis=0)
    before, after = secants[:-1], secants[1:]
    same = before * after > 0
    early, late = widths[:-1] + 2 * widths[1:], 2 * widths[:-1] + widths[1:]
    safe_before, safe_after = np.where(same, before, 1.0), np.where(same, after, 1.0)
    mean = (early + late) / (early / safe_before + late / safe_after)
    first = _end_slope(widths[0], widths[1], secants[0], secants[1])
    last = _end_slope(widths[-1], widths[-2], secants[-1], secants[-2])
    return np.concatenate([first[None], np.where(same, mean, 0.0), last[None]])


def _end_slope(width: Values, next_width: Values, secant: Values, next_secant: Values) -> Values:
    """Return the slope (d,) at an outer point from three points, limited to avoid overshoot."""
    slope = ((2 * width + next_width) * secant - width * next_secant) / (width + next_width)
    limited = np.where(
        (secant * next_secant < 0) & (np.abs(slope) > 3 * np.abs(secant)), 3 * secant, slope
    )
    return np.asarray(np.where(slope * secant > 0, limited, 0.0), np.float64)


def smooth(frames: NDArray[np.int64], boxes: Boxes, sigma: float = SMOOTHING) -> Boxes:
    """Return boxes (k, 4) without jitter that still contain every observed box.

    Each becomes the hull of itself and the Gaussian mean (``sigma`` frames) of its neighbours, so
    smoothing may hide more but never less.

    >>> seen = np.float32([[0, 0, 9, 9], [1, 0, 10, 9], [0, 0, 9, 9]])
    >>> smoothed = smooth(np.array([0, 1, 2]), seen)
    >>> bool((smoothed[:, :2] <= seen[:, :2]).all() and (smoothed[:, 2:] >= seen[:, 2:]).all())
    True
    """
    states = _to_centres(boxes)
    total, weight = states.copy(), np.ones((len(frames), 1))
    # Frames increase, so neighbours in time are neighbours in the array. Beyond six deviations the
    # weight is below single precision. A matrix of all pairs would not fit into memory.
    for step in range(1, min(math.ceil(6 * sigma), len(frames) - 1) + 1):
        near = np.exp(-0.5 * ((frames[step:] - frames[:-step]) / sigma) ** 2)[:, None]
        total[:-step] += near * states[step:]
        total[step:] += near * states[:-step]
        weight[:-step] += near
        weight[step:] += near
    return hull(_to_boxes(total / weight), boxes)


def sweep(boxes: Boxes) -> Boxes:
    """Return boxes (n, 4) that cover the path halfway to both neighbouring frames.

    Fast faces have motion blur, and between two looks they may be ahead of or behind the curve.

    >>> sweep(np.float32([[0, 0, 2, 2], [4, 0, 6, 2]])).tolist()
    [[0.0, 0.0, 4.0, 2.0], [2.0, 0.0, 6.0, 2.0]]
    """
    halves = np.asarray((boxes[1:] + boxes[:-1]) / 2, np.float32)
    swept = boxes.copy()
    swept[1:] = hull(swept[1:], halves)
    swept[:-1] = hull(swept[:-1], halves)
    return swept


def padding_limits(tracklets: Sequence[Tracklet], shot: tuple[int, int]) -> list[tuple[int, int]]:
    """Return the frames [first, end) of a shot that the padding of each tracklet may reach.

    Padding covers the uncertainty of when a face came or left. A handover has no such uncertainty:
    another face is in the same place in the next frame, and padding would hide that face instead.
    """
    begin: dict[int, list[Observation]] = defaultdict(list)
    end: dict[int, list[Observation]] = defaultdict(list)
    for tracklet in tracklets:
        begin[tracklet.first].append(tracklet.observations[0])
        end[tracklet.last].append(tracklet.observations[-1])
    limits = []
    for tracklet in tracklets:
        taken_over = _same_place(tracklet.observations[0], end.get(tracklet.first - 1, ()))
        handed_over = _same_place(tracklet.observations[-1], begin.get(tracklet.last + 1, ()))
        first = tracklet.first if taken_over else shot[0]
        limits.append((first, tracklet.last + 1 if handed_over else shot[1]))
    return limits


def _same_place(one: Observation, others: Sequence[Observation]) -> bool:
    return bool((iou(one.box[None], boxes_of(others)) >= SAME_FACE_IOU).any())


def pad(first: int, boxes: Boxes, frames: int, limits: tuple[int, int]) -> tuple[int, Boxes]:
    """Extend a track's boxes (n, 4), which start at frame ``first``, by ``frames`` at both ends.

    The added boxes contain the outermost box, and that box moved on at the track's speed. Nothing
    is added outside ``limits`` ([first, end)). Return the new first frame and the boxes.

    >>> start, padded = pad(5, np.float32([[0, 0, 2, 2]]), 3, (4, 7))
    >>> start, len(padded)
    (4, 3)
    """
    before = min(frames, first - limits[0])
    after = min(frames, limits[1] - (first + len(boxes)))
    head = _continued(boxes[::-1], before)[::-1]
    return first - before, np.concatenate([head, boxes, _continued(boxes, after)])


def _continued(boxes: Boxes, count: int) -> Boxes:
    """Return ``count`` boxes after the last one: each the hull of it and of it moved on."""
    span = min(len(boxes) - 1, 3)
    speed = (boxes[-1] - boxes[-1 - span]) / max(span, 1)
    still = np.repeat(boxes[-1:], count, axis=0)
    moved = still + speed * np.arange(1, count + 1, dtype=np.float32)[:, None]
    return hull(still, moved.astype(np.float32))
