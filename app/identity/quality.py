"""How well a chip shows a person: the quality that scales are measured over, and what lowers it.

Quality is a product of factors, one for each way in which a face can be shown badly. They are
those with which quality predicts best how similar a chip is to other photos of the same person,
over photographs of 54 people in 14 conditions (``docs/decisions/identity.md``). Pose is the
exception: few photographs show a profile, in which recognisers do not know people; it loses more.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float32]


class Factor(NamedTuple):
    """What is left of the quality at some values of a measure, linear in between.

    ``flaw`` names the loss.
    """

    flaw: str
    points: tuple[tuple[float, float], ...]

    def at(self, values: Values) -> Values:
        """What is left (k,) at values (k,) of the measure.

        >>> Factor("low", ((2, 0), (4, 1))).at(np.float32([1, 3, 9])).tolist()
        [0.0, 0.5, 1.0]
        """
        places, left = zip(*self.points, strict=True)
        return np.asarray(np.interp(values, places, left), np.float32)


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
"""By the names of ``ChipMeasures``."""
PRESSED = Factor(
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
"""By the quantiser of H.264 for a face of ``REFERENCE_SIDE`` pixels."""
REFERENCE_SIDE = 48.0
PER_DOUBLING = 4.5
"""Quantisers that a face of twice the size can bear: in theory 6, which double the step, but 4.5
fitted best."""
FLAWS = (*(factor.flaw for factor in FACTORS.values()), PRESSED.flaw)


@dataclass(frozen=True, slots=True)
class ChipMeasures:
    """Measures of k chips, as parallel (k,) float32 arrays.

    ``scores`` of the detector, 0..1; ``sizes`` of the face in pixels; ``sharpness``, ``contrast``
    and ``frontality`` as in ``app.faces.quality``; ``visible`` is the part of the face that lies
    inside the picture, 0..1.
    """

    scores: Values
    sizes: Values
    sharpness: Values
    contrast: Values
    frontality: Values
    visible: Values


def rate(measures: ChipMeasures) -> tuple[Values, list[str]]:
    """The quality (k,) in 0..1 of chips, and the worst flaw of each."""
    left = np.stack([factor.at(getattr(measures, name)) for name, factor in FACTORS.items()])
    return left.prod(axis=0), [FLAWS[i] for i in left.argmin(axis=0)]


def pressed(quantiser: float, sizes: Values) -> Values:
    """What compression leaves of the quality of faces of ``sizes`` (k,) in pixels.

    ``quantiser`` should be the largest at several frames of the track: blocks that are copied from
    another frame tell no quantiser of their own.

    >>> [round(float(left), 2) for left in pressed(30.0, np.float32([48, 96]))]
    [0.9, 1.0]
    """
    doublings = np.log2(np.maximum(sizes, 1) / REFERENCE_SIDE)
    return PRESSED.at(np.asarray(quantiser - PER_DOUBLING * doublings, np.float32))
