"""Evidence of a track: the quality of its chips, and how strongly it resembles people and tracks.

Quality tells how well a chip shows a person. It is a product of factors, one per kind of flaw. They
were fitted so that quality best predicts the similarity of a chip with other photos of the same
person, over photographs of 54 people in 14 conditions (``docs/decisions/identity.md``). Pose is the
exception: it lowers quality further, as few of the photographs show a profile, in which recognisers
do not recognise people.
"""

from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from app.identity.scale import Scale
from app.types import Boxes, Embeddings

Values = NDArray[np.float32]

REFERENCE_SIDE = 48.0
QUANTISER_PER_DOUBLING = 4.5
"""Increase of the quantiser that makes up for twice the face size: in theory 6, which doubles the
quantiser step, but 4.5 fitted best."""
AFFINITY_MIDPOINT = 0.55
AFFINITY_STEP = 0.25
"""Two tracklets are more likely one person if their strength is above the midpoint. A step more or
less counts as much as a distance of one face between them. The midpoint is lower than for photos,
because the same shot and nearby positions are further evidence for one person."""
MIN_WEIGHT = 1e-3
"""Keeps means defined if all chips have quality 0."""
NO_STRENGTH = -100.0
"""Strength if there is nothing to compare."""
CHIP_REACH = 4
"""Frames before and after a chip that it represents. Chips are at least eight frames apart, and the
frames between two of them belong to the nearer one."""
NO_CLEAR_VIEW = "no clear view"
"""Flaw of a track without chips."""


class Factor(NamedTuple):
    """A factor of the quality as a function of a measure: linear between ``points``.

    Points are pairs of measure and factor. ``flaw`` describes a low factor.
    """

    flaw: str
    points: tuple[tuple[float, float], ...]

    def evaluate(self, measures: Values) -> Values:
        """Return the factors (k,) of measures (k,).

        >>> Factor("low", ((2, 0), (4, 1))).evaluate(np.float32([1, 3, 9])).tolist()
        [0.0, 0.5, 1.0]
        """
        known, factors = zip(*self.points, strict=True)
        return np.asarray(np.interp(measures, known, factors), np.float32)


FACTORS: dict[str, Factor] = {
    "scores": Factor("barely detected", ((0.15, 0.0), (0.3, 1.0))),
    "sizes": Factor("too small", ((8, 0.0), (16, 0.43), (24, 0.79), (40, 1.0))),
    "sharpness": Factor(
        "out of focus",
        ((0, 0.0), (0.06, 0.22), (0.12, 0.4), (0.16, 0.5), (0.25, 0.93), (0.35, 1.0)),
    ),
    "contrast": Factor(
        "too dark", ((0, 0.0), (0.004, 0.22), (0.01, 0.47), (0.02, 0.77), (0.03, 1.0))
    ),
    "frontality": Factor("in profile", ((0, 0.3), (0.1, 0.5), (0.2, 0.85), (0.45, 1.0))),
    "visible": Factor("cut off by the border", ((0, 0.0), (0.3, 0.23), (0.6, 0.77), (0.8, 1.0))),
}
"""By the fields of ``ChipMeasures``."""
COMPRESSION = Factor(
    "too strongly compressed",
    (
        (26, 1.0),
        (30, 0.9),
        (33, 0.82),
        (36, 0.72),
        (38.5, 0.6),
        (41.5, 0.41),
        (44.5, 0.28),
        (48, 0.2),
    ),
)
"""The factor of compression, by the quantiser of H.264 for a face of ``REFERENCE_SIDE`` pixels."""
FLAWS = (*(factor.flaw for factor in FACTORS.values()), COMPRESSION.flaw)


@dataclass(frozen=True, slots=True)
class ChipMeasures:
    """Measures of k chips, as parallel (k,) float32 arrays.

    ``scores`` of the detector, 0..1; ``sizes`` of the face in pixels; ``sharpness``, ``contrast``
    and ``frontality`` as in ``app.faces.chips``; ``visible`` is the fraction of the face inside
    the frame, 0..1.
    """

    scores: Values
    sizes: Values
    sharpness: Values
    contrast: Values
    frontality: Values
    visible: Values


def rate_chips(measures: ChipMeasures) -> tuple[Values, list[str]]:
    """Return the quality (k,) of chips in 0..1, and the main flaw of each."""
    factors = np.stack(
        [factor.evaluate(getattr(measures, name)) for name, factor in FACTORS.items()]
    )
    return factors.prod(axis=0), [FLAWS[i] for i in factors.argmin(axis=0)]


def compression_factor(quantiser: float, sizes: Values) -> Values:
    """Return the quality factor of compression for faces of ``sizes`` (k,) in pixels.

    ``quantiser`` should be the largest over several frames of the track: blocks that are copied
    from another frame have no quantiser of their own.

    >>> [round(float(factor), 2) for factor in compression_factor(30.0, np.float32([48, 96]))]
    [0.9, 1.0]
    """
    doublings = np.log2(np.maximum(sizes, 1) / REFERENCE_SIDE)
    equivalent = quantiser - QUANTISER_PER_DOUBLING * doublings
    return COMPRESSION.evaluate(np.asarray(equivalent, np.float32))


def _no_boxes() -> Boxes:
    return np.zeros((0, 4), np.float32)


def _no_frames() -> NDArray[np.int64]:
    return np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where a track was seen, and its best chips.

    ``shot``, ``first`` and ``last`` (frames, inclusive) say when. ``embeddings`` (k, D) of unit
    length, ``qualities`` (k,) in 0..1, ``sizes`` (k,) in pixels and ``frames`` (k,) describe its
    chips. ``flaw`` names the main weakness of its best chips. ``selected`` is the index of the
    person that the user selected in this track, if any. ``boxes`` has a box for each frame from
    ``first`` on, or none if positions do not matter.
    """

    shot: int
    first: int
    last: int
    embeddings: Embeddings
    qualities: Values
    sizes: Values
    frames: NDArray[np.int64] = field(default_factory=_no_frames)
    flaw: str = NO_CLEAR_VIEW
    selected: int | None = None
    boxes: Boxes = field(default_factory=_no_boxes)

    def overlaps(self, other: "Evidence") -> bool:
        """Return whether both tracks have a frame in common."""
        return self.shot == other.shot and self.first <= other.last and other.first <= self.last

    def limited_to(self, first: int, last: int) -> "Evidence":
        """Return the same track with other first and last frames."""
        return replace(self, first=first, last=last)

    @property
    def quality(self) -> float:
        """The mean quality of the better half of the chips; 0 without chips.

        One chip is not enough, because wrong landmarks can give a single chip a high quality.
        """
        if not len(self.qualities):
            return 0.0
        ordered = np.sort(self.qualities.astype(np.float64))[::-1]
        return float(ordered[: (len(ordered) + 1) // 2].mean())


class Comparison(NamedTuple):
    """How strongly a track resembles a person, and the frames ``span`` in which its chips do."""

    strength: float
    span: tuple[int, int]


def compare_track(track: Evidence, person: Embeddings, scale: Scale) -> Comparison:
    """Compare a track with the embeddings (n, D) of a person.

    The similarity of a chip is that to the nearest embedding. The similarity of the track is the
    mean over the better half of its chips, weighted by quality. One chip is not enough, because in
    a long track some chip resembles anybody. The span goes from the first to the last chip that
    may be the person.
    """
    if not len(track.embeddings) or not len(person):
        return Comparison(NO_STRENGTH, (track.last + 1, track.first - 1))
    nearest = (track.embeddings @ person.T).max(axis=1).astype(np.float64)
    qualities = track.qualities.astype(np.float64)
    strengths = scale.strength(nearest, qualities)
    order = np.argsort(-strengths * qualities, kind="stable")
    half = order[: (len(order) + 1) // 2]
    mean = np.average(nearest[half], weights=np.maximum(qualities[half], MIN_WEIGHT))
    similar = strengths >= scale.doubtful(qualities)
    return Comparison(float(scale.strength(mean, track.quality)), _span(track, similar))


def _span(track: Evidence, similar: NDArray[np.bool_]) -> tuple[int, int]:
    """Return the frames around the ``similar`` (k,) chips; all frames if chips have no times."""
    if not len(track.frames):
        return track.first, track.last
    frames = track.frames[similar]
    if not len(frames):
        return track.last + 1, track.first - 1
    first, last = int(frames.min()) - CHIP_REACH, int(frames.max()) + CHIP_REACH
    return max(track.first, first), min(track.last, last)


class ChipSet(Protocol):
    """Chips of a tracklet: embeddings (k, D) of unit length, and qualities (k,) in 0..1."""

    @property
    def embeddings(self) -> Embeddings:
        """(k, D)."""

    @property
    def qualities(self) -> Values:
        """(k,)."""


def affinity(one: ChipSet, other: ChipSet, scale: Scale) -> float | None:
    """Return how much two tracklets of one shot look like one person: -2..1, 0 is undecided.

    It is the value of the most similar pair among the more reliable pairs of chips, scaled towards
    0 by low quality. None if one of the tracklets has no chips.
    """
    if not len(one.qualities) or not len(other.qualities):
        return None
    quality = np.minimum(one.qualities[:, None], other.qualities[None]).astype(np.float64)
    strengths = scale.strength(one.embeddings @ other.embeddings.T, quality)
    strengths[quality < quality.max() / 2] = -np.inf
    best = np.unravel_index(int(strengths.argmax()), strengths.shape)
    score = (strengths[best] - AFFINITY_MIDPOINT) / AFFINITY_STEP
    return float(np.clip(score, -2, 1) * quality[best])
