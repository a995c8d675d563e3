"""Pure functions on boxes: (N, 4) float32, ``x1, y1, x2, y2`` in pixels."""

import numpy as np
from numpy.typing import NDArray

from app.types import Boxes, Region, Scores, Size


def areas(boxes: Boxes) -> NDArray[np.float32]:
    """Return the areas of boxes, (N,) in square pixels.

    >>> areas(np.float32([[0, 0, 2, 3], [1, 1, 1, 5]])).tolist()
    [6.0, 0.0]
    """
    sides = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    return np.asarray(sides[:, 0] * sides[:, 1], np.float32)


def centres(boxes: Boxes) -> NDArray[np.float32]:
    """Return the centres of boxes, (N, 2) as x, y.

    >>> centres(np.float32([[0, 0, 2, 4]])).tolist()
    [[1.0, 2.0]]
    """
    return np.asarray((boxes[:, :2] + boxes[:, 2:]) / 2, np.float32)


def intersections(a: Boxes, b: Boxes) -> NDArray[np.float32]:
    """Return the shared area of each pair: (N, 4) and (M, 4) in, (N, M) square pixels out.

    >>> intersections(np.float32([[0, 0, 2, 2]]), np.float32([[1, 1, 3, 3], [5, 5, 6, 6]])).tolist()
    [[1.0, 0.0]]
    """
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    sides = np.maximum(high - low, 0)
    return np.asarray(sides[..., 0] * sides[..., 1], np.float32)


def iou(a: Boxes, b: Boxes) -> NDArray[np.float32]:
    """Return the intersection over union of each pair: (N, 4) and (M, 4) in, (N, M) in 0..1 out.

    It is 0 for a box without area.

    >>> iou(np.float32([[0, 0, 2, 2]]), np.float32([[0, 0, 2, 2], [1, 0, 3, 2]])).round(3).tolist()
    [[1.0, 0.3330000042915344]]
    """
    shared = intersections(a, b)
    union = areas(a)[:, None] + areas(b)[None, :] - shared
    out = np.zeros(shared.shape, np.float32)
    np.divide(shared, union, out=out, where=union > 0)
    return out


def suppress_overlaps(boxes: Boxes, scores: Scores, max_iou: float) -> NDArray[np.intp]:
    """Greedy non-maximum suppression: return the indices of the boxes to keep, best first.

    A box is dropped if its intersection over union with a kept box of higher score is above
    ``max_iou``.

    >>> boxes = np.float32([[0, 0, 10, 10], [1, 0, 11, 10], [20, 0, 30, 10]])
    >>> suppress_overlaps(boxes, np.float32([0.5, 0.9, 0.4]), 0.3).tolist()
    [1, 2]
    """
    left = np.argsort(-scores, kind="stable")
    kept = []
    while left.size:
        kept.append(left[0])
        left = left[1:][iou(boxes[left[:1]], boxes[left[1:]])[0] <= max_iou]
    return np.asarray(kept, np.intp)


def grow(boxes: Boxes, factor: float) -> Boxes:
    """Multiply both sides of boxes by ``factor``, around their centres.

    >>> grow(np.float32([[0, 0, 10, 20]]), 2.0).tolist()
    [[-5.0, -10.0, 15.0, 30.0]]
    """
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]) * (factor / 2)
    return np.concatenate([middle - half, middle + half], axis=1).astype(np.float32)


def hull(a: Boxes, b: Boxes) -> Boxes:
    """Return the smallest boxes that contain ``a`` and ``b``, row by row.

    >>> hull(np.float32([[0, 0, 2, 2]]), np.float32([[1, -1, 3, 1]])).tolist()
    [[0.0, -1.0, 3.0, 2.0]]
    """
    return np.concatenate(
        [np.minimum(a[:, :2], b[:, :2]), np.maximum(a[:, 2:], b[:, 2:])], axis=1
    ).astype(np.float32)


def clip_to_pixels(box: Boxes, size: Size) -> Region | None:
    """Return the whole pixels that a (4,) box touches in a frame of ``size``, or None if none.

    >>> clip_to_pixels(np.float32([-3.5, 1.2, 4.1, 9]), (100, 5))
    (0, 1, 5, 5)
    >>> clip_to_pixels(np.float32([-9, 0, -1, 5]), (100, 5)) is None
    True
    """
    width, height = size
    x1, y1 = (max(0, int(np.floor(v))) for v in box[:2])
    x2 = min(width, int(np.ceil(box[2])))
    y2 = min(height, int(np.ceil(box[3])))
    return (x1, y1, x2, y2) if x1 < x2 and y1 < y2 else None


def moved_inside(boxes: Boxes, size: Size) -> Boxes:
    """Move (N, 4) boxes that lie outside a frame of ``size`` until one pixel lies inside.

    >>> moved_inside(np.float32([[-50, 10, -20, 30], [5, 5, 9, 9]]), (100, 100)).tolist()
    [[-29.0, 10.0, 1.0, 30.0], [5.0, 5.0, 9.0, 9.0]]
    """
    low, high = boxes[:, :2], boxes[:, 2:]
    shift = np.maximum(0, 1 - high) + np.minimum(0, np.asarray(size, np.float32) - 1 - low)
    return np.asarray(boxes + np.tile(shift, 2), np.float32)
