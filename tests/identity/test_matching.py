"""Matching of tracks to people.

Embeddings have one axis per person, so the coordinates of a chip are its similarities.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.identity.evidence import NO_CLEAR_VIEW, NO_STRENGTH, Evidence, compare_track
from app.identity.gallery import Gallery, Person
from app.identity.matching import (
    EXCLUDING_LEAD,
    EXCLUDING_LEAD_OVER_SURE,
    REFERENCE_QUALITY,
    REFERENCE_SIZE,
    SAME_VIDEO_PENALTY,
    Match,
    match_tracks,
)
from app.identity.scale import Scale

STRANGER, DOUBTFUL, SURE = 0.86, 0.9, 0.94
UNIT = SURE - STRANGER
LEAST = 0.2
SCALE = Scale.flat(stranger=STRANGER, doubtful=DOUBTFUL, sure=SURE, least=LEAST)
SPACE = 8
"""Dimensions of embeddings: first the people, then what chips of a track have in common."""


def gallery(people: int) -> Gallery:
    axes = np.eye(SPACE, dtype=np.float32)
    return Gallery(tuple(Person(f"person {n}", axes[n : n + 1], 1) for n in range(people)))


def track(
    *chips: Sequence[float],
    frames: tuple[int, int] = (0, 9),
    shot: int = 0,
    quality: float = 1.0,
    size: float = 30.0,
    selected: int | None = None,
    at: Sequence[int] = (),
) -> Evidence:
    """A track of chips, given by first coordinates; its size is below ``REFERENCE_SIZE``."""
    rows = [[*chip, *[0.0] * (SPACE - len(chip))] for chip in chips]
    count = len(rows)
    return Evidence(
        shot,
        *frames,
        np.asarray(rows, np.float32).reshape(count, SPACE),
        np.full(count, quality, np.float32),
        np.full(count, size, np.float32),
        np.asarray(at, np.int64),
        selected=selected,
    )


def standings(found: Sequence[Match | None]) -> list[tuple[int | None, str] | None]:
    return [None if one is None else (one.person, one.standing) for one in found]


def matched(*tracks: Evidence, people: int = 1) -> list[tuple[int | None, str] | None]:
    return standings(match_tracks(tracks, gallery(people), SCALE))


class TestOverlaps:
    @pytest.mark.parametrize(
        ("frames", "shot", "overlaps"),
        [((9, 20), 0, True), ((10, 20), 0, False), ((2, 3), 0, True), ((0, 9), 1, False)],
    )
    def test_tracks_overlap_in_a_common_frame_of_one_shot(
        self, frames: tuple[int, int], shot: int, overlaps: bool
    ) -> None:
        one, other = track([1], frames=(0, 9)), track([1], frames=frames, shot=shot)
        assert one.overlaps(other) is overlaps
        assert other.overlaps(one) is overlaps


class TestCompareTrack:
    axis = np.eye(1, SPACE, dtype=np.float32)

    def similarity(self, *chips: Sequence[float], quality: float = 1.0) -> float:
        return (
            STRANGER
            + UNIT * compare_track(track(*chips, quality=quality), self.axis, SCALE).strength
        )

    def test_a_chip_of_one_similarity(self) -> None:
        assert self.similarity([0.95]) == pytest.approx(0.95)

    def test_the_nearest_photo_counts(self) -> None:
        both = np.eye(2, SPACE, dtype=np.float32)
        strength = compare_track(track([0.5, 0.95]), both, SCALE).strength
        assert strength == pytest.approx((0.95 - STRANGER) / UNIT)

    @pytest.mark.parametrize(
        ("chips", "expected"), [((0.9, 0.98), 0.98), ((0.9, 0.98, 0.94), 0.96), ((0.9,) * 4, 0.9)]
    )
    def test_the_mean_of_the_better_half_counts(
        self, chips: tuple[float, ...], expected: float
    ) -> None:
        assert self.similarity(*([c] for c in chips)) == pytest.approx(expected)

    def test_better_chips_have_more_weight(self) -> None:
        mixed = replace(
            track([0.95], [0.89], [0.88], [0.87]),
            qualities=np.asarray([1.0, 0.25, 0.2, 0.2], np.float32),
        )
        expected = (0.95 * 1.0 + 0.89 * 0.25) / 1.25
        got = STRANGER + UNIT * compare_track(mixed, self.axis, SCALE).strength
        assert got == pytest.approx(expected, abs=1e-5)

    def test_without_chips_or_embeddings_there_is_no_strength(self) -> None:
        assert compare_track(track(), self.axis, SCALE).strength == NO_STRENGTH
        assert compare_track(track([1]), self.axis[:0], SCALE).strength == NO_STRENGTH

    def test_the_span_surrounds_the_chips_that_may_be_the_person(self) -> None:
        seen = track([0.95], [0.93], [0.5], frames=(0, 99), at=(10, 30, 60))
        assert compare_track(seen, self.axis, SCALE).span == (6, 34)
        assert compare_track(track([0.5], frames=(3, 9), at=(5,)), self.axis, SCALE).span == (10, 2)
        assert compare_track(track([0.95], frames=(3, 9), at=(4,)), self.axis, SCALE).span == (3, 8)

    def test_the_quality_is_the_mean_of_the_better_half(self) -> None:
        mixed = replace(
            track([1], [1], [1], [1]), qualities=np.asarray([0.1, 0.9, 0.2, 0.7], np.float32)
        )
        assert mixed.quality == pytest.approx(0.8)
        assert track().quality == 0


class TestMatchTracks:
    def test_no_tracks(self) -> None:
        assert match_tracks([], gallery(2), SCALE) == []

    @pytest.mark.parametrize(
        ("value", "expected"),
        [(0.89, None), (0.91, (0, "doubtful")), (0.93, (0, "doubtful")), (0.95, (0, "sure"))],
    )
    def test_similarity_decides_the_standing_of_a_single_track(
        self, value: float, expected: tuple[int, str] | None
    ) -> None:
        assert matched(track([value])) == [expected]

    def test_a_match_has_the_person_and_the_similarity(self) -> None:
        (found,) = match_tracks([track([0.2, 0.95])], gallery(3), SCALE)
        assert found is not None
        assert (found.person, found.standing) == (1, "sure")
        assert found.similarity == pytest.approx(0.95)

    def test_a_track_without_chips_is_unclear(self) -> None:
        (found,) = match_tracks([track()], gallery(1), SCALE)
        assert found == Match(None, None, "unclear", NO_CLEAR_VIEW)

    def test_a_weak_track_is_unclear_unless_the_person_is_elsewhere_in_its_frames(self) -> None:
        weak = track([0.88], quality=LEAST - 0.05)
        assert matched(weak) == [(None, "unclear")]
        assert matched(weak, track([0.97])) == [None, (0, "sure")]
        assert matched(weak, track([0.92])) == [(None, "unclear"), (0, "doubtful")]
        assert matched(weak, track([0.97], shot=1)) == [(None, "unclear"), (0, "sure")]
        assert matched(weak, track([0.97]), people=2) == [(None, "unclear"), (0, "sure")]

    def test_a_weak_but_similar_track_is_doubtful(self) -> None:
        assert matched(track([0.91], quality=LEAST - 0.05)) == [(0, "doubtful")]

    def test_a_track_excludes_others_only_in_frames_that_show_the_person(self) -> None:
        """It resembles the person in frames 0 to 20, and lasts until frame 60."""
        lost = track([0.97], [0.5], [0.96], frames=(0, 60), at=(0, 40, 16))
        early, late = (
            track([0.88], frames=frames, quality=LEAST - 0.05) for frames in ((0, 9), (30, 60))
        )
        assert matched(lost, early, late) == [(0, "sure"), None, (None, "unclear")]

    def test_tracks_at_different_times_can_be_one_person(self) -> None:
        later, elsewhere = track([0.96], frames=(10, 19)), track([0.97], shot=1)
        assert matched(track([0.95]), later, elsewhere) == [(0, "sure")] * 3

    def test_of_two_overlapping_tracks_the_more_similar_one_is_the_person(self) -> None:
        assert matched(track([0.93]), track([0.97])) == [(0, "excluded"), (0, "sure")]

    def test_a_nearly_as_similar_track_is_not_excluded(self) -> None:
        close = 0.938 + EXCLUDING_LEAD * UNIT - 0.002
        assert matched(track([0.938]), track([close])) == [(0, "doubtful"), (0, "sure")]

    def test_a_track_above_the_sure_threshold_is_excluded_only_by_a_larger_lead(self) -> None:
        """A mirror shows the person a second time, nearly as similar."""
        near, far = (0.95 + EXCLUDING_LEAD_OVER_SURE * UNIT + d for d in (-0.002, 0.002))
        assert matched(track([0.95]), track([near])) == [(0, "doubtful"), (0, "sure")]
        assert matched(track([0.95]), track([far])) == [(0, "excluded"), (0, "sure")]

    def test_a_doubtful_track_excludes_nobody(self) -> None:
        assert matched(track([0.905]), track([0.935])) == [(0, "doubtful"), (0, "doubtful")]

    def test_a_track_excluded_as_one_person_may_be_another(self) -> None:
        second = track([0.93, 0.92])
        assert matched(track([0.98]), second, people=2) == [(0, "sure"), (1, "doubtful")]

    def test_tracks_without_a_common_frame_do_not_exclude_each_other(self) -> None:
        before, after = track([0.93], frames=(0, 4)), track([0.93], frames=(20, 29))
        assert matched(before, track([0.99], frames=(5, 19)), after) == [
            (0, "doubtful"),
            (0, "sure"),
            (0, "doubtful"),
        ]

    def test_the_best_assignment_may_skip_the_best_pair(self) -> None:
        # Track by track, the first would be person 0, and the second nobody.
        tracks = [track([0.98, 0.97]), track([0.97, 0.5])]
        assert matched(*tracks, people=2) == [(1, "sure"), (0, "sure")]

    def test_two_short_tracks_win_against_one_long_overlapping_track(self) -> None:
        long = track([0.975], frames=(0, 30))
        short = [track([0.97], frames=(0, 9)), track([0.97], frames=(20, 29))]
        assert matched(long, *short) == [(0, "doubtful"), (0, "sure"), (0, "sure")]

    def test_a_track_is_one_person_only(self) -> None:
        assert matched(track([0.95, 0.97]), people=2) == [(1, "sure")]


class TestPropagation:
    """The photo recognises a front view, and chips of that track recognise a profile."""

    front = (0.97, 0, 0, 0, 0.24)
    profile = (0.5, 0, 0, 0.866)

    def sure(self, *, size: float = 50.0, quality: float = 1.0) -> Evidence:
        return track(self.front, self.profile, shot=0, size=size, quality=quality)

    def unlike(self) -> Evidence:
        return track((0.5, 0, 0, 0.86, 0, 0.1), shot=1)

    def test_the_profile_alone_matches_nobody(self) -> None:
        assert matched(self.unlike()) == [None]

    def test_a_dissimilar_track_is_recognised_by_chips_of_a_sure_one(self) -> None:
        found = match_tracks([self.sure(), self.unlike()], gallery(1), SCALE)
        assert standings(found) == [(0, "sure"), (0, "sure")]
        assert found[1] is not None
        expected = 0.5 * 0.5 + 0.866 * 0.86 - SAME_VIDEO_PENALTY * UNIT
        assert found[1].similarity == pytest.approx(expected, abs=1e-5)

    @pytest.mark.parametrize(
        ("size", "quality", "used"),
        [
            (REFERENCE_SIZE, 1.0, True),
            (REFERENCE_SIZE - 1, 1.0, False),
            (50.0, REFERENCE_QUALITY + 0.05, True),
            (50.0, REFERENCE_QUALITY - 0.05, False),
        ],
    )
    def test_small_and_weak_chips_are_no_references(
        self, size: float, quality: float, used: bool
    ) -> None:
        found = matched(self.sure(size=size, quality=quality), self.unlike())
        assert found[0] is not None
        assert (found[1] is not None) is used

    def test_a_doubtful_track_is_no_reference(self) -> None:
        doubtful = track((0.93,), self.profile, size=50)
        assert matched(doubtful, self.unlike()) == [(0, "doubtful"), None]

    def test_a_track_is_no_reference_for_itself(self) -> None:
        (found,) = match_tracks([self.sure()], gallery(1), SCALE)
        assert found is not None
        assert found.similarity == pytest.approx(0.97)

    def test_references_count_for_their_own_person_only(self) -> None:
        assert matched(self.sure(), self.unlike(), people=2)[1] == (0, "sure")


class TestSelection:
    """Tracks that the user selected."""

    def test_a_selected_track_is_that_person_whatever_its_chips(self) -> None:
        assert matched(track([0.1, 0.99], selected=0), people=2) == [(0, "sure")]
        assert matched(track(selected=1), people=2) == [(1, "sure")]

    def test_a_selected_track_is_nobody_else(self) -> None:
        selected = track([0.2, 0.99], selected=0)
        assert matched(selected, track([0.97, 0.2]), people=2) == [(0, "sure"), (0, "excluded")]

    def test_overlapping_tracks_are_not_the_selected_person(self) -> None:
        assert matched(track([0.2], selected=0), track([0.93])) == [(0, "sure"), (0, "excluded")]

    def test_elsewhere_the_selected_person_is_found_by_similarity(self) -> None:
        assert matched(track([1.0], selected=0), track([0.95], shot=1)) == [
            (0, "sure"),
            (0, "sure"),
        ]

    def test_a_selected_track_is_a_reference(self) -> None:
        selected = track((0, 0, 1.0), size=50, selected=0)
        assert matched(selected, track((0, 0, 0.99), shot=1)) == [(0, "sure"), (0, "sure")]

    def test_a_selected_person_without_chips_is_found_nowhere_else(self) -> None:
        without_chips = Gallery((Person("pointed", np.zeros((0, SPACE), np.float32), 0),))
        tracks = [track([0.99], selected=0), track([0.99], shot=1)]
        assert standings(match_tracks(tracks, without_chips, SCALE)) == [(0, "sure"), None]


likenesses = st.integers(880, 990).map(lambda n: n / 1000 + 0.0005)


@st.composite
def crowds(draw: st.DrawFn) -> tuple[list[Evidence], int]:
    people = draw(st.integers(1, 3))
    tracks = []
    for _ in range(draw(st.integers(1, 5))):
        first = draw(st.integers(0, 20))
        chip = [draw(likenesses) for _ in range(people)]
        tracks.append(track(chip, frames=(first, first + draw(st.integers(0, 12)))))
    return tracks, people


def best_total(tracks: Sequence[Evidence], people: int, threshold: float) -> float:
    """The largest sum of gains of all assignments without conflicts."""

    def gain(t: int, person: int) -> float:
        value = float(tracks[t].embeddings[0, person])
        return (value - threshold) / (threshold - STRANGER) + 1e-3 if value >= threshold else -1.0

    best = 0.0
    for choice in product(range(-1, people), repeat=len(tracks)):
        clash = any(
            choice[i] == choice[j] >= 0 and tracks[i].overlaps(tracks[j])
            for i, j in combinations(range(len(tracks)), 2)
        )
        if not clash:
            best = max(best, sum(gain(t, p) for t, p in enumerate(choice) if p >= 0))
    return best


@settings(deadline=None)
@given(crowds())
def test_no_other_assignment_is_better(crowd: tuple[list[Evidence], int]) -> None:
    tracks, people = crowd
    threshold = 0.92
    scale = SCALE.changed(doubtful=threshold, sure=threshold)
    found = match_tracks(tracks, gallery(people), scale)
    chosen = {t: m for t, m in enumerate(found) if m is not None and m.standing == "sure"}
    for (t, one), (u, other) in combinations(chosen.items(), 2):
        assert one.person != other.person or not tracks[t].overlaps(tracks[u])
    unit = threshold - STRANGER
    total = sum(((m.similarity or 0.0) - threshold) / unit + 1e-3 for m in chosen.values())
    assert total == pytest.approx(best_total(tracks, people, threshold), abs=1e-4)


@settings(deadline=None)
@given(crowds())
def test_a_track_that_may_be_a_person_always_has_a_match(
    crowd: tuple[list[Evidence], int],
) -> None:
    tracks, people = crowd
    for evidence, found in zip(tracks, match_tracks(tracks, gallery(people), SCALE), strict=True):
        likeness = evidence.embeddings[0, :people].max()
        assert (found is None) == (likeness < DOUBTFUL)
        if found is not None and found.standing == "sure":
            assert found.similarity is not None
            assert found.similarity >= SURE


def test_a_chip_is_no_reference_for_an_overlapping_track() -> None:
    gallery = Gallery((Person("a", np.eye(1, 6, dtype=np.float32), 1),))
    front = [(0.95, 0, 0, 0.3122, 0, 0), (0.5, 0, 0, 0.866, 0, 0)]
    beside = [(0.5, 0, 0, 0.86, 0, 0.1)]
    tracks = [_plain(front), _plain(beside)]
    first, second = match_tracks(tracks, gallery, Scale.flat(stranger=0.5, doubtful=0.7, sure=0.7))
    assert first is not None
    assert first.standing == "sure"
    assert second is None


def test_no_track_outweighs_a_selected_one() -> None:
    gallery = Gallery((Person("a", np.eye(1, 2, dtype=np.float32), 0),))
    clicked = replace(_plain([(0.0, 1.0)], 0, 100), selected=0)
    like = [_plain([(0.99, 0.141)], 0, 40), _plain([(0.99, 0.141)], 60, 100)]
    found = match_tracks([clicked, *like], gallery, SCALE)
    assert found[0] is not None
    assert found[0].standing == "sure"
    assert all(one is not None and one.standing != "sure" for one in found[1:])


def test_an_empty_gallery_matches_nobody() -> None:
    assert match_tracks([_plain([(1.0, 0.0)])], Gallery(()), SCALE) == [None]


def _plain(chips: Sequence[tuple[float, ...]], first: int = 0, last: int = 9) -> Evidence:
    rows = np.asarray(chips, np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    ones = np.ones(len(rows), np.float32)
    return Evidence(0, first, last, rows, ones, ones * 100)
