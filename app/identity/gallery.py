"""The gallery of people, and the checks of their reference photos."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from app.errors import PeopleError
from app.identity.scale import Scale
from app.types import Boxes, Embeddings

MAX_SECOND_FACE = 0.6
"""Area of a photo's second face, as a fraction of the largest, from which the photo is ambiguous.
Somebody in the background is smaller than that; somebody beside the person is not."""
MIN_FACE_SIDE = 20
"""Minimum side of a reference face in pixels; the recogniser needs more detail than that."""


@dataclass(frozen=True, slots=True)
class Person:
    """A person, with embeddings (n, D) of photos or of chips.

    ``photos`` is the number of photos. ``same_video`` means that the embeddings come from the video
    that is searched for the person.
    """

    name: str
    embeddings: Embeddings
    photos: int
    same_video: bool = False


@dataclass(frozen=True, slots=True)
class Gallery:
    """The people to recognise, each once.

    ``doubts`` are sentences for the user about their photos: see ``photo_warnings``.
    """

    people: tuple[Person, ...]
    doubts: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names, in order."""
        return tuple(person.name for person in self.people)


def choose_face(boxes: Boxes, photo: str) -> int:
    """Return the index of the face (N, 4) that a reference photo shows: the largest one.

    Raises:
        PeopleError: there is no face, none is large enough, or a second one is nearly as large.
    """
    if not len(boxes):
        raise PeopleError(f"{photo}: no face found; use a photo that shows the face clearly")
    extents = boxes[:, 2:] - boxes[:, :2]
    area = extents[:, 0] * extents[:, 1]
    order = np.argsort(-area, kind="stable")
    largest = int(order[0])
    if extents[largest].min() < MIN_FACE_SIDE:
        raise PeopleError(
            f"{photo}: the face is smaller than {MIN_FACE_SIDE} pixels; use a larger photo"
        )
    if len(order) > 1 and area[order[1]] >= MAX_SECOND_FACE * area[largest]:
        raise PeopleError(
            f"{photo}: several faces of about the same size; crop the photo to one person"
        )
    return largest


@dataclass(frozen=True, slots=True)
class Reference:
    """One photo of a person: its embedding (D,), its quality in 0..1, and its main flaw.

    ``photo`` is its name in messages, and ``side`` the mean side of the face in pixels. ``alone``
    means that it lies directly in the folder of people, not in a folder of its person.
    """

    person: str
    photo: str
    embedding: Embeddings
    quality: float
    flaw: str
    alone: bool = False
    side: float = 0.0


def photo_warnings(references: Sequence[Reference], scale: Scale) -> list[str]:
    """Return sentences about weak photos, mixed-up people, and people given twice.

    Weak photos are not compared: they would look unlike anybody.
    """
    people: defaultdict[str, list[Reference]] = defaultdict(list)
    for one in references:
        people[one.person].append(one)
    clear = {
        name: [one for one in photos if one.quality >= scale.least]
        for name, photos in people.items()
    }
    if sentence := _folder_of_one_person(clear, scale):
        return [*_weak_photos(references, scale), sentence]
    return [
        *_weak_photos(references, scale),
        *_contradictions(clear, scale),
        *_similar_people(clear, scale),
    ]


def _weak_photos(references: Sequence[Reference], scale: Scale) -> Iterator[str]:
    for one in references:
        if one.quality < scale.least:
            yield (
                f"{one.photo}: the face is {one.flaw}, so that {one.person} may not be recognised"
                " by it; use a photo from the front, sharp and in good light"
            )


def _strength(one: Reference, other: Reference, scale: Scale) -> float:
    similarity = float(one.embedding @ other.embedding)
    return float(scale.strength(similarity, min(one.quality, other.quality)))


def _unlike(one: Reference, other: Reference, scale: Scale) -> bool:
    """Return whether two photos are less similar than 99 of 100 pairs of photos of one person."""
    return _strength(one, other, scale) < float(scale.doubtful(min(one.quality, other.quality)))


def _contradictions(clear: Mapping[str, Sequence[Reference]], scale: Scale) -> Iterator[str]:
    """Yield a sentence per pair of unlike photos of a person, or one about a single odd photo."""
    for name, photos in clear.items():
        unlike = [pair for pair in combinations(photos, 2) if _unlike(*pair, scale)]
        odd = [one for one in photos if sum(one in pair for pair in unlike) > (len(photos) - 1) / 2]
        if len(photos) > 2 and odd:
            names = ", ".join(one.photo for one in odd)
            yield f"{names}: not like the other photos of {name}; is this somebody else?"
        else:
            for one, other in unlike:
                yield (
                    f"{one.photo} and {other.photo}: not alike, but both are given for {name}; is"
                    " one of them somebody else?"
                )


def _similar_people(clear: Mapping[str, Sequence[Reference]], scale: Scale) -> Iterator[str]:
    """Yield a sentence for each two people who look alike, with their two most similar photos."""
    for (name, photos), (other_name, other_photos) in combinations(clear.items(), 2):
        pairs = [(one, other) for one in photos for other in other_photos]
        if not pairs:
            continue
        one, other = max(pairs, key=lambda pair: _strength(pair[0], pair[1], scale))
        if _unlike(one, other, scale):
            continue
        if _strength(one, other, scale) >= 1:
            advice = "are they one person? Then put the photos into one folder"
        else:
            advice = "they may be confused; give more photos of both"
        yield f"{one.photo} and {other.photo}: {name} and {other_name} look alike; {advice}"


def _folder_of_one_person(clear: Mapping[str, Sequence[Reference]], scale: Scale) -> str:
    """Return a sentence if the folder of people seems to be that of one person, else ""."""
    photos = [one for several in clear.values() for one in several]
    if len(clear) < 2 or not all(one.alone for one in photos) or len(photos) < len(clear):
        return ""
    if not all(_strength(*pair, scale) >= 1 for pair in combinations(photos, 2)):
        return ""
    names = ", ".join(one.photo for one in photos)
    return (
        f"{names}: all of them look like one person, but each photo directly in the folder of"
        " people is one person; give the folder above, so that this folder is the person"
    )
