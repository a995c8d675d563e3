"""Decisions about tracks, and selection by a point."""

from fractions import Fraction

import numpy as np
import pytest

from app.config import Point, Settings
from app.errors import UsageError
from app.identity.gallery import Gallery, Person
from app.identity.policies import POLICIES
from app.identity.scale import Scale
from app.pipeline.analysis import AnalysisResult
from app.pipeline.chips import EmbeddedChips
from app.pipeline.decisions import decide
from app.pipeline.frame_times import FrameTimes
from app.pipeline.selection import SELECTION_SCALE, track_at
from app.pipeline.shot_analysis import FaceTrack
from app.plan import PlanTrack

SCALE = Scale.flat(stranger=0.8, doubtful=0.9, sure=0.94)
ALICE = Person("alice", np.asarray([[1, 0, 0]], np.float32), 2)
BOB = Person("bob", np.asarray([[0, 1, 0]], np.float32), 1)


def track(
    *similarities: float,
    first: int = 0,
    x: float = 0,
    side: float = 100,
    frames: int = 10,
    shot: int = 0,
) -> FaceTrack:
    """A square face with its left edge at ``x``, and one chip with these similarities."""
    boxes = np.repeat(np.asarray([[x, 0, x + side, side]], np.float32), frames, axis=0)
    chip = np.zeros((1 if similarities else 0, 3), np.float32)
    chip[:, : len(similarities)] = similarities
    ones = np.ones(len(chip), np.float32)
    chips = EmbeddedChips(chip, ones, 60 * ones, np.full(len(chip), first, np.int64))
    return FaceTrack(shot, first, boxes, (first, first + frames - 1), chips)


def found(*tracks: FaceTrack) -> AnalysisResult:
    times = FrameTimes(range(0, 40 * 40, 40), Fraction(1, 1000))
    return AnalysisResult(40, ((0, 20), (20, 40)), tracks, times, (640, 360))


def _decide(
    found: AnalysisResult, gallery: Gallery, settings: Settings
) -> tuple[Gallery, tuple[PlanTrack, ...]]:
    return decide(found, gallery, settings.select, SCALE, POLICIES[settings.choice])


def decided(settings: Settings, *tracks: FaceTrack) -> tuple[PlanTrack, ...]:
    people = () if settings.people is None else (ALICE, BOB)
    return _decide(found(*tracks), Gallery(people), settings)[1]


class TestTrackAt:
    def test_the_face_at_the_point_is_found(self) -> None:
        tracks = found(track(x=0), track(x=300))
        assert track_at(tracks, Point(0, 50, 50)) == 0
        assert track_at(tracks, Point(9, 390, 10)) == 1

    def test_of_two_faces_the_nearer_centre_wins(self) -> None:
        tracks = found(track(x=0), track(x=60))
        assert track_at(tracks, Point(0, 70, 50)) == 0
        assert track_at(tracks, Point(0, 90, 50)) == 1

    @pytest.mark.parametrize(
        ("x", "hit"), [(50 + 49 * SELECTION_SCALE, True), (50 + 51 * SELECTION_SCALE, False)]
    )
    def test_a_point_may_be_slightly_outside_the_box(self, x: float, hit: bool) -> None:
        if hit:
            assert track_at(found(track()), Point(0, x, 50)) == 0
        else:
            with pytest.raises(UsageError):
                track_at(found(track()), Point(0, x, 50))

    @pytest.mark.parametrize("frame", [4, 15])
    def test_before_and_after_a_track_there_is_no_face(self, frame: int) -> None:
        tracks = found(track(first=5))
        assert track_at(tracks, Point(5, 50, 50)) == track_at(tracks, Point(14, 50, 50)) == 0
        with pytest.raises(
            UsageError, match=rf"^select {frame},50,50\.5: there is no face in frame {frame} "
        ):
            track_at(tracks, Point(frame, 50, 50.5))

    def test_a_point_without_any_track_is_an_error(self) -> None:
        with pytest.raises(UsageError, match="select 0,1,2"):
            track_at(found(), Point(0, 1, 2))


class TestDecide:
    listed = Settings(people="people")
    others = Settings(people="people", blur="others")

    def test_a_plan_track_has_person_similarity_and_reason(self) -> None:
        (one,) = decided(self.listed, track(0.955, first=3, shot=0))
        assert (one.id, one.shot, one.first, one.last) == (0, 0, 3, 12)
        assert one.person == "alice"
        assert one.similarity == pytest.approx(0.955, abs=1e-3)
        assert (one.decision, one.uncertain, one.reason) == ("blur", False, "matches alice")
        np.testing.assert_array_equal(one.boxes[:, 0], range(3, 13))
        np.testing.assert_array_equal(one.boxes[:, 1:], [[0, 0, 100, 100]] * 10)

    @pytest.mark.parametrize(
        ("similarity", "listed", "others"),
        [(0.96, "blur", "keep"), (0.92, "blur", "blur"), (0.5, "keep", "blur")],
    )
    def test_the_settings_choose_the_policy(
        self, similarity: float, listed: str, others: str
    ) -> None:
        for settings, expected in ((self.listed, listed), (self.others, others)):
            (one,) = decided(settings, track(similarity))
            assert one.decision == expected

    def test_a_track_without_a_match_has_no_person(self) -> None:
        (one,) = decided(self.listed, track(0.5))
        assert (one.person, one.similarity) == (None, None)

    def test_everyone_is_hidden_without_a_gallery(self) -> None:
        boxes = np.asarray([[0, 0, 9, 9]], np.float32)
        (one,) = decided(Settings(), FaceTrack(0, 0, boxes, (0, 0), None))
        assert (one.person, one.decision) == (None, "blur")

    def test_everyone_includes_people_of_the_gallery(self) -> None:
        tracks = decided(Settings(people="people", blur="everyone"), track(0.99), track(0.1, x=300))
        assert [one.decision for one in tracks] == ["blur", "blur"]

    def test_no_tracks(self) -> None:
        assert decided(self.listed) == ()

    def test_similarity_is_at_most_one(self) -> None:
        (one,) = decided(self.listed, track(1.00001))
        assert one.similarity == 1.0


class TestSelect:
    def test_a_selected_person_is_hidden_in_every_shot(self) -> None:
        tracks = [track(0.2, 0, 0.98), track(0.9, x=300), track(0.2, 0, 0.98, first=20, shot=1)]
        settings = Settings(select="0,50,50")
        everybody, planned = _decide(found(*tracks), Gallery(()), settings)
        assert everybody.names == ("selected 1",)
        assert everybody.people[0].photos == 0
        assert [one.person for one in planned] == ["selected 1", None, "selected 1"]
        assert [one.decision for one in planned] == ["blur", "keep", "blur"]

    def test_with_others_everybody_but_the_selected_person_is_hidden(self) -> None:
        planned = decided(Settings(select="0,50,50", blur="others"), track(0.9), track(0, 1, x=300))
        assert [one.decision for one in planned] == ["keep", "blur"]

    def test_a_selected_person_without_chips_is_hidden_in_that_track(self) -> None:
        planned = decided(Settings(select="0,50,50"), track(), track(0, 1, x=300))
        assert [one.decision for one in planned] == ["blur", "keep"]

    def test_photos_and_selection_can_be_combined(self) -> None:
        settings = Settings(people="people", select="0,350,50")
        everybody, planned = _decide(
            found(track(0.99), track(0, 0, 1, x=300)), Gallery((ALICE, BOB)), settings
        )
        assert everybody.names == ("alice", "bob", "selected 1")
        assert [one.person for one in planned] == ["alice", "selected 1"]

    def test_two_selected_faces_are_two_people(self) -> None:
        planned = decided(Settings(select="0,50,50;0,350,50"), track(0.9), track(0.9, x=300))
        assert [one.person for one in planned] == ["selected 1", "selected 2"]
        assert {one.decision for one in planned} == {"blur"}

    def test_a_face_selected_twice_is_one_person(self) -> None:
        settings = Settings(select="0,50,50;5,60,60")
        everybody, _ = _decide(found(track(0.9)), Gallery(()), settings)
        assert len(everybody.people) == 1

    def test_selecting_a_point_without_a_face_is_an_error(self) -> None:
        with pytest.raises(UsageError, match="select 0,500,50"):
            decided(Settings(select="0,500,50"), track(0.9))
