"""Warnings about reference photos."""

from zlib import crc32

import numpy as np

from app.identity.gallery import Reference, photo_warnings
from app.identity.scale import Scale

SCALE = Scale.flat(stranger=0.0, doubtful=0.3, sure=0.5, least=0.6)


def face(person: str, photo: str, *, of: int, like: float = 0.9, **options: object) -> Reference:
    """A photo of person number ``of``; two photos of a person have similarity ``like ** 2``."""
    rest = np.random.default_rng(crc32(photo.encode())).normal(size=500)
    own = np.concatenate([np.zeros(10), rest * np.sqrt(1 - like**2) / np.linalg.norm(rest)])
    own[of] = like
    values = {"quality": 1.0, "flaw": "out of focus", **options}
    return Reference(person, photo, own.astype(np.float32), **values)  # type: ignore[arg-type]


def test_good_photos_give_no_warnings() -> None:
    photos = [face("a", "a/1", of=0), face("a", "a/2", of=0), face("b", "b/1", of=1)]
    assert photo_warnings(photos, SCALE) == []


def test_a_weak_photo_is_reported_with_its_flaw_and_not_compared() -> None:
    photos = [face("a", "a/1", of=0), face("a", "a/2", of=1, quality=0.5)]
    (doubt,) = photo_warnings(photos, SCALE)
    assert doubt.startswith("a/2: the face is out of focus")


def test_two_dissimilar_photos_are_both_named() -> None:
    (doubt,) = photo_warnings([face("a", "a/1", of=0), face("a", "a/2", of=1)], SCALE)
    assert doubt.startswith("a/1 and a/2: not alike, but both are given for a")


def test_a_single_odd_photo_is_named_alone() -> None:
    photos = [face("a", f"a/{n}", of=0) for n in range(3)] + [face("a", "a/odd", of=1)]
    (doubt,) = photo_warnings(photos, SCALE)
    assert doubt.startswith("a/odd: not like the other photos of a")


def test_similar_people_are_named_with_their_photos() -> None:
    photos = [
        face("a", "a/1", of=0, like=0.6),
        face("b", "b/1", of=0, like=0.6),
        face("c", "c/1", of=1),
    ]
    (doubt,) = photo_warnings(photos, SCALE)
    assert doubt.startswith("a/1 and b/1: a and b look alike")
    assert "may be confused" in doubt


def test_one_person_with_two_names_is_reported() -> None:
    (doubt,) = photo_warnings([face("a", "a/1", of=0), face("b", "b/1", of=0)], SCALE)
    assert "are they one person?" in doubt


def test_a_folder_of_one_person_instead_of_people_is_reported() -> None:
    photos = [face(str(n), f"alice/{n}.jpg", of=0, alone=True) for n in range(3)]
    (doubt,) = photo_warnings(photos, SCALE)
    assert doubt.startswith("alice/0.jpg, alice/1.jpg, alice/2.jpg: all of them look like one")
    assert "give the folder above" in doubt


def test_single_photos_of_several_people_are_fine() -> None:
    photos = [face("a", "a.jpg", of=0, alone=True), face("b", "b.jpg", of=1, alone=True)]
    assert photo_warnings(photos, SCALE) == []
