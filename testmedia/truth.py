"""The faces of a synthetic video, and the leaks and spills of a plan."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import numpy as np

from app.geometry import centres, grow
from app.types import Boxes, Size


class Hides(Protocol):
    """A plan, or anything else that lists the hidden boxes of a frame."""

    def regions_at(self, frame: int) -> Boxes:
        """Return the boxes (N, 4) hidden in a frame."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One face in one frame.

    ``box`` is x1, y1, x2, y2 in pixels and may extend beyond the frame. ``visible`` is the part
    (0..1) of the box inside the frame and not occluded, ``light`` (0..1) the brightness during a
    fade.
    """

    frame: int
    person: str
    box: tuple[float, float, float, float]
    visible: float
    light: float

    @property
    def width(self) -> float:
        """Width of the face in pixels."""
        return self.box[2] - self.box[0]


@dataclass(frozen=True, slots=True)
class Truth:
    """The truth of a synthetic video: ``cuts`` are the first frames of all shots but the first."""

    size: Size
    rate: Fraction
    frames: int
    cuts: tuple[int, ...]
    faces: tuple[Seen, ...]

    @property
    def people(self) -> frozenset[str]:
        """The names of all people who appear."""
        return frozenset(face.person for face in self.faces)

    def at(self, frame: int) -> tuple[Seen, ...]:
        """Return the faces of one frame."""
        return tuple(face for face in self.faces if face.frame == frame)

    def recognisable(self, *, visible: float = 0.6, light: float = 0.3) -> Iterator[Seen]:
        """Yield the faces that are visible to at least ``visible``, in at least ``light``."""
        return (face for face in self.faces if face.visible >= visible and face.light >= light)


def covered(box: tuple[float, float, float, float], boxes: Boxes, size: Size) -> float:
    """Return the part (0..1) of ``box`` inside the frame that is covered by ``boxes`` (N, 4).

    >>> hidden = np.float32([[0, 0, 6, 10], [4, 0, 8, 10]])
    >>> covered((0, 0, 10, 10), hidden, (100, 100))
    0.8
    >>> covered((-10, 0, 8, 10), hidden, (100, 100))
    1.0
    """
    low, high = np.zeros(2), np.asarray(size, float)
    corners = np.clip(np.asarray(box, float).reshape(2, 2), low, high)
    parts = np.clip(np.asarray(boxes, float).reshape(-1, 2, 2), corners[0], corners[1])
    xs = np.unique(np.concatenate([corners[:, 0], parts[:, :, 0].ravel()]))
    ys = np.unique(np.concatenate([corners[:, 1], parts[:, :, 1].ravel()]))
    x, y = (xs[:-1] + xs[1:]) / 2, (ys[:-1] + ys[1:]) / 2
    across = (parts[:, 0, None, 0] <= x) & (x <= parts[:, 1, None, 0])
    down = (parts[:, 0, None, 1] <= y) & (y <= parts[:, 1, None, 1])
    cells = np.diff(ys)[:, None] * np.diff(xs)[None, :]
    inside = (down[:, :, None] & across[:, None, :]).any(axis=0)
    return float(cells[inside].sum() / cells.sum()) if cells.sum() > 0 else 1.0


def leaked(
    truth: Truth,
    plan: Hides,
    people: Collection[str],
    *,
    share: float = 0.8,
    visible: float = 0.6,
    margin: float = 0.0,
) -> list[Seen]:
    """Return the recognisable face-frames of ``people`` that are hidden by less than ``share``.

    The boxes are those of the plan, enlarged by ``margin`` of a box on each side. Without a margin,
    ``share`` should be at most 0.8: CenterFace's own boxes cover at least 0.8 of the face for 99 %
    of the faces in ``testmedia.scenes``, and at least 0.9 for 75 %. An effect adds 0.2.
    """
    return [
        face
        for face in truth.recognisable(visible=visible)
        if face.person in people
        and covered(face.box, grow(plan.regions_at(face.frame), 1 + 2 * margin), truth.size) < share
    ]


def spilled(
    truth: Truth, plan: Hides, people: Collection[str], *, share: float = 0.5, visible: float = 0.6
) -> list[Seen]:
    """Return the recognisable face-frames of people other than ``people`` that are hidden.

    A face counts if at least ``share`` of it is hidden by boxes that are not around a face of
    ``people``: standing next to a hidden person does not count.
    """
    hidden = {frame: plan.regions_at(frame) for frame in {face.frame for face in truth.faces}}
    wanted: dict[int, list[Seen]] = {}
    for face in truth.faces:
        if face.person in people:
            wanted.setdefault(face.frame, []).append(face)
    return [
        face
        for face in truth.recognisable(visible=visible)
        if face.person not in people
        and covered(
            face.box, _not_around(hidden[face.frame], wanted.get(face.frame, [])), truth.size
        )
        >= share
    ]


def _not_around(boxes: Boxes, faces: list[Seen]) -> Boxes:
    """Return the boxes whose centre is in none of ``faces``."""
    middle = centres(boxes)
    out = np.ones(len(boxes), bool)
    for face in faces:
        x1, y1, x2, y2 = face.box
        inside = (middle >= (x1, y1)) & (middle <= (x2, y2))
        out &= ~inside.all(axis=1)
    return boxes[out]
