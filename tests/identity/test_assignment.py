"""Assignment of people to tracks, also in very long shots."""

import tracemalloc
from collections.abc import Sequence
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.identity.matching import Span, best_assignment

PEOPLE = 3


def test_a_long_shot_is_solved_in_groups() -> None:
    """Two tracks at a time, again and again, each slightly similar to everybody."""
    number = 400
    spans = [(100 * (t // 2), 100 * (t // 2) + 50) for t in range(number)]
    gain = np.random.default_rng(1).uniform(0.1, 0.2, (number, PEOPLE))
    pairs = [(t, p) for t in range(number) for p in range(PEOPLE)]
    tracemalloc.start()
    chosen = dict(best_assignment(pairs, spans, gain))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2_000_000
    for t in range(0, number, 2):
        both = [(p, q) for p in range(PEOPLE) for q in range(PEOPLE) if p != q]
        assert (chosen[t], chosen[t + 1]) == max(
            both, key=lambda c: gain[t, c[0]] + gain[t + 1, c[1]]
        )


def test_a_track_without_rivals_gets_its_best_person() -> None:
    gain = np.array([[0.1, 0.3, 0.2], [0.2, 0.1, 0.1]])
    pairs = [(0, 0), (0, 1), (0, 2), (1, 0)]
    assert sorted(best_assignment(pairs, [(0, 9), (20, 29)], gain)) == [(0, 1), (1, 0)]


def test_tracks_that_share_one_frame_are_not_one_person() -> None:
    gain = np.array([[0.1], [0.3], [0.1]])
    pairs = [(0, 0), (1, 0), (2, 0)]
    assert best_assignment(pairs, [(0, 9), (9, 20), (21, 30)], gain) == [(1, 0), (2, 0)]


@given(
    st.integers(2, 7).flatmap(
        lambda number: st.tuples(
            st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), min_size=number),
            st.lists(st.floats(0.1, 2), min_size=16, max_size=16),
        )
    )
)
def test_few_pairs_get_the_largest_gain(drawn: tuple[list[Span], list[float]]) -> None:
    """Compared with every choice of people, tried one by one."""
    begins, values = drawn
    spans = [(begin, begin + length) for begin, length in begins[:7]]
    pairs = [(t, p) for t in range(len(spans)) for p in range(2) if (t, p) != (0, 1)]
    gain = np.resize(np.array(values), (len(spans), 2))
    chosen = best_assignment(pairs, spans, gain)
    best = max(
        sum(float(gain[t, p]) for t, p in enumerate(choice) if p is not None)
        for choice in product((None, 0, 1), repeat=len(spans))
        if choice[0] != 1 and not _clashes(choice, spans)
    )
    assert not _clashes(tuple(dict(chosen).get(t) for t in range(len(spans))), spans)
    assert len(dict(chosen)) == len(chosen)
    assert sum(float(gain[pair]) for pair in chosen) == pytest.approx(best)


def _clashes(choice: Sequence[int | None], spans: Sequence[Span]) -> bool:
    """Whether a person is in two tracks that share a frame."""
    return any(
        choice[a] is not None
        and choice[a] == choice[b]
        and spans[a][0] <= spans[b][1]
        and spans[b][0] <= spans[a][1]
        for a, b in combinations(range(len(spans)), 2)
    )
