"""Comparing reference photos, with embeddings of known similarity."""

import numpy as np
import pytest

from app.identity.comparison import NOT_COMPARABLE, compare_photos
from app.identity.gallery import Reference
from app.identity.scale import Scale

SCALE = Scale.flat(stranger=0.0, doubtful=0.4, sure=0.8, least=0.3)
"""Strengths are similarities divided by 0.8; a pair is possible from 0.5 on."""


def photo(person: str, degrees: float, quality: float = 1.0) -> Reference:
    """A photo whose similarity with another one is the cosine of their angle."""
    angle = np.radians(degrees)
    embedding = np.asarray([np.cos(angle), np.sin(angle)], np.float32)
    return Reference(person, f"{person}-{degrees}", embedding, quality, "too dark")


def cosine(degrees: float) -> float:
    return float(np.cos(np.radians(degrees)))


def test_likeness_is_the_mean_over_own_and_the_most_over_other_photos() -> None:
    one, *_ = compare_photos(
        [photo("a", 0), photo("a", 30), photo("a", 50), photo("b", 80), photo("c", 70)], SCALE
    )
    assert one.own == pytest.approx((cosine(30) + cosine(50)) / 2 / 0.8, abs=1e-6)
    assert (one.nearest, one.unlike, one.confusable) == ("c", False, False)
    assert one.other == pytest.approx(cosine(70) / 0.8, abs=1e-6)


def test_a_photo_is_unlike_if_most_of_the_others_are() -> None:
    photos = [photo("a", 0), photo("a", 10), photo("a", 20), photo("a", 90)]
    assert [one.unlike for one in compare_photos(photos, SCALE)] == [False, False, False, True]
    pair = [photo("a", 0), photo("a", 90)]
    assert [one.unlike for one in compare_photos(pair, SCALE)] == [True, True]


@pytest.mark.parametrize(("degrees", "confusable"), [(66.0, True), (67.0, False)])
def test_people_are_confusable_from_the_doubtful_similarity_on(
    degrees: float, confusable: bool
) -> None:
    """The cosine of 66.4 degrees is 0.4."""
    for one in compare_photos([photo("a", 0), photo("b", degrees)], SCALE):
        assert one.confusable is confusable
        assert one.own is None


def test_weak_photos_are_not_compared() -> None:
    weak, one, other = compare_photos([photo("a", 0, 0.2), photo("a", 0), photo("b", 90)], SCALE)
    assert weak == NOT_COMPARABLE
    assert (one.own, one.nearest, other.nearest) == (None, "b", "a")
    assert compare_photos([photo("a", 0, 0.2)], SCALE) == [NOT_COMPARABLE]
    assert compare_photos([], SCALE) == []
