"""Compare each reference photo with the other photos of its person, and with other people."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from app.identity.gallery import Reference
from app.identity.scale import Scale


@dataclass(frozen=True, slots=True)
class Likeness:
    """How much one photo resembles the others. All likenesses are strengths: see ``Scale``.

    Attributes:
        own: mean likeness to the other photos of its person; None without a comparable one.
        unlike: whether it is less like most of them than 99 of 100 photos of one person.
        nearest: name of the most similar other person; None without a comparable one.
        other: likeness to the most similar photo of that person, or None.
        confusable: whether that photo may show the same person.
    """

    own: float | None = None
    unlike: bool = False
    nearest: str | None = None
    other: float | None = None
    confusable: bool = False


NOT_COMPARABLE = Likeness()
"""The likeness of a photo in which nobody can be recognised: it would look unlike anybody."""


def compare_photos(references: Sequence[Reference], scale: Scale) -> list[Likeness]:
    """Return the likeness of each photo; photos of too low a quality are not compared."""
    clear = [one for one in references if one.quality >= scale.least]
    if not clear:
        return [NOT_COMPARABLE] * len(references)
    rows = np.stack([one.embedding for one in clear]).astype(np.float64)
    quality = np.asarray([one.quality for one in clear])
    lower = np.minimum(quality[:, None], quality[None, :])
    strengths = scale.strength(rows @ rows.T, lower)
    possible = strengths >= scale.doubtful(lower)
    found = (_likeness(clear, n, strengths[n], possible[n]) for n in range(len(clear)))
    return [next(found) if one.quality >= scale.least else NOT_COMPARABLE for one in references]


def _likeness(
    photos: Sequence[Reference],
    number: int,
    strengths: np.ndarray[tuple[int], np.dtype[np.float64]],
    possible: np.ndarray[tuple[int], np.dtype[np.bool_]],
) -> Likeness:
    """Compare one photo; ``strengths`` (n,) and ``possible`` (n,) are those of its pairs."""
    person = photos[number].person
    is_own = np.asarray([one.person == person for one in photos])
    others = np.flatnonzero(~is_own)
    is_own[number] = False
    own = np.flatnonzero(is_own)
    nearest = int(others[np.argmax(strengths[others])]) if len(others) else None
    return Likeness(
        own=float(strengths[own].mean()) if len(own) else None,
        unlike=bool(len(own) and (~possible[own]).sum() > len(own) / 2),
        nearest=None if nearest is None else photos[nearest].person,
        other=None if nearest is None else float(strengths[nearest]),
        confusable=nearest is not None and bool(possible[nearest]),
    )
