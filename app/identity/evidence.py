"""What is known of a track, and how strongly it is like a person."""

from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from app.identity.scale import Scale
from app.types import Boxes, Embeddings

Measures = NDArray[np.float32]

ONE_PERSON = 0.55
STEP = 0.25
"""Tracks alike with more than this strength are rather one person; a step more or less is as much
as a distance of one face between them. Lower than the strengths of photos, as more speaks for one
person: the same shot, and a place that can be reached."""
LEAST_QUALITY = 1e-3
"""Keeps means defined where all chips have quality 0."""
NOTHING = -100.0
"""Strength where there is nothing to compare."""
REACH = 4
"""Frames around a chip that it speaks for: chips are at least eight frames apart, and the frames in
between belong to the nearer one."""
NO_FACE = "no clear view"
"""Flaw of a track without any chip."""


def no_boxes() -> Boxes:
    """No boxes, (0, 4)."""
    return np.zeros((0, 4), np.float32)


def no_frames() -> NDArray[np.int64]:
    """No frames, (0,)."""
    return np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a track: where it was seen, and its best chips.

    ``shot`` and ``first``, ``last`` (frames, inclusive) say where; ``embeddings`` (k, D) of unit
    length, ``qualities`` (k,) in 0..1, ``sizes`` (k,) in pixels and ``frames`` (k,) describe its
    chips. ``flaw`` says in words what makes its best chips weak. ``known`` is the index of the
    person whom the track was pointed out to be, if it was. ``boxes`` has a box for each frame from
    ``first`` on where places matter, else none.
    """

    shot: int
    first: int
    last: int
    embeddings: Embeddings
    qualities: Measures
    sizes: Measures
    frames: NDArray[np.int64] = field(default_factory=no_frames)
    flaw: str = NO_FACE
    known: int | None = None
    boxes: Boxes = field(default_factory=no_boxes)

    def meets(self, other: "Evidence") -> bool:
        """Whether both tracks were seen in some frame."""
        return self.shot == other.shot and self.first <= other.last and other.first <= self.last

    def between(self, first: int, last: int) -> "Evidence":
        """The same track in fewer frames."""
        return replace(self, first=first, last=last)

    @property
    def quality(self) -> float:
        """The mean quality of the better half of the chips; 0 without any.

        Not the best one alone: it may owe its quality to landmarks that are wrong.
        """
        if not len(self.qualities):
            return 0.0
        ordered = np.sort(self.qualities.astype(np.float64))[::-1]
        return float(ordered[: (len(ordered) + 1) // 2].mean())


class Reading(NamedTuple):
    """How strongly a track is like a person, and between which frames its chips say so."""

    strength: float
    span: tuple[int, int]


def read(track: Evidence, known: Embeddings, scale: Scale) -> Reading:
    """The strength of a track with a person of embeddings (n, D).

    The similarity is the mean over the better half of the track's chips, weighed by their quality,
    of that to the nearest embedding. Not the best chip alone: one odd chip of a long track is like
    anybody. The span reaches from the first to the last chip that might be the person.
    """
    if not len(track.embeddings) or not len(known):
        return Reading(NOTHING, (track.last + 1, track.first - 1))
    nearest = (track.embeddings @ known.T).max(axis=1).astype(np.float64)
    qualities = track.qualities.astype(np.float64)
    strengths = scale.strength(nearest, qualities)
    order = np.argsort(-strengths * qualities, kind="stable")
    half = order[: (len(order) + 1) // 2]
    mean = np.average(nearest[half], weights=np.maximum(qualities[half], LEAST_QUALITY))
    like = strengths >= scale.doubtful(qualities)
    return Reading(float(scale.strength(mean, track.quality)), _span(track, like))


def _span(track: Evidence, like: NDArray[np.bool_]) -> tuple[int, int]:
    """First and last frame around the chips that are ``like`` (k,); without times all frames."""
    if not len(track.frames):
        return track.first, track.last
    frames = track.frames[like]
    if not len(frames):
        return track.last + 1, track.first - 1
    return max(track.first, int(frames.min()) - REACH), min(track.last, int(frames.max()) + REACH)


class Chips(Protocol):
    """Chips of a track: embeddings (k, D) of unit length, and qualities (k,) in 0..1."""

    @property
    def embeddings(self) -> Embeddings:
        """(k, D)."""

    @property
    def qualities(self) -> Measures:
        """(k,)."""


def alike(one: Chips, other: Chips, scale: Scale) -> float | None:
    """How much two tracks of one shot look like one person: -2..1, above 0 for it.

    By the most alike pair of chips among those that can be trusted; None without any chips. The
    weaker the pair, the nearer to 0.
    """
    if not len(one.qualities) or not len(other.qualities):
        return None
    trust = np.minimum(one.qualities[:, None], other.qualities[None]).astype(np.float64)
    strengths = scale.strength(one.embeddings @ other.embeddings.T, trust)
    strengths[trust < trust.max() / 2] = -np.inf
    best = np.unravel_index(int(strengths.argmax()), strengths.shape)
    return float(np.clip((strengths[best] - ONE_PERSON) / STEP, -2, 1) * trust[best])
