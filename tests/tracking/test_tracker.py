"""The tracker, on scripted faces: full looks at some frames, and what happens in between."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.tracking.association import stitch
from app.tracking.interpolation import interpolate
from app.tracking.observations import Tracklet, boxes_of
from app.tracking.tracker import ShotTracker
from tests.scripted_faces import (
    Scripted,
    ScriptedLooker,
    face_number,
    follow,
    straight,
    tracklets_of,
)

STAYING = Scripted(straight(500, 300))


def check(tracklets: list[Tracklet], faces: list[Scripted]) -> None:
    """Each observation shows the face of its tracklet, has its box, and is in no other tracklet."""
    everything = [o for tracklet in tracklets for o in tracklet.observations]
    assert len({id(o) for o in everything}) == len(everything)
    for tracklet in tracklets:
        assert len({face_number(o) for o in tracklet.observations}) == 1
        assert all(a.frame < b.frame for a, b in pairwise(tracklet.observations))
    for o in everything:
        np.testing.assert_array_equal(o.box, faces[face_number(o)].box(o.frame))


def check_boxes(tracklet: Tracklet, face: Scripted) -> None:
    """Interpolated boxes equal those of the face."""
    frames = np.asarray([o.frame for o in tracklet.observations])
    boxes = interpolate(frames, boxes_of(tracklet.observations))
    truth = np.stack([face.box(n) for n in range(tracklet.first, tracklet.last + 1)])
    np.testing.assert_allclose(boxes, truth, atol=0.1)


@pytest.mark.parametrize("step", [1, 2, 7, 10, 12])
def test_a_face_that_stays_is_one_tracklet(step: int) -> None:
    (tracklet,), _ = follow([STAYING], 50, step)
    assert (tracklet.first, tracklet.last) == (0, 49)
    check([tracklet], [STAYING])


@pytest.mark.parametrize("enter", range(1, 21))
def test_the_first_frame_of_a_face_is_found_exactly(enter: int) -> None:
    faces = [STAYING, Scripted(straight(100, 100), enter=enter)]
    tracklets, _ = follow(faces, 31, 10)
    (tracklet,) = tracklets_of(tracklets, 1)
    assert (tracklet.first, tracklet.last) == (enter, 30)
    check(tracklets, faces)


@pytest.mark.parametrize("leave", range(11, 31))
def test_the_last_frame_of_a_face_is_found_exactly(leave: int) -> None:
    faces = [STAYING, Scripted(straight(100, 100, speed=3), leave=leave)]
    tracklets, _ = follow(faces, 31, 10)
    (tracklet,) = tracklets_of(tracklets, 1)
    assert (tracklet.first, tracklet.last) == (0, leave - 1)
    check(tracklets, faces)


@pytest.mark.parametrize(("enter", "leave"), [(3, 8), (4, 5), (1, 10), (5, 9)])
def test_a_face_between_two_looks_is_found_completely(enter: int, leave: int) -> None:
    faces = [STAYING, Scripted(straight(100, 100, speed=2), enter=enter, leave=leave)]
    tracklets, _ = follow(faces, 31, 10)
    (tracklet,) = tracklets_of(tracklets, 1)
    assert (tracklet.first, tracklet.last) == (enter, leave - 1)


@pytest.mark.parametrize(("rate", "most"), [(60, 4), (24, 4), (20, 3), (15, 2), (14, 1), (8, 1)])
def test_the_time_between_two_looks_is_bounded(rate: int, most: int) -> None:
    looker = ScriptedLooker([], duration=Fraction(1, rate))
    ShotTracker(looker, 0, 25).advance(12)
    looks = sorted({*looker.full_looks, *looker.quick_looks})
    assert max(b - a for a, b in pairwise(looks)) == most


def test_every_frame_with_a_glimpse_gets_a_look() -> None:
    place = np.asarray([[90, 90, 110, 110]], np.float32)
    face = Scripted(straight(100, 100), enter=6, leave=7, side=20, distant=True)
    looker = ScriptedLooker([STAYING, face], glimpsed={1: place, 6: place, 7: place})
    tracker = ShotTracker(looker, 0, 25)
    tracker.advance(10)
    assert {1, 6, 7} <= set(looker.quick_looks)
    (tracklet,) = tracklets_of(tracker.tracklets, 1)
    assert (tracklet.first, tracklet.last) == (6, 6)


@pytest.mark.parametrize("step", [5, 8, 10, 13, 31])
@pytest.mark.parametrize("enter", range(1, 26))
def test_a_face_visible_for_five_frames_is_found(enter: int, step: int) -> None:
    faces = [STAYING, Scripted(straight(100, 100, speed=2), enter=enter, leave=enter + 5)]
    tracklets, _ = follow(faces, 32, step)
    (tracklet,) = tracklets_of(tracklets, 1)
    assert (tracklet.first, tracklet.last) == (enter, enter + 4)


@pytest.mark.parametrize("step", [5, 8, 10, 13, 31])
def test_looks_are_at_most_four_frames_apart(step: int) -> None:
    _, looker = follow([STAYING], 63, step)
    looks = sorted(looker.full_looks + looker.quick_looks)
    assert max(b - a for a, b in pairwise(looks)) <= 4


def test_a_low_score_is_ignored_where_no_face_is_expected() -> None:
    tracklets, _ = follow([STAYING, Scripted(straight(100, 100), score=0.3)], 31, 10)
    assert tracklets_of(tracklets, 1) == []


def test_a_low_score_counts_where_a_face_is_expected() -> None:
    place = straight(100, 100)
    faces = [Scripted(place, leave=10), Scripted(place, enter=10, score=0.26)]
    (tracklet,), _ = follow(faces, 31, 10)
    assert (tracklet.first, tracklet.last) == (0, 30)


def test_two_faces_that_cross_keep_their_tracklets() -> None:
    faces = [
        Scripted(straight(100, 200, speed=5), side=60),
        Scripted(straight(400, 230, speed=-5), side=60),
    ]
    tracklets, _ = follow(faces, 61, 10)
    check(tracklets, faces)
    for number, face in enumerate(faces):
        (tracklet,) = tracklets_of(tracklets, number)
        assert (tracklet.first, tracklet.last) == (0, 60)
        check_boxes(tracklet, face)


def test_a_face_lost_for_some_frames_becomes_two_tracklets_that_join() -> None:
    face = Scripted(straight(100, 100, speed=2), missed=range(12, 19))
    tracklets, _ = follow([face], 41, 10)
    check(tracklets, [face])
    early, late = tracklets_of(tracklets, 0)
    assert (early.first, early.last, late.first, late.last) == (0, 11, 19, 40)
    (whole,) = stitch(tracklets, 25, lambda a, b: None)
    assert (whole.first, whole.last) == (0, 40)
    check_boxes(whole, face)


def test_a_face_missed_by_a_full_look_is_searched_near_its_prediction() -> None:
    face = Scripted(straight(100, 100, speed=3), overlooked=(10, 20))
    tracklets, looker = follow([face], 31, 10)
    (tracklet,) = tracklets
    assert (tracklet.first, tracklet.last) == (0, 30)
    assert {10, 20} <= set(looker.crops)


@pytest.mark.parametrize(("max_gap", "found"), [(25, True), (3, False)])
def test_a_lost_face_is_searched_for_during_the_maximum_gap(max_gap: int, found: bool) -> None:
    # Full looks see it in the first frame only; it is absent in frames 5 to 14.
    face = Scripted(straight(100, 100), missed=range(5, 15), overlooked=range(1, 31))
    tracklets, _ = follow([face], 31, 10, max_gap)
    assert (len(tracklets_of(tracklets, 0)) == 2) is found


def test_faces_at_constant_speed_need_few_looks() -> None:
    faces = [Scripted(straight(100 + 200 * n, 200, speed=1)) for n in range(3)]
    tracklets, looker = follow(faces, 101, 10)
    assert len(tracklets) == 3
    assert looker.full_looks == list(range(0, 101, 10))
    assert len(looker.quick_looks) == 20
    assert sorted(looker.crops) == sorted([*range(4, 101, 10)] * 3)


def test_only_the_unconfirmed_face_is_looked_at_again() -> None:
    faces = [STAYING, Scripted(straight(100, 100), leave=17)]
    _, looker = follow(faces, 21, 20)
    assert looker.full_looks == [0, 20]
    assert 8 in looker.quick_looks
    # The last frame is searched again for the missing face, and the first inner look covers both
    # faces. All other crops are of the face that left: up to its last frame, and after it, where
    # a missing face is searched for once more in a wider crop.
    assert looker.crops[:3] == [20, 8, 8]
    assert sorted(looker.crops[3:]) == [4, 10, 12, 14, 16, 17, 17, 18, 18]


@pytest.mark.parametrize("change", [7, 10, 13])
def test_an_identity_switch_in_the_same_place_splits_the_tracklet(change: int) -> None:
    faces = [
        Scripted(straight(100, 100), leave=change),
        Scripted(straight(100, 100), enter=change),
    ]
    tracklets, _ = follow(faces, 31, 10)
    assert sorted((t.first, t.last) for t in tracklets) == [(0, change - 1), (change, 30)]


def test_an_empty_shot_needs_no_crops() -> None:
    tracklets, looker = follow([], 101, 10)
    assert tracklets == []
    assert looker.crops == []


def test_a_shot_of_one_frame() -> None:
    looker = ScriptedLooker([STAYING])
    (tracklet,) = ShotTracker(looker, 7, 25).tracklets
    assert (tracklet.first, tracklet.last) == (7, 7)
    assert looker.full_looks == [7]


def test_advance_returns_the_tracklets_that_grew() -> None:
    faces = [
        STAYING,
        Scripted(straight(100, 100), leave=10),
        Scripted(straight(300, 100), enter=15),
    ]
    tracker = ShotTracker(ScriptedLooker(faces), 0, 25)
    tracker.advance(10)
    gained = tracker.advance(20)
    assert sorted(face_number(tracklet.observations[0]) for tracklet in gained) == [0, 2]
    assert all(any(tracklet is one for one in tracker.tracklets) for tracklet in gained)


speeds = st.integers(-6, 6)


@st.composite
def scripts(draw: st.DrawFn) -> list[Scripted]:
    """One to four faces, each moving in a lane of its own."""
    faces = []
    for lane in range(draw(st.integers(1, 4))):
        enter = draw(st.integers(0, 50))
        leave = enter + draw(st.integers(1, 60))
        place = straight(300, 150 * lane, draw(speeds), draw(st.integers(-1, 1)))
        faces.append(Scripted(place, enter, leave, side=draw(st.integers(50, 70))))
    return faces


@settings(max_examples=60, deadline=None)
@given(scripts())
def test_looking_at_every_frame_finds_every_face_exactly(faces: list[Scripted]) -> None:
    tracklets, looker = follow(faces, 60, 1)
    check(tracklets, faces)
    for number, face in enumerate(faces):
        seen = [
            [o.frame for o in tracklet.observations] for tracklet in tracklets_of(tracklets, number)
        ]
        truth = list(range(face.enter, min(face.leave, 60)))
        assert seen == ([truth] if truth else [])
    assert looker.full_looks == list(range(60))


@settings(max_examples=100, deadline=None)
@given(scripts(), st.integers(2, 12))
def test_a_face_present_at_a_look_is_followed_from_first_to_last_frame(
    faces: list[Scripted], step: int
) -> None:
    tracklets, looker = follow(faces, 60, step)
    check(tracklets, faces)
    looks = {*range(0, 60, step), 59}
    for number, face in enumerate(faces):
        frames = range(face.enter, min(face.leave, 60))
        if looks & set(frames):
            (tracklet,) = tracklets_of(tracklets, number)
            assert (tracklet.first, tracklet.last) == (frames[0], frames[-1])
            check_boxes(tracklet, face)
    assert len(looker.full_looks) == len(looks)


@settings(max_examples=60, deadline=None)
@given(scripts(), st.integers(1, 12), st.sets(st.integers(0, 59), max_size=20))
def test_no_observation_is_in_two_tracklets_whatever_is_missed(
    faces: list[Scripted], step: int, missed: set[int]
) -> None:
    blinking = [
        Scripted(f.place, f.enter, f.leave, f.side, missed=missed, distant=n % 2 == 0)
        for n, f in enumerate(faces)
    ]
    tracklets, _ = follow(blinking, 60, step)
    check(tracklets, blinking)
