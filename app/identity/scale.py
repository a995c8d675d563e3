"""The scale of a recogniser: the meaning of its similarities, by the quality of a track.

Recognisers produce different cosines: the same person may score 0.95 or 0.6, strangers 0.85 or 0.
So all comparisons of people use *strengths*: 0 is the median similarity of strangers, 1 is the
similarity from which a match is sure. A scale has three curves over the quality of a track
(``app.identity.evidence``); ``bench/identity.py`` measures them for a pack.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

Values = NDArray[np.float64]


class Knot(NamedTuple):
    """Similarities at one quality, -1..1.

    ``stranger``: the median of strangers. ``doubtful``: at most 1 in 100 tracks of the right person
    are below it. ``sure``: at most 1 in 1,000 strangers reach it.
    """

    quality: float
    stranger: float
    doubtful: float
    sure: float


@dataclass(frozen=True, slots=True)
class Scale:
    """Curves through ``knots`` of rising quality, linear in between and flat outside.

    Below the quality of the first knot, the right person cannot be distinguished from others.

    Raises:
        ValueError: there are no knots, or their numbers are not in order.
    """

    knots: tuple[Knot, ...]
    _rows: Values = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        rows = np.asarray(self.knots, np.float64).reshape(-1, 4)
        rising = bool((np.diff(rows[:, 0]) > 0).all())
        ordered = bool(((rows[:, 1] < rows[:, 3]) & (rows[:, 2] <= rows[:, 3])).all())
        if not (len(rows) and rising and ordered and np.isfinite(rows).all()):
            raise ValueError(
                "a scale needs knots of rising quality, each with stranger < sure and doubtful <="
                f" sure; got {self.knots}"
            )
        object.__setattr__(self, "_rows", rows)

    @classmethod
    def flat(cls, *, stranger: float, doubtful: float, sure: float, least: float = 0.0) -> Self:
        """Return a scale with the same similarities at all qualities from ``least`` on.

        >>> scale = Scale.flat(stranger=0.0, doubtful=0.3, sure=0.4)
        >>> float(scale.strength(0.2, 1.0)), float(scale.doubtful(1.0))
        (0.5, 0.7499999999999999)
        """
        return cls((Knot(least, stranger, doubtful, sure),))

    def changed(self, *, doubtful: float | None = None, sure: float | None = None) -> "Scale":
        """Return a copy with one ``doubtful`` or ``sure`` for all qualities.

        Raises:
            ValueError: they contradict the rest of the scale.
        """
        return Scale(
            tuple(
                knot._replace(
                    doubtful=knot.doubtful if doubtful is None else doubtful,
                    sure=knot.sure if sure is None else sure,
                )
                for knot in self.knots
            )
        )

    @property
    def least(self) -> float:
        """The quality below which people cannot be distinguished."""
        return float(self._rows[0, 0])

    def strength(self, similarity: ArrayLike, quality: ArrayLike) -> Values:
        """Return the strengths of similarities of tracks or chips of a quality (equal shapes)."""
        stranger, sure = self._curve(quality, 1), self._curve(quality, 3)
        return np.asarray((np.asarray(similarity, np.float64) - stranger) / (sure - stranger))

    def doubtful(self, quality: ArrayLike) -> Values:
        """Return the strength from which a track of a quality may be a person."""
        return self.strength(self._curve(quality, 2), quality)

    def similarity(self, strength: float, quality: float) -> float:
        """Return the similarity that has a strength at a quality."""
        stranger, sure = self._curve(quality, 1), self._curve(quality, 3)
        return float(stranger + strength * (sure - stranger))

    def _curve(self, quality: ArrayLike, column: int) -> Values:
        qualities = np.asarray(quality, np.float64)
        return np.asarray(np.interp(qualities, self._rows[:, 0], self._rows[:, column]))


def knots(rows: Sequence[Sequence[float]]) -> tuple[Knot, ...]:
    """Return knots from rows of quality, stranger, doubtful and sure."""
    return tuple(Knot(*row) for row in rows)
