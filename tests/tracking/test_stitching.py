"""Joining the trails of a face that was lost for a moment."""

from collections.abc import Sequence
from itertools import pairwise, permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.tracking.association import FORBIDDEN, costs
from app.tracking.observations import Trail
from app.tracking.stitching import stitch
from tests.scripted_faces import trail

PATIENCE = 25


def unknown(early: Trail, late: Trail) -> float | None:
    return None


def ends(trails: Sequence[Trail]) -> list[tuple[int, int]]:
    return sorted((t.first, t.last) for t in trails)


@pytest.mark.parametrize(
    ("late", "joined"), [(6, True), (30, True), (31, False), (5, False), (3, False)]
)
def test_a_trail_goes_on_within_patience(late: int, joined: bool) -> None:
    trails = [trail((0, 50, 50, 40), (5, 50, 50, 40)), trail((late, 50, 50, 40), (40, 50, 50, 40))]
    assert ends(stitch(trails, PATIENCE, unknown)) == (
        [(0, 40)] if joined else sorted([(0, 5), (late, 40)])
    )


def test_a_trail_does_not_go_on_where_it_cannot_be() -> None:
    trails = [trail((0, 50, 50, 40)), trail((4, 250, 50, 40))]
    assert ends(stitch(trails, PATIENCE, unknown)) == [(0, 0), (4, 4)]


def test_a_trail_goes_on_where_it_was_heading_or_where_it_was() -> None:
    # At half its speed it should be at 80; 125 can be reached from there, but not from 40.
    heading = trail((0, 16, 50, 40), (1, 40, 50, 40))
    for x in (80, 40, 125):
        assert ends(stitch([heading, trail((6, x, 50, 40))], PATIENCE, unknown)) == [(0, 6)]
    resting = trail((0, 40, 50, 40), (1, 40, 50, 40))
    assert ends(stitch([resting, trail((6, 125, 50, 40))], PATIENCE, unknown)) == [(0, 1), (6, 6)]


def test_a_fast_trail_goes_on_where_its_speed_leads() -> None:
    fast, gone_on = trail((0, 40, 50, 40), (2, 90, 50, 40)), ((12, 340, 50, 40), (14, 390, 50, 40))
    assert ends(stitch([fast, trail(*gone_on)], PATIENCE, unknown)) == [(0, 14)]
    coming_back = trail((12, 340, 50, 40), (14, 290, 50, 40))
    assert len(stitch([fast, coming_back], PATIENCE, unknown)) == 2
    assert len(stitch([fast, trail(gone_on[0])], PATIENCE, unknown)) == 2


def test_several_losses_of_sight_become_one_trail_in_order_of_time() -> None:
    pieces = [trail((n, 50, 50, 40), (n + 3, 50, 50, 40)) for n in (20, 0, 10)]
    (whole,) = stitch(pieces, PATIENCE, unknown)
    assert [o.frame for o in whole.observations] == [0, 3, 10, 13, 20, 23]


def test_who_is_not_alike_is_not_joined() -> None:
    trails = [trail((0, 50, 50, 40)), trail((4, 50, 50, 40))]
    assert len(stitch(trails, PATIENCE, lambda a, b: -1.5)) == 2
    assert len(stitch(trails, PATIENCE, lambda a, b: -1.0)) == 1


def test_the_likeness_of_faces_outweighs_their_distance() -> None:
    early = trail((0, 50, 50, 40))
    near, alike = trail((4, 52, 50, 40)), trail((4, 70, 50, 40))
    joined = stitch([early, near, alike], PATIENCE, lambda a, b: 1.0 if b is alike else 0.0)
    assert [o.box[0] for t in joined if t.first == 0 for o in t.observations] == [30, 50]
    joined = stitch([early, near, alike], PATIENCE, unknown)
    assert [o.box[0] for t in joined if t.first == 0 for o in t.observations] == [30, 32]


def test_a_good_join_is_worth_more_than_two_bad_ones() -> None:
    """A face comes back where it was; a small face that ends and a hand are far off."""
    lost, small = trail((0, 300, 100, 100)), trail((0, 150, 100, 55))
    back, hand = trail((16, 290, 110, 110)), trail((16, 270, 290, 120))
    joined = stitch([lost, small, back, hand], PATIENCE, unknown)
    assert sorted(len(one.observations) for one in joined) == [1, 1, 2]
    (whole,) = (one for one in joined if len(one.observations) == 2)
    assert [whole.observations[0], whole.observations[1]] == [
        lost.observations[0],
        back.observations[0],
    ]


def test_who_is_far_and_of_another_size_stays_alone() -> None:
    small, large = trail((0, 150, 100, 55)), trail((16, 290, 110, 132))
    (cost,) = costs(small.observations[0].box[None], large.observations[0].box[None], 16)[0]
    assert cost < FORBIDDEN
    assert len(stitch([small, large], PATIENCE, lambda a, b: -1.0)) == 2


def test_the_trails_given_are_left_as_they_are() -> None:
    trails = [trail((0, 50, 50, 40)), trail((4, 50, 50, 40))]
    stitch(trails, PATIENCE, unknown)
    assert ends(trails) == [(0, 0), (4, 4)]


@pytest.mark.parametrize("count", [0, 1])
def test_nothing_to_join(count: int) -> None:
    trails = [trail((0, 50, 50, 40))] * count
    assert stitch(trails, PATIENCE, unknown) == trails


pieces = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 8), st.integers(0, 120)), min_size=2, max_size=5
)


@settings(deadline=None)
@given(pieces, st.integers(-3, 2))
def test_no_other_way_of_joining_is_better(
    spans: list[tuple[int, int, int]], likeness: int
) -> None:
    trails = [trail(*dict.fromkeys([(n, x, 50, 40), (n + d, x, 50, 40)])) for n, d, x in spans]
    alike = likeness / 2

    def cost(a: Trail, b: Trail) -> float:
        gap = b.first - a.last
        if not 0 < gap <= PATIENCE or alike < -1:
            return FORBIDDEN
        # All of them rest, so that the place expected is that of the last look.
        apart = float(costs(a.observations[-1].box[None], b.observations[0].box[None], gap)[0, 0])
        return apart - alike

    table = [[cost(a, b) for b in trails] for a in trails]
    best = min(
        sum(table[i][j] for i, j in enumerate(order)) for order in permutations(range(len(trails)))
    )
    joined = stitch(trails, PATIENCE, lambda a, b: alike)
    everything = [id(o) for t in joined for o in t.observations]
    assert sorted(everything) == sorted(id(o) for t in trails for o in t.observations)
    heads = {id(t.observations[0]): i for i, t in enumerate(trails)}
    total, joins = 0.0, 0
    for one in joined:
        parts = [heads[id(o)] for o in one.observations if id(o) in heads]
        assert all(trails[i].last < trails[j].first for i, j in pairwise(parts))
        total += sum(table[i][j] for i, j in pairwise(parts))
        joins += len(parts) - 1
    assert total + (len(trails) - joins) * FORBIDDEN == pytest.approx(best, rel=1e-6, abs=0.1)
