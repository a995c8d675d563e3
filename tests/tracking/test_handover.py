"""How far a face may be padded where another one takes its place."""

import pytest

from app.tracking.handover import rooms
from app.tracking.observations import Trail
from tests.scripted_faces import trail

SHOT = (0, 100)
LEFT = trail((10, 50, 50, 40), (20, 50, 50, 40))


def test_a_face_alone_may_be_anywhere_in_the_shot() -> None:
    assert rooms([LEFT], SHOT) == [SHOT]


def test_neither_of_two_reaches_into_the_frames_of_the_other() -> None:
    after = trail((21, 52, 50, 40), (40, 52, 50, 40))
    assert rooms([LEFT, after], SHOT) == [(0, 21), (21, 100)]


@pytest.mark.parametrize(
    "other",
    [
        trail((22, 50, 50, 40), (40, 50, 50, 40)),
        trail((20, 50, 50, 40), (40, 50, 50, 40)),
        trail((21, 90, 50, 40), (40, 90, 50, 40)),
    ],
    ids=["a frame later", "while it is still there", "beside it"],
)
def test_padding_stays_where_it_is_not_known_when_a_face_left(other: Trail) -> None:
    assert rooms([LEFT, other], SHOT)[0] == SHOT
