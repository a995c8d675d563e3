"""Compare a result with the truth of a synthetic video: leaks, spills, and recognition.

All counts are face-frames: one face in one frame. They are summed, never averaged over videos.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

import av
import numpy as np
from numpy.typing import NDArray

from app.faces.chips import align, brighten_dark
from app.geometry import centres
from app.identity.gallery import Gallery
from app.pipeline import Parts
from app.plan import Plan
from app.types import Image
from app.verification.detail import READABLE, readable
from testmedia.truth import Seen, Truth, covered, spilled

EVERY = 6
"""Frames between two attempts to name a face."""
LARGE = 32
"""Width in pixels from which no face may leak."""


@dataclass(frozen=True, slots=True)
class Score:
    """Sums over face-frames of targets (people to hide) and others (people to show).

    ``leaks``: readable targets; ``large_leaks``: those of at least 32 pixels; ``longest``: most
    leaking frames in a row. ``appearances``: stretches in which a target is visible; ``late`` and
    ``early``: those whose first or last frame leaks. ``spills``: hidden others. Of ``asked``
    targets the recogniser named ``named_before`` in the original and ``named`` in the result.
    ``jitter`` sums the squares of the mask's second differences (in face widths) over ``steps``.
    """

    targets: int = 0
    leaks: int = 0
    large_leaks: int = 0
    longest: int = 0
    appearances: int = 0
    late: int = 0
    early: int = 0
    others: int = 0
    spills: int = 0
    asked: int = 0
    named_before: int = 0
    named: int = 0
    jitter: float = 0.0
    steps: int = 0

    def __add__(self, other: Self) -> "Score":
        """Add the sums; the longest run is the longer one."""
        sums = {
            one.name: getattr(self, one.name) + getattr(other, one.name) for one in fields(self)
        }
        return Score(**sums | {"longest": max(self.longest, other.longest)})

    @property
    def unsteadiness(self) -> float:
        """Root mean square of the mask's second difference, in face widths; 0 without a plan."""
        return float(np.sqrt(self.jitter / self.steps)) if self.steps else 0.0


class Attacker:
    """Tries to name faces, with their positions from the original video, and everyone's photos."""

    def __init__(self, parts: Parts, gallery: Gallery) -> None:
        if parts.recogniser is None:
            raise ValueError("the parts need a recogniser")
        self._detector, self._recogniser = parts.detector, parts.recogniser
        self._gallery = gallery
        self._threshold = parts.scale.similarity(float(parts.scale.doubtful(1.0)), 1.0)

    def named(self, pictures: Collection[Image], face: Seen) -> list[bool] | None:
        """Return whether the face is named in each of the images (h, w, 3); the first one is clear.

        The landmarks come from the clear image; the result is None if they are not found there.
        """
        clear = next(iter(pictures))
        x1, y1, x2, y2 = face.box
        side = max(x2 - x1, y2 - y1)
        left, top = max(0, round(x1 - side / 2)), max(0, round(y1 - side / 2))
        part = clear[top : round(y2 + side / 2), left : round(x2 + side / 2)]
        (found,) = self._detector.detect([np.ascontiguousarray(part)])
        if not len(found.boxes):
            return None
        middle = np.asarray([(x1 + x2) / 2 - left, (y1 + y2) / 2 - top])
        best = int(np.linalg.norm(centres(found.boxes) - middle, axis=1).argmin())
        landmarks = (found.landmarks[best] + np.asarray([left, top]))[None].astype(np.float32)
        return [self._names(picture, landmarks, face.person) for picture in pictures]

    def _names(self, picture: Image, landmarks: NDArray[np.float32], person: str) -> bool:
        template, size = self._recogniser.template, self._recogniser.chip_size
        chips = [brighten_dark(chip) for chip in align(picture, landmarks, template, size)]
        embedding = self._recogniser.embed(chips)[0]
        alike = {
            one.name: float((one.embeddings @ embedding).max()) for one in self._gallery.people
        }
        return max(alike, key=lambda name: alike[name]) == person and (
            alike[person] >= self._threshold
        )


def score(
    before: Path,
    after: Path,
    truth: Truth,
    targets: Collection[str],
    *,
    plan: Plan | None = None,
    attacker: Attacker | None = None,
) -> Score:
    """Compare a video with its result; without a plan, others and jitter are not counted.

    Raises:
        ValueError: the numbers of frames differ.
    """
    targets_seen = [face for face in truth.recognisable() if face.person in targets]
    seen: dict[int, list[Seen]] = {}
    for face in targets_seen:
        seen.setdefault(face.frame, []).append(face)
    leaks: set[tuple[str, int]] = set()
    large, names = 0, []
    for number, pictures in enumerate(_pairs(before, after)):
        for face in seen.get(number, ()):
            if readable(*pictures, face.box) > READABLE:
                leaks.add((face.person, number))
                large += face.width >= LARGE
            if attacker is not None and number % EVERY == 0:
                names.append(attacker.named(pictures, face))
    asked = [name for name in names if name is not None]
    others = [face for face in truth.recognisable() if face.person not in targets]
    jitter, steps = _jitter(targets_seen, plan, truth)
    return Score(
        targets=len(targets_seen),
        leaks=len(leaks),
        large_leaks=large,
        asked=len(asked),
        named_before=sum(name[0] for name in asked),
        named=sum(name[1] for name in asked),
        others=len(others) if plan is not None else 0,
        spills=len(spilled(truth, plan, targets)) if plan is not None else 0,
        jitter=jitter,
        steps=steps,
        **_runs(targets_seen, leaks),
    )


def _pairs(before: Path, after: Path) -> Iterator[tuple[Image, Image]]:
    """Yield each frame of both videos."""
    with av.open(str(before)) as one, av.open(str(after)) as other:
        for frames in zip(one.decode(video=0), other.decode(video=0), strict=True):
            first, second = (frame.to_ndarray(format="rgb24") for frame in frames)
            yield np.asarray(first, np.uint8), np.asarray(second, np.uint8)


def appearances(faces: Collection[Seen]) -> list[tuple[str, int, int]]:
    """Return stretches (person, first, last) of consecutive frames in which a person is visible."""
    found: list[tuple[str, int, int]] = []
    for person, frame in sorted({(face.person, face.frame) for face in faces}):
        if found and found[-1][0] == person and found[-1][2] == frame - 1:
            found[-1] = (person, found[-1][1], frame)
        else:
            found.append((person, frame, frame))
    return found


def _runs(faces: Collection[Seen], leaks: Collection[tuple[str, int]]) -> Mapping[str, int]:
    longest = 0
    stretches = appearances(faces)
    for person, first, last in stretches:
        run = 0
        for frame in range(first, last + 1):
            run = run + 1 if (person, frame) in leaks else 0
            longest = max(longest, run)
    return {
        "longest": longest,
        "appearances": len(stretches),
        "late": sum((person, first) in leaks for person, first, _ in stretches),
        "early": sum((person, last) in leaks for person, _, last in stretches),
    }


def _jitter(faces: Collection[Seen], plan: Plan | None, truth: Truth) -> tuple[float, int]:
    """Return sum of squares and number of the second differences of the mask's position."""
    if plan is None:
        return 0.0, 0
    places: dict[tuple[str, int], NDArray[np.float64]] = {}
    for face in faces:
        boxes = plan.regions_at(face.frame)
        if not len(boxes):
            continue
        shares = [covered(face.box, box[None], truth.size) for box in boxes]
        box, own = boxes[int(np.argmax(shares))], np.asarray(face.box)
        middle = (box[:2] + box[2:] - own[:2] - own[2:]) / 2 / face.width
        places[face.person, face.frame] = np.append(middle, (box[2] - box[0]) / face.width)
    steps = [
        places[person, frame - 1] - 2 * place + places[person, frame + 1]
        for (person, frame), place in places.items()
        if (person, frame - 1) in places and (person, frame + 1) in places
    ]
    return float(np.square(steps).sum()), len(steps)
