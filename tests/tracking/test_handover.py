"""How far a face may be padded where another one takes its place."""

import pytest

from app.tracking.interpolation import padding_limits
from app.tracking.observations import Tracklet
from tests.scripted_faces import tracklet

SHOT = (0, 100)
LEFT = tracklet((10, 50, 50, 40), (20, 50, 50, 40))


def test_a_face_alone_may_be_anywhere_in_the_shot() -> None:
    assert padding_limits([LEFT], SHOT) == [SHOT]


def test_neither_of_two_reaches_into_the_frames_of_the_other() -> None:
    after = tracklet((21, 52, 50, 40), (40, 52, 50, 40))
    assert padding_limits([LEFT, after], SHOT) == [(0, 21), (21, 100)]


@pytest.mark.parametrize(
    "other",
    [
        tracklet((22, 50, 50, 40), (40, 50, 50, 40)),
        tracklet((20, 50, 50, 40), (40, 50, 50, 40)),
        tracklet((21, 90, 50, 40), (40, 90, 50, 40)),
    ],
    ids=["a frame later", "while it is still there", "beside it"],
)
def test_padding_stays_where_it_is_not_known_when_a_face_left(other: Tracklet) -> None:
    assert padding_limits([LEFT, other], SHOT)[0] == SHOT
