"""The cast: tracks of one person on one card, and never two people at one time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from app.identity.cast import SAME_PERSON, average_linkage, group_people
from app.identity.evidence import Evidence
from app.identity.scale import Scale

SCALE = Scale.flat(stranger=0.0, doubtful=0.4, sure=0.5)
AXES = np.eye(8, dtype=np.float32)


def track(vector: object, first: int, last: int, quality: float = 0.9) -> Evidence:
    """A track with one chip in this direction."""
    one = np.asarray(vector, np.float32)
    return Evidence(
        shot=0,
        first=first,
        last=last,
        embeddings=(one / np.linalg.norm(one))[None],
        qualities=np.array([quality], np.float32),
        sizes=np.array([60], np.float32),
    )


def test_people_are_numbered_in_the_order_of_their_appearance() -> None:
    a, b = AXES[0], AXES[1]
    tracks = [track(b, 10, 19), track(a, 0, 9), track(a + 0.1 * b, 20, 29), track(b, 30, 39)]
    assert group_people(tracks, SCALE) == [1, 0, 0, 1]


def test_tracks_that_share_a_frame_are_two_people() -> None:
    twins = [track(AXES[0], 0, 10), track(AXES[0], 10, 20), track(AXES[0], 21, 30)]
    first, second, third = group_people(twins, SCALE)
    assert first != second
    assert third in {first, second}


def test_a_chain_of_similar_pairs_is_not_one_person() -> None:
    """Each neighbour is similar, but the ends are not: single linkage would join them all."""
    angles = np.radians([0, 50, 100, 150])
    chain = [
        track(np.cos(angle) * AXES[0] + np.sin(angle) * AXES[1], 10 * i, 10 * i + 5)
        for i, angle in enumerate(angles)
    ]
    strength = SCALE.strength(np.cos(np.radians(50)), 0.9)
    assert strength > SAME_PERSON, "neighbours alone would be one person"
    cards = group_people(chain, SCALE)
    assert len(set(cards)) == 2
    assert cards[0] != cards[3]


def test_an_unclear_track_is_on_no_card() -> None:
    nothing = np.zeros(0, np.float32)
    blank = Evidence(0, 30, 39, np.zeros((0, 8), np.float32), nothing, nothing)
    tracks = [track(AXES[0], 0, 9), track(AXES[0], 10, 19, quality=0.1), blank]
    assert group_people(tracks, SCALE) == [0, None, None]
    assert group_people([], SCALE) == []
    assert group_people([blank], SCALE) == [None]


@pytest.mark.parametrize("seed", range(3))
def test_many_tracks_of_known_people(seed: int) -> None:
    """2,000 tracks of 20 people, with noise, in seconds."""
    random = np.random.default_rng(seed)
    people = random.normal(size=(20, 64))
    names = random.integers(0, 20, 2000)
    tracks = [
        track(people[name] + 0.3 * random.normal(size=64), 10 * i, 10 * i + 5)
        for i, name in enumerate(names)
    ]
    cards = group_people(tracks, SCALE)
    pairs = set(zip(names.tolist(), cards, strict=True))
    assert len(pairs) == 20, "one card for each person, and one person on each card"


@given(
    arrays(np.float64, (9, 9), elements=st.floats(0, 3)),
    st.integers(1, 9),
    st.floats(0, 3),
    st.sets(st.tuples(st.integers(0, 8), st.integers(0, 8)), max_size=6),
)
def test_groups_are_those_of_scipy(
    drawn: NDArray[np.float64], count: int, limit: float, apart: set[tuple[int, int]]
) -> None:
    # No two distances are equal: scipy may join other ones first.
    unequal = drawn[:count, :count] + np.random.default_rng(7).uniform(0, 1e-3, (count, count))
    for i, j in apart:
        if max(i, j) < count:
            unequal[i, j] = 1e9
    distances = np.maximum(unequal, unequal.T)
    np.fill_diagonal(distances, 0)
    labels = average_linkage(distances, limit)
    if count == 1:
        assert labels == [0]
        return
    tree = linkage(squareform(distances, checks=False), "average")
    expected = fcluster(tree, limit, "distance")
    for i in range(count):
        assert [label == labels[i] for label in labels] == (expected == expected[i]).tolist()
