"""The quality of chips: how well each shows a person, and its main flaw.

Quality is a product of factors, one per kind of flaw. They were fitted so that quality best
predicts the similarity of a chip with other photos of the same person, over photographs of 54
people in 14 conditions (``docs/decisions/identity.md``). Pose is the exception: it lowers quality
further, as few of the photographs show a profile, in which recognisers do not recognise people.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float32]


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
    "scores": Factor("hardly found", ((0.15, 0.0), (0.3, 1.0))),
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
    "pressed too hard",
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
REFERENCE_SIDE = 48.0
QUANTISER_PER_DOUBLING = 4.5
"""Increase of the quantiser that makes up for twice the face size: in theory 6, which doubles the
quantiser step, but 4.5 fitted best."""
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
