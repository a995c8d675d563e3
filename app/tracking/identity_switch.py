"""Places where a trail goes over from one person to another.

A cut in front of a background that stays (an interview without its pauses) is none that a shot
detector sees, and the next person may sit where the last one sat. The face then changes from one
frame to the next, and is steady before and after.
"""

import numpy as np

from app.tracking.observations import Observation
from app.tracking.sampling import Links, Looker, between

BROKEN = 0.5
WHOLE = 0.7
"""Likeness of a face with itself one frame later: below the first it is somebody else, if the
frames beside it are above the second. At such cuts it is 0.25 and less, otherwise mostly 0.9."""


def breaks(links: Links, looker: Looker) -> list[Observation]:
    """The observations after which somebody else is in the same place.

    Only links of neighbouring frames are looked at: a pair of looks that does not stay alike in
    between is followed down to them (``Settler``).
    """
    before = {following: one for one, following in links.items()}
    near = [(x, y) for x, y in links.items() if y.frame - x.frame == 1]
    return [x for x, y in near if _broken(x, y, before.get(x), links.get(y), looker)]


def _broken(
    x: Observation, y: Observation, w: Observation | None, z: Observation | None, looker: Looker
) -> bool:
    """Whether the link from ``x`` to ``y`` is unlike, while those beside it are alike."""
    early = [] if w is None else [between(w, x, x.frame - 1)]
    late = [] if z is None else [between(y, z, y.frame + 1)]
    way = np.asarray([*early, x.box, y.box, *late], np.float32)
    alike = looker.likeness(x.frame - len(early), way)
    beside = np.delete(alike, len(early))
    return bool(alike[len(early)] < BROKEN and (beside > WHOLE).all())
