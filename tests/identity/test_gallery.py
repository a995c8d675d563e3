"""Choosing the face of a reference photo, and the gallery."""

import numpy as np
import pytest

from app.errors import PeopleError
from app.identity.gallery import MAX_SECOND_FACE, MIN_FACE_SIDE, Gallery, Person, choose_face
from app.types import Boxes


def boxes(*sides: tuple[float, float]) -> Boxes:
    """Boxes of the given widths and heights, side by side."""
    rows = [(200 * n, 10, 200 * n + width, 10 + height) for n, (width, height) in enumerate(sides)]
    return np.asarray(rows, np.float32).reshape(-1, 4)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_the_largest_face_is_chosen(order: tuple[int, ...]) -> None:
    faces = boxes((100, 130), (40, 50), (60, 70))[list(order)]
    assert choose_face(faces, "a.jpg") == order.index(0)


@pytest.mark.parametrize(
    ("faces", "why"),
    [
        (boxes(), "no face found"),
        (boxes((MIN_FACE_SIDE - 1, 90)), "smaller than 20 pixels"),
        (boxes((90, MIN_FACE_SIDE - 1)), "smaller than 20 pixels"),
        (boxes((100, 100), (100, 100)), "several faces of about the same size"),
        (boxes((100, MAX_SECOND_FACE * 100), (100, 100)), "several faces of about the same size"),
    ],
)
def test_an_ambiguous_or_unusable_photo_is_refused_by_name(faces: Boxes, why: str) -> None:
    with pytest.raises(PeopleError, match=f"^photos/alice.jpg: .*{why}"):
        choose_face(faces, "photos/alice.jpg")


def test_a_small_second_face_is_ignored() -> None:
    assert choose_face(boxes((100, MAX_SECOND_FACE * 100 - 1), (100, 100)), "a.jpg") == 1


def test_a_face_of_the_minimum_size_is_usable() -> None:
    assert choose_face(boxes((MIN_FACE_SIDE, MIN_FACE_SIDE)), "a.jpg") == 0


def test_names_are_in_the_order_of_the_people() -> None:
    people = tuple(Person(name, np.zeros((1, 4), np.float32), 1) for name in ("zoe", "adam"))
    assert Gallery(people).names == ("zoe", "adam")
