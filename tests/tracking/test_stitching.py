"""Stitching: joining the tracklets of a face that was lost for a moment."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.tracking.association import END_COST, FORBIDDEN, pair_costs, stitch
from app.tracking.observations import Tracklet
from tests.scripted_faces import tracklet

MAX_GAP = 25


def unknown(early: Tracklet, late: Tracklet) -> float | None:
    return None


def ends(tracklets: Sequence[Tracklet]) -> list[tuple[int, int]]:
    return sorted((t.first, t.last) for t in tracklets)


@pytest.mark.parametrize(
    ("late", "joined"), [(6, True), (30, True), (31, False), (5, False), (3, False)]
)
def test_tracklets_join_within_the_maximum_gap(late: int, joined: bool) -> None:
    first = tracklet((0, 50, 50, 40), (5, 50, 50, 40))
    second = tracklet((late, 50, 50, 40), (40, 50, 50, 40))
    expected = [(0, 40)] if joined else sorted([(0, 5), (late, 40)])
    assert ends(stitch([first, second], MAX_GAP, unknown)) == expected


def test_tracklets_out_of_reach_are_not_joined() -> None:
    tracklets = [tracklet((0, 50, 50, 40)), tracklet((4, 250, 50, 40))]
    assert ends(stitch(tracklets, MAX_GAP, unknown)) == [(0, 0), (4, 4)]


def test_a_join_may_start_from_the_predicted_or_the_last_box() -> None:
    # At half its speed it should be at 80; 125 can be reached from there, but not from 40.
    moving = tracklet((0, 16, 50, 40), (1, 40, 50, 40))
    for x in (80, 40, 125):
        assert ends(stitch([moving, tracklet((6, x, 50, 40))], MAX_GAP, unknown)) == [(0, 6)]
    resting = tracklet((0, 40, 50, 40), (1, 40, 50, 40))
    later = tracklet((6, 125, 50, 40))
    assert ends(stitch([resting, later], MAX_GAP, unknown)) == [(0, 1), (6, 6)]


def test_a_fast_tracklet_continues_at_constant_speed() -> None:
    fast = tracklet((0, 40, 50, 40), (2, 90, 50, 40))
    first = (12, 340, 50, 40)
    assert ends(stitch([fast, tracklet(first, (14, 390, 50, 40))], MAX_GAP, unknown)) == [(0, 14)]
    coming_back = tracklet(first, (14, 290, 50, 40))
    assert len(stitch([fast, coming_back], MAX_GAP, unknown)) == 2
    assert len(stitch([fast, tracklet(first)], MAX_GAP, unknown)) == 2


def test_several_losses_become_one_tracklet_in_order_of_time() -> None:
    pieces = [tracklet((n, 50, 50, 40), (n + 3, 50, 50, 40)) for n in (20, 0, 10)]
    (whole,) = stitch(pieces, MAX_GAP, unknown)
    assert [o.frame for o in whole.observations] == [0, 3, 10, 13, 20, 23]


def test_an_affinity_below_minus_one_forbids_a_join() -> None:
    tracklets = [tracklet((0, 50, 50, 40)), tracklet((4, 50, 50, 40))]
    assert len(stitch(tracklets, MAX_GAP, lambda a, b: -1.5)) == 2
    assert len(stitch(tracklets, MAX_GAP, lambda a, b: -1.0)) == 1


def test_affinity_outweighs_distance() -> None:
    early = tracklet((0, 50, 50, 40))
    near, similar = tracklet((4, 52, 50, 40)), tracklet((4, 70, 50, 40))
    joined = stitch([early, near, similar], MAX_GAP, lambda a, b: 1.0 if b is similar else 0.0)
    assert [o.box[0] for t in joined if t.first == 0 for o in t.observations] == [30, 50]
    joined = stitch([early, near, similar], MAX_GAP, unknown)
    assert [o.box[0] for t in joined if t.first == 0 for o in t.observations] == [30, 32]


def test_one_good_join_beats_two_bad_ones() -> None:
    """A face returns where it was; a small face that ends and a hand are far away."""
    lost, small = tracklet((0, 300, 100, 100)), tracklet((0, 150, 100, 55))
    back, hand = tracklet((16, 290, 110, 110)), tracklet((16, 270, 290, 120))
    joined = stitch([lost, small, back, hand], MAX_GAP, unknown)
    assert sorted(len(one.observations) for one in joined) == [1, 1, 2]
    (whole,) = (one for one in joined if len(one.observations) == 2)
    assert whole.observations == [lost.observations[0], back.observations[0]]


def test_faces_far_apart_and_of_different_sizes_are_not_joined() -> None:
    small, large = tracklet((0, 150, 100, 55)), tracklet((16, 290, 110, 132))
    (cost,) = pair_costs(small.observations[0].box[None], large.observations[0].box[None], 16)[0]
    assert cost < FORBIDDEN
    assert len(stitch([small, large], MAX_GAP, lambda a, b: -1.0)) == 2


def test_the_input_is_not_modified() -> None:
    tracklets = [tracklet((0, 50, 50, 40)), tracklet((4, 50, 50, 40))]
    stitch(tracklets, MAX_GAP, unknown)
    assert ends(tracklets) == [(0, 0), (4, 4)]


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_tracklets_are_returned_unchanged(count: int) -> None:
    tracklets = [tracklet((0, 50, 50, 40))] * count
    assert stitch(tracklets, MAX_GAP, unknown) == tracklets


Span = tuple[int, int, int]
"""First frame, duration and x of a tracklet at rest."""


def join_costs(tracklets: Sequence[Tracklet], affinity: float) -> list[list[float]]:
    """The cost of each join; ``FORBIDDEN`` if it is impossible."""

    def cost(a: Tracklet, b: Tracklet) -> float:
        gap = b.first - a.last
        if not 0 < gap <= MAX_GAP or affinity < -1:
            return FORBIDDEN
        # All tracklets rest, so the predicted box is the last one.
        last, first = a.observations[-1].box[None], b.observations[0].box[None]
        return float(pair_costs(last, first, gap)[0, 0]) - affinity

    return [[cost(a, b) for b in tracklets] for a in tracklets]


def lowest_total(table: list[list[float]]) -> float:
    """The lowest cost of all ways in which each tracklet ends or continues in another one."""

    def lowest(row: int, free: frozenset[int]) -> float:
        if row == len(table):
            return 0.0
        totals = [END_COST + lowest(row + 1, free)]
        totals += [
            table[row][column] + lowest(row + 1, free - {column})
            for column in free
            if table[row][column] < END_COST
        ]
        return min(totals)

    return lowest(0, frozenset(range(len(table))))


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 60), st.integers(0, 8), st.integers(0, 120)),
        min_size=2,
        max_size=5,
    ),
    st.integers(-3, 2),
)
@example([(0, 0, 34), (0, 0, 101), (3, 4, 0), (9, 0, 34)], -1)
@example([(0, 0, 50), (0, 1, 1), (6, 0, 0), (26, 0, 73)], 0)
def test_no_other_way_of_joining_costs_less(spans: list[Span], half_affinities: int) -> None:
    boxes = [dict.fromkeys([(n, x, 50, 40), (n + d, x, 50, 40)]) for n, d, x in spans]
    tracklets = [tracklet(*rows) for rows in boxes]
    affinity = half_affinities / 2
    table = join_costs(tracklets, affinity)
    joined = stitch(tracklets, MAX_GAP, lambda a, b: affinity)
    everything = [id(o) for t in joined for o in t.observations]
    assert sorted(everything) == sorted(id(o) for t in tracklets for o in t.observations)
    heads = {id(t.observations[0]): i for i, t in enumerate(tracklets)}
    total = 0.0
    for one in joined:
        parts = [heads[id(o)] for o in one.observations if id(o) in heads]
        assert all(tracklets[i].last < tracklets[j].first for i, j in pairwise(parts))
        total += END_COST + sum(table[i][j] for i, j in pairwise(parts))
    assert total == pytest.approx(lowest_total(table), abs=1e-4)
