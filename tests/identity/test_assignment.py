"""Assignment of people to tracks, also in very long shots."""

import tracemalloc

import numpy as np

from app.identity.matching import best_assignment

PEOPLE = 3


def test_a_long_shot_is_solved_in_groups() -> None:
    """Two tracks at a time, again and again, each slightly similar to everybody."""
    number = 400
    spans = [(100 * (t // 2), 100 * (t // 2) + 50) for t in range(number)]
    gain = np.random.default_rng(1).uniform(0.1, 0.2, (number, PEOPLE))
    pairs = [(t, p) for t in range(number) for p in range(PEOPLE)]
    best_assignment(pairs[:6], spans, gain)  # imports scipy
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
