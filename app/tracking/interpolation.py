"""From observations to one box for every frame: interpolation, smoothing, padding."""

import math

import numpy as np
from numpy.typing import NDArray

from app.geometry import hull
from app.tracking.pchip import pchip
from app.types import Boxes

SMOOTHING = 2.0
"""Standard deviation in frames of the smoothing of a track's boxes: it takes out the jitter of
the detector from frame to frame, and leaves motion over a quarter of a second alone."""


def _to_centres(boxes: Boxes) -> NDArray[np.float64]:
    """Centre and log size: faces grow by factors, and a size can never become negative."""
    wide = boxes.astype(np.float64)
    extents = np.maximum(wide[:, 2:] - wide[:, :2], 1e-3)
    return np.concatenate([(wide[:, :2] + wide[:, 2:]) / 2, np.log(extents)], axis=1)


def _to_boxes(states: NDArray[np.float64]) -> Boxes:
    half = np.exp(states[:, 2:]) / 2
    return np.concatenate([states[:, :2] - half, states[:, :2] + half], axis=1).astype(np.float32)


def interpolate(frames: NDArray[np.int64], boxes: Boxes) -> Boxes:
    """Boxes (n, 4) for every frame from ``frames[0]`` to ``frames[-1]``, given those at ``frames``.

    ``frames`` (k,) increases strictly, ``boxes`` is (k, 4). Centre and log size follow a monotone
    cubic (``app.tracking.pchip``), which is smooth and never overshoots what was seen.

    >>> interpolate(np.array([0, 2]), np.float32([[0, 0, 2, 2], [4, 0, 6, 2]])).round(3).tolist()
    [[0.0, 0.0, 2.0, 2.0], [2.0, 0.0, 4.0, 2.0], [4.0, 0.0, 6.0, 2.0]]
    """
    if len(frames) == 1:
        return boxes.astype(np.float32)
    every = np.arange(frames[0], frames[-1] + 1)
    return _to_boxes(pchip(frames, _to_centres(boxes), every))


def smooth(frames: NDArray[np.int64], boxes: Boxes, sigma: float = SMOOTHING) -> Boxes:
    """Boxes (k, 4) without jitter that still hold every observed box.

    Each becomes the hull of itself and of the Gaussian mean (``sigma`` frames) of its neighbours:
    smoothing may hide more, never less.

    >>> seen = np.float32([[0, 0, 9, 9], [1, 0, 10, 9], [0, 0, 9, 9]])
    >>> steady = smooth(np.array([0, 1, 2]), seen)
    >>> bool((steady[:, :2] <= seen[:, :2]).all() and (steady[:, 2:] >= seen[:, 2:]).all())
    True
    """
    states = _to_centres(boxes)
    total, weight = states.copy(), np.ones((len(frames), 1))
    # Frames increase, so that neighbours in time are neighbours in place. Beyond six deviations
    # they weigh less than single precision tells; a matrix of all pairs would not fit in memory.
    for step in range(1, min(math.ceil(6 * sigma), len(frames) - 1) + 1):
        near = np.exp(-0.5 * ((frames[step:] - frames[:-step]) / sigma) ** 2)[:, None]
        total[:-step] += near * states[step:]
        total[step:] += near * states[:-step]
        weight[:-step] += near
        weight[step:] += near
    return hull(_to_boxes(total / weight), boxes)


def sweep(boxes: Boxes) -> Boxes:
    """Boxes (n, 4) that hold the way to half the neighbouring frames.

    Fast faces are smeared, and between two looks they may be ahead of the curve or behind it.

    >>> sweep(np.float32([[0, 0, 2, 2], [4, 0, 6, 2]])).tolist()
    [[0.0, 0.0, 4.0, 2.0], [2.0, 0.0, 6.0, 2.0]]
    """
    halves = np.asarray((boxes[1:] + boxes[:-1]) / 2, np.float32)
    swept = boxes.copy()
    swept[1:] = hull(swept[1:], halves)
    swept[:-1] = hull(swept[:-1], halves)
    return swept


def pad(first: int, boxes: Boxes, frames: int, room: tuple[int, int]) -> tuple[int, Boxes]:
    """A track's boxes (n, 4) from frame ``first`` on, lengthened by ``frames`` at both ends.

    The added boxes hold the outermost box, and that box moved on at the track's speed. Nothing
    is added outside ``room`` ([first, end)). Returns the new first frame and boxes.

    >>> start, longer = pad(5, np.float32([[0, 0, 2, 2]]), 3, (4, 7))
    >>> start, len(longer)
    (4, 3)
    """
    before = min(frames, first - room[0])
    after = min(frames, room[1] - (first + len(boxes)))
    head = _carry_on(boxes[::-1], before)[::-1]
    return first - before, np.concatenate([head, boxes, _carry_on(boxes, after)])


def _carry_on(boxes: Boxes, count: int) -> Boxes:
    """``count`` boxes after the last one, each the hull of it and of where it would have moved."""
    span = min(len(boxes) - 1, 3)
    speed = (boxes[-1] - boxes[-1 - span]) / max(span, 1)
    still = np.repeat(boxes[-1:], count, axis=0)
    moved = still + speed * np.arange(1, count + 1, dtype=np.float32)[:, None]
    return hull(still, moved.astype(np.float32))
