"""``--select`` on a real clip, with the real models."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from app.cli import main
from app.plan import read_plan
from testmedia.clip import Clip

FRAME = 13


def test_a_miss_names_faces_that_can_be_pasted(
    clip: Callable[[str], Clip], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, plan = str(clip("calm").path), tmp_path / "plan.json"
    command = ["analyse", source, "-o", str(plan), "--quiet", "--select"]
    # The clip has 29.97 frames per second: frame 13 is shown from 0.43377 s to 0.46713 s.
    assert main([*command, "0:00.467,2,358"]) == 2
    error = capsys.readouterr().err
    assert f"frame {FRAME} (0:00.434) shows faces at" in error
    named = re.findall(rf"{FRAME},\d+,\d+", error)
    boxes = [seen.box for seen in clip("calm").truth.at(FRAME)]
    for point in named:
        x, y = map(float, point.split(",")[1:])
        assert sum(left < x < right and top < y < bottom for left, top, right, bottom in boxes) == 1
    assert len(named) == 2
    assert main([*command, named[0]]) == 0
    hidden = [track for track in read_plan(plan).tracks if track.person == "selected 1"]
    assert {track.decision for track in hidden} == {"blur"}
