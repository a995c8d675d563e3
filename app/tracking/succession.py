"""Who takes whose place from one frame to the next, where no shot detector sees a cut."""

from collections.abc import Sequence

from app.geometry import iou
from app.tracking.observations import Observation, Trail
from app.tracking.sampling import SAME_FACE


def room(trail: Trail, trails: Sequence[Trail], shot: tuple[int, int]) -> tuple[int, int]:
    """The frames [first, end) of a shot in which a face may be: those that padding may reach.

    Padding stands for not knowing when a face came or went. Where another face is seen in its
    place in the very next frame that is known, and the other one would be hidden instead.
    """
    came = any(_succeeds(other.observations[-1], trail.observations[0]) for other in trails)
    left = any(_succeeds(trail.observations[-1], other.observations[0]) for other in trails)
    return trail.first if came else shot[0], trail.last + 1 if left else shot[1]


def _succeeds(one: Observation, other: Observation) -> bool:
    """Whether ``other`` is where ``one`` was in the frame before."""
    if other.frame != one.frame + 1:
        return False
    return bool(iou(one.box[None], other.box[None])[0, 0] >= SAME_FACE)
