"""The gallery: who is known, by the embeddings of reference photos."""

from dataclasses import dataclass

import numpy as np

from app.errors import PeopleError
from app.types import Boxes, Embeddings

AMBIGUOUS = 0.6
"""A photo's second face from this fraction of the largest face's area on makes it unclear who is
meant: a passer-by in the background is smaller than that, a friend beside the person is not."""
SMALLEST = 20
"""Least side in pixels of a usable face: below it the recogniser sees next to nothing."""


@dataclass(frozen=True, slots=True)
class Person:
    """A person, and embeddings (n, D) of photos or of chips.

    ``photos`` is how many photos there were. ``same_video`` says that the embeddings come from the
    video that the person is looked for in.
    """

    name: str
    embeddings: Embeddings
    photos: int
    same_video: bool = False


@dataclass(frozen=True, slots=True)
class Gallery:
    """The people who were given, each once.

    ``doubts`` are sentences for the user about their photos: see ``app.identity.references``.
    """

    people: tuple[Person, ...]
    doubts: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names, in order."""
        return tuple(person.name for person in self.people)


def choose_face(boxes: Boxes, photo: str) -> int:
    """Index of the face (N, 4) that a reference photo is of: the largest one.

    Raises:
        PeopleError: no face, none large enough, or a second one nearly as large.
    """
    if not len(boxes):
        raise PeopleError(f"{photo}: no face found; use a photo that shows the face clearly")
    extents = boxes[:, 2:] - boxes[:, :2]
    area = extents[:, 0] * extents[:, 1]
    order = np.argsort(-area, kind="stable")
    largest = int(order[0])
    if extents[largest].min() < SMALLEST:
        raise PeopleError(
            f"{photo}: the face is smaller than {SMALLEST} pixels; use a larger photo"
        )
    if len(order) > 1 and area[order[1]] >= AMBIGUOUS * area[largest]:
        raise PeopleError(
            f"{photo}: several faces of about the same size; crop the photo to one person"
        )
    return largest
