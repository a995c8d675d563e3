"""The scores of shot detectors, and the labelled cuts of the music video."""

import json
from pathlib import Path

import pytest

from bench import shots

BENCH = Path(__file__).parents[2] / "bench"


@pytest.mark.parametrize(
    ("detected", "tolerance", "expected"),
    [
        ([], 0, (0, 3, 0)),
        ([5, 10, 32], 0, (3, 0, 0)),
        ([5, 9, 31, 33], 0, (2, 1, 2)),
        ([5, 9, 31, 33], 1, (3, 0, 1)),
        ([4, 6], 1, (1, 2, 1)),
        ([30, 31, 32, 33, 34], 0, (1, 2, 4)),
        ([29, 35], 0, (0, 3, 2)),
    ],
)
def test_scores(detected: list[int], tolerance: int, expected: tuple[int, int, int]) -> None:
    truth = shots.Cuts((5, 10), ((30, 34),))
    found = shots.score(detected, truth, tolerance)
    assert (found.found, found.missed, found.false) == expected


def test_rates() -> None:
    assert shots.Score(3, 1, 2).precision == 3 / 5
    assert shots.Score(3, 1, 2).recall == 3 / 4
    assert shots.Score().precision == shots.Score().recall == 1


def test_labelled_cuts_are_ordered_and_complete() -> None:
    known = json.loads((BENCH / "shots" / "music_video.json").read_text("utf-8"))
    assert known["hard"] == sorted(set(known["hard"]))
    assert 0 < known["hard"][0] <= known["hard"][-1] < known["frames"] == 5301
    assert len(known["hard"]) == 130
    assert known["gradual"] == []
    assert "by eye" in known["about"]
