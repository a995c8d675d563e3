"""Unclear tracks that may continue a lost person."""

from dataclasses import replace

import numpy as np
import pytest

from app.identity.evidence import Evidence
from app.identity.matching import Match, continue_lost_people

MAX_GAP = 25
SIDE = 40.0
UNCLEAR = Match(None, None, "unclear", "in profile")


def track(first: int, last: int, x: float, *, shot: int = 0, step: float = 0.0) -> Evidence:
    """A face 40 pixels wide that starts at ``x`` and moves by ``step`` pixels per frame."""
    left = x + step * np.arange(last - first + 1)
    boxes = np.stack([left, 0 * left, left + SIDE, 0 * left + SIDE], axis=1).astype(np.float32)
    none = np.zeros(0, np.float32)
    chips = np.zeros((0, 3), np.float32)
    return Evidence(shot, first, last, chips, none, none, boxes=boxes)


def sure(first: int, last: int) -> Match:
    return Match(0, 0.9, "sure", span=(first, last))


def after(source: Evidence, found: Match, weak: Evidence, match: Match | None) -> Match | None:
    return continue_lost_people([source, weak], [found, match], MAX_GAP)[1]


@pytest.mark.parametrize(
    ("weak", "taken"),
    [
        (track(25, 50, 30), True),
        (track(20 + MAX_GAP, 80, 70), True),
        (track(21 + MAX_GAP, 80, 30), False),
        (track(25, 50, 2 * SIDE - 1), True),
        (track(25, 50, 2 * SIDE + 1), False),
        (track(25, 50, 30, shot=1), False),
        (track(5, 50, 30), False),
    ],
    ids=["close", "late", "too late", "near", "too far", "another shot", "at the same time"],
)
def test_an_unclear_face_near_the_lost_person_is_doubtful(weak: Evidence, taken: bool) -> None:
    got = after(track(0, 20, 0), sure(0, 20), weak, UNCLEAR)
    assert got == (Match(0, None, "doubtful", "in profile") if taken else UNCLEAR)


def test_a_track_that_switches_to_another_face_counts_as_lost() -> None:
    """Its chips show the person until frame 18; a profile beside it begins at 30."""
    source, weak = track(0, 60, 0), track(30, 60, 50)
    assert after(source, sure(0, 18), weak, UNCLEAR) != UNCLEAR
    assert after(source, sure(0, 60), weak, UNCLEAR) == UNCLEAR


def test_other_matches_do_not_change() -> None:
    weak = track(25, 50, 0)
    for found in (None, Match(1, 0.5, "doubtful"), Match(0, 0.5, "excluded")):
        assert after(track(0, 20, 0), sure(0, 20), weak, found) == found


def test_an_excluded_track_has_no_continuation() -> None:
    excluded = replace(sure(0, 20), standing="excluded", span=None)
    assert after(track(0, 20, 0), excluded, track(25, 50, 0), UNCLEAR) == UNCLEAR
