"""Tracks of a person that end, or change hands, beside a face that cannot be told."""

from dataclasses import replace

import numpy as np
import pytest

from app.identity.evidence import Evidence
from app.identity.matching import Match, continue_lost_people

PATIENCE = 25
SIDE = 40.0
UNCLEAR = Match(None, None, "unclear", "in profile")


def track(first: int, last: int, x: float, *, shot: int = 0, step: float = 0.0) -> Evidence:
    """A face 40 pixels wide that begins at ``x`` and moves by ``step`` pixels a frame."""
    left = x + step * np.arange(last - first + 1)
    boxes = np.stack([left, 0 * left, left + SIDE, 0 * left + SIDE], axis=1).astype(np.float32)
    none = np.zeros(0, np.float32)
    chips = np.zeros((0, 3), np.float32)
    return Evidence(shot, first, last, chips, none, none, boxes=boxes)


def sure(first: int, last: int) -> Match:
    return Match(0, 0.9, "sure", span=(first, last))


def after(source: Evidence, found: Match, weak: Evidence, match: Match | None) -> Match | None:
    return continue_lost_people([source, weak], [found, match], PATIENCE)[1]


@pytest.mark.parametrize(
    ("weak", "taken"),
    [
        (track(25, 50, 30), True),
        (track(20 + PATIENCE, 80, 70), True),
        (track(21 + PATIENCE, 80, 30), False),
        (track(25, 50, 2 * SIDE - 1), True),
        (track(25, 50, 2 * SIDE + 1), False),
        (track(25, 50, 30, shot=1), False),
        (track(5, 50, 30), False),
    ],
    ids=["beside", "late", "too late", "near", "too far", "another shot", "beside the person"],
)
def test_a_face_near_the_place_where_a_person_was_lost(weak: Evidence, taken: bool) -> None:
    got = after(track(0, 20, 0), sure(0, 20), weak, UNCLEAR)
    assert got == (Match(0, None, "doubtful", "in profile") if taken else UNCLEAR)


def test_a_track_that_goes_over_to_somebody_else_counts_as_lost() -> None:
    """Its chips are the person until frame 18; a profile beside it begins at 30."""
    source, weak = track(0, 60, 0), track(30, 60, 50)
    assert after(source, sure(0, 18), weak, UNCLEAR) != UNCLEAR
    assert after(source, sure(0, 60), weak, UNCLEAR) == UNCLEAR


def test_who_is_told_stays_what_it_was() -> None:
    weak = track(25, 50, 0)
    for found in (None, Match(1, 0.5, "doubtful"), Match(0, 0.5, "excluded")):
        assert after(track(0, 20, 0), sure(0, 20), weak, found) == found


def test_an_excluded_track_hands_nobody_on() -> None:
    excluded = replace(sure(0, 20), standing="excluded", span=None)
    assert after(track(0, 20, 0), excluded, track(25, 50, 0), UNCLEAR) == UNCLEAR
