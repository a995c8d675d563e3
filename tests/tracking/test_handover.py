"""Handovers limit padding: another face takes the place in the next frame."""

import pytest

from app.tracking.interpolation import padding_limits
from app.tracking.observations import Tracklet
from tests.scripted_faces import tracklet

SHOT = (0, 100)
LEFT = tracklet((10, 50, 50, 40), (20, 50, 50, 40))


def test_padding_of_a_single_face_may_reach_the_whole_shot() -> None:
    assert padding_limits([LEFT], SHOT) == [SHOT]


def test_at_a_handover_neither_face_is_padded() -> None:
    after = tracklet((21, 52, 50, 40), (40, 52, 50, 40))
    assert padding_limits([LEFT, after], SHOT) == [(0, 21), (21, 100)]


@pytest.mark.parametrize(
    "other",
    [
        tracklet((22, 50, 50, 40), (40, 50, 50, 40)),
        tracklet((20, 50, 50, 40), (40, 50, 50, 40)),
        tracklet((21, 90, 50, 40), (40, 90, 50, 40)),
    ],
    ids=["one frame later", "at the same time", "beside it"],
)
def test_other_faces_do_not_limit_padding(other: Tracklet) -> None:
    assert padding_limits([LEFT, other], SHOT)[0] == SHOT
