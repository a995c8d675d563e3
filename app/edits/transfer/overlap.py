"""Where the tracks of two plans of one video are at the same place."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from app.geometry import areas
from app.plan.records import PlanTrack
from app.types import Boxes

SAME_PLACE = 0.3
"""IoU from which two boxes of one frame are at the same place: boxes of one face by two analyses
differ, and those of two faces that do not cover each other overlap less."""
COVERED = 0.8
"""Share of the frames of a new track that an old one must cover, to speak for all of it. The rest
are frames at its ends, by which analyses differ."""
ALIKE = 0.5
"""Mean IoU of two tracks that show one face."""

Likeness: TypeAlias = NDArray[np.float32]
"""The IoU with another track in each frame of a track, (frames,); 0 without a common frame."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Frames ``first`` to ``last``, both inclusive."""

    first: int
    last: int

    def __len__(self) -> int:
        return self.last + 1 - self.first

    def __str__(self) -> str:
        return f"frames {self.first} to {self.last}" if len(self) > 1 else f"frame {self.first}"


def row_iou(a: Boxes, b: Boxes) -> Likeness:
    """Return the intersection over union of boxes, row by row: (N, 4) and (N, 4) in, (N,) out.

    >>> row_iou(np.float32([[0, 0, 2, 2]]), np.float32([[1, 0, 3, 2]])).round(3).tolist()
    [0.3330000042915344]
    """
    low, high = np.maximum(a[:, :2], b[:, :2]), np.minimum(a[:, 2:], b[:, 2:])
    shared = np.maximum(high - low, 0).prod(axis=1)
    return np.asarray(shared / np.maximum(areas(a) + areas(b) - shared, 1e-9), np.float32)


def likeness(track: PlanTrack, other: PlanTrack) -> Likeness:
    """Return the IoU of a track with another one in each of its own frames."""
    out = np.zeros(len(track.boxes), np.float32)
    first, end = max(track.first, other.first), min(track.last, other.last) + 1
    if first < end:
        ours = track.boxes[first - track.first : end - track.first, 1:]
        theirs = other.boxes[first - other.first : end - other.first, 1:]
        out[first - track.first : end - track.first] = row_iou(ours, theirs)
    return out


def matches(track: PlanTrack, others: Sequence[PlanTrack]) -> dict[int, Likeness]:
    """Return the likeness to each track that is at the same place in at least one frame."""
    found = {
        other.id: likeness(track, other)
        for other in others
        if other.first <= track.last and track.first <= other.last
    }
    return {number: values for number, values in found.items() if values.max() >= SAME_PLACE}


def covers(values: Likeness) -> bool:
    """Return whether the other track covers nearly all of a track, and looks like it."""
    shared = values[values > 0]
    return bool((values >= SAME_PLACE).mean() >= COVERED and shared.mean() >= ALIKE)


def best_of(found: Mapping[int, Likeness], order: Iterable[int]) -> NDArray[np.int64]:
    """Return the number of the best match in each frame, -1 where nothing is at the same place.

    Of equally good ones that which comes first in ``order``.
    """
    numbers = [number for number in order if number in found]
    if not numbers:
        length = max((len(values) for values in found.values()), default=0)
        return np.full(length, -1, np.int64)
    values = np.stack([found[number] for number in numbers])
    best = np.asarray(numbers, np.int64)[values.argmax(axis=0)]
    return np.where(values.max(axis=0) >= SAME_PLACE, best, -1)


def stretches(flags: NDArray[np.bool_], first: int) -> list[Stretch]:
    """Return the stretches of true flags; the first flag is that of the frame ``first``.

    >>> stretches(np.array([True, True, False, True]), 10)
    [Stretch(first=10, last=11), Stretch(first=13, last=13)]
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    pairs = edges.reshape(-1, 2).tolist()
    return [Stretch(first + begin, first + end - 1) for begin, end in pairs]
