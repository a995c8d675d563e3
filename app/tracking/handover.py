"""Who takes whose place from one frame to the next, where no shot detector sees a cut."""

from collections import defaultdict
from collections.abc import Sequence

from app.geometry import iou
from app.tracking.observations import Observation, Trail, boxes_of
from app.tracking.sampling import SAME_FACE


def rooms(trails: Sequence[Trail], shot: tuple[int, int]) -> list[tuple[int, int]]:
    """For each trail of a shot the frames [first, end) that its padding may reach.

    Padding stands for not knowing when a face came or went. Where another face is seen in its
    place in the very next frame that is known, and the other one would be hidden instead.
    """
    begin: dict[int, list[Observation]] = defaultdict(list)
    end: dict[int, list[Observation]] = defaultdict(list)
    for trail in trails:
        begin[trail.first].append(trail.observations[0])
        end[trail.last].append(trail.observations[-1])
    out = []
    for trail in trails:
        came = _same_place(trail.observations[0], end.get(trail.first - 1, ()))
        left = _same_place(trail.observations[-1], begin.get(trail.last + 1, ()))
        out.append((trail.first if came else shot[0], trail.last + 1 if left else shot[1]))
    return out


def _same_place(one: Observation, others: Sequence[Observation]) -> bool:
    """Whether one of the others is where this one is."""
    return bool((iou(one.box[None], boxes_of(others)) >= SAME_FACE).any())
