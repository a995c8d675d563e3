"""Which faces and frames a report shows: clear ones, quick ones, and not too many."""

import numpy as np

from app.plan import PlanTrack
from app.reporting.choice import MOST_FACES, MOST_FRAMES, PER_PERSON, choose_faces, choose_frames
from tests.test_plan import FRAMES, make_plan, make_track


def growing(number: int, first: int, last: int, sides: tuple[float, float]) -> PlanTrack:
    side = np.linspace(*sides, last - first + 1)
    corner = np.full_like(side, 100)
    frames = np.arange(first, last + 1)
    rows = np.column_stack([frames, corner, corner, corner + side, corner + side])
    return make_track(number, first, last, boxes=rows)


def test_large_views_come_first_and_then_those_that_are_quick_to_decode() -> None:
    [[*looks]] = choose_faces([[growing(0, 0, 119, (20, 120))]], [0, 50, 100])
    assert len(looks) == PER_PERSON
    frames = [look.frame for look in looks]
    assert frames == sorted(frames)
    assert 50 in frames
    assert 100 in frames
    assert max(frames) < 108
    assert min(frames) >= 12


def test_everybody_has_one_view_before_anybody_has_two() -> None:
    people = [[growing(number, 0, 99, (50, 50))] for number in range(MOST_FACES - 10)]
    counts = [len(looks) for looks in choose_faces(people, [0])]
    assert sum(counts) == MOST_FACES
    assert sorted(counts) == [1] * (MOST_FACES - 20) + [2] * 10
    people = [[growing(number, 0, 99, (50, 50))] for number in range(MOST_FACES + 5)]
    assert sum(len(looks) for looks in choose_faces(people, [0])) == MOST_FACES


def test_a_short_track_has_one_view() -> None:
    for count in (1, 2, 5):
        [[look]] = choose_faces([[growing(0, 10, 9 + count, (30, 40))]], [0])
        assert 10 <= look.frame < 10 + count


def test_frames_show_every_track_that_needs_a_look() -> None:
    tracks = [growing(number, 40 * number, 40 * number + 30, (50, 50)) for number in range(10)]
    frames = choose_frames(make_plan(*tracks), [0])
    assert len(frames) == MOST_FRAMES
    assert len({frame // 40 for frame in frames}) == MOST_FRAMES
    same = [growing(number, 0, 99, (50, 50)) for number in range(3)]
    assert len(choose_frames(make_plan(*same), [0])) == 1


def test_without_tracks_frames_are_spread_over_the_video() -> None:
    frames = choose_frames(make_plan(), [0])
    assert (frames[0], frames[-1], len(frames)) == (0, FRAMES - 1, MOST_FRAMES)
