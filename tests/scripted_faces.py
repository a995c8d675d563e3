"""Faces whose place in every frame is a function, and a looker that sees exactly these."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from app.geometry import iou
from app.tracking.observations import Observation, Tracklet
from app.tracking.tracker import ShotTracker
from app.types import Boxes, Faces

Place = Callable[[int], tuple[float, float]]
REACH = 1.25
"""Half the side of a crop, divided by the longer side of its box."""
MAX_GAP = 25


def straight(x: float, y: float, speed: float = 0.0, down: float = 0.0) -> Place:
    """A centre that moves by ``speed`` and ``down`` pixels per frame."""
    return lambda frame: (x + speed * frame, y + down * frame)


@dataclass(frozen=True)
class Scripted:
    """A square face that is in frames [enter, leave).

    No look sees it in the frames ``missed``, and only crops do in the frames ``overlooked``.
    A ``distant`` face is too small for a quick look.
    """

    place: Place
    enter: int = 0
    leave: int = 10**6
    side: float = 60.0
    score: float = 0.9
    missed: Collection[int] = ()
    overlooked: Collection[int] = ()
    distant: bool = False

    def there(self, frame: int) -> bool:
        return self.enter <= frame < self.leave and frame not in self.missed

    def box(self, frame: int) -> Boxes:
        x, y = self.place(frame)
        half = self.side / 2
        return np.asarray([x - half, y - half, x + half, y + half], np.float32)


@dataclass
class ScriptedLooker:
    """Sees the faces of a script and records its looks. The first landmark's x is the number
    of the face in the script."""

    faces: list[Scripted]
    full_looks: list[int] = field(default_factory=list)
    quick_looks: list[int] = field(default_factory=list)
    crops: list[int] = field(default_factory=list)
    """The frame of every crop; a look near three boxes counts three times."""
    duration: Fraction = Fraction(1, 25)
    glimpsed: dict[int, Boxes] = field(default_factory=dict)

    def detect_all(self, frame: int) -> Faces:
        self.full_looks.append(frame)
        return self._see(frame, [f for f in self.faces if frame not in f.overlooked])

    def detect_large(self, frame: int) -> Faces:
        self.quick_looks.append(frame)
        clear = [f for f in self.faces if frame not in f.overlooked and not f.distant]
        return self._see(frame, clear)

    def detect_near(self, frame: int, boxes: Boxes, reach: float = 1.0) -> Faces:
        self.crops += [frame] * len(boxes)
        near = [f for f in self.faces if any(self._inside(f, frame, box, reach) for box in boxes)]
        return self._see(frame, near)

    def durations(self, first: int, last: int) -> list[Fraction]:
        return [self.duration] * (last - first)

    def glimpses(self, first: int, last: int) -> dict[int, Boxes]:
        return {n: boxes for n, boxes in self.glimpsed.items() if first < n < last}

    def correlations(self, first: int, boxes: Boxes) -> NDArray[np.float32]:
        """1 if neighbouring boxes show faces of one path, or no face both times; else 0."""
        shown = [self._shown(frame, box) for frame, box in enumerate(boxes, first)]
        return np.asarray([a is b for a, b in pairwise(shown)], np.float32)

    def _shown(self, frame: int, box: Boxes) -> Place | None:
        there = [f for f in self.faces if f.enter <= frame < f.leave]
        if not there:
            return None
        shared = iou(box[None], np.stack([f.box(frame) for f in there]))[0]
        return there[int(shared.argmax())].place if shared.max() > 0.5 else None

    @staticmethod
    def _inside(face: Scripted, frame: int, box: Boxes, reach: float) -> bool:
        middle = (box[:2] + box[2:]) / 2
        side = reach * REACH * float((box[2:] - box[:2]).max())
        return bool((np.abs(np.asarray(face.place(frame)) - middle) < side).all())

    def _see(self, frame: int, among: Iterable[Scripted]) -> Faces:
        seen = [f for f in among if f.there(frame)]
        if not seen:
            return Faces.empty()
        landmarks = np.zeros((len(seen), 5, 2), np.float32)
        landmarks[:, 0, 0] = [self.faces.index(f) for f in seen]
        return Faces(
            np.stack([f.box(frame) for f in seen]),
            np.asarray([f.score for f in seen], np.float32),
            landmarks,
        )


def follow(
    faces: list[Scripted], frames: int, step: int, max_gap: int = MAX_GAP
) -> tuple[list[Tracklet], ScriptedLooker]:
    """Track a shot of ``frames`` frames with a full look every ``step`` frames and at the last."""
    looker = ScriptedLooker(faces)
    tracker = ShotTracker(looker, 0, max_gap)
    for frame in sorted({*range(step, frames, step), frames - 1} - {0}):
        tracker.advance(frame)
    return tracker.tracklets, looker


def face_number(observation: Observation) -> int:
    """The number of the observed face."""
    return int(observation.landmarks[0, 0])


def tracklets_of(tracklets: Iterable[Tracklet], face: int) -> list[Tracklet]:
    """The tracklets that begin with a face of the script, sorted by first frame."""
    return sorted(
        (t for t in tracklets if face_number(t.observations[0]) == face), key=lambda t: t.first
    )


def tracklet(*boxes: tuple[int, float, float, float], score: float = 0.9) -> Tracklet:
    """A tracklet of square boxes, given by frame, x and y of the centre, and side."""
    return Tracklet([observation(*box, score=score) for box in boxes])


def observation(frame: int, x: float, y: float, side: float, *, score: float = 0.9) -> Observation:
    half = side / 2
    box = np.asarray([x - half, y - half, x + half, y + half], np.float32)
    return Observation(frame, box, score, np.zeros((5, 2), np.float32))
