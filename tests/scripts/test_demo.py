"""The demo: the real command hides the right faces, and prints the results."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from app.plan import read_plan
from app.types import Image
from scripts import demo
from testmedia.photos import OBAMA
from testmedia.truth import leaked, spilled


@dataclass(frozen=True)
class Done:
    folder: Path
    output: str


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    folder = tmp_path_factory.mktemp("demo")
    run = subprocess.run(
        [sys.executable, "-m", "scripts.demo", folder], check=False, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    return Done(folder, run.stdout)


def pictures(path: Path) -> list[Image]:
    with av.open(str(path)) as container:
        frames = container.decode(video=0)
        return [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in frames]


def test_the_listed_person_is_hidden_and_the_other_is_not(done: Done) -> None:
    truth, plan = demo.meeting().truth(), read_plan(done.folder / "meeting-plan.json")
    assert leaked(truth, plan, {"obama"}, share=0.95, margin=0.2) == []
    assert spilled(truth, plan, {"obama"}) == []
    assert [first for first, _ in plan.shots[1:]] == list(truth.cuts)


def test_the_hidden_faces_have_lost_their_detail(done: Done) -> None:
    """Hidden faces have lost their detail, and other faces have kept it."""
    before, after = (pictures(done.folder / f"meeting{end}.mp4") for end in ("", "-hidden"))
    assert len(before) == len(after) == 150
    for face in demo.meeting().truth().recognisable(visible=1):
        x1, y1, x2, y2 = (round(value) for value in face.box)
        detail = [
            cv2.Laplacian(
                cv2.cvtColor(video[face.frame][y1:y2, x1:x2], cv2.COLOR_RGB2GRAY), 3
            ).std()
            for video in (before, after)
        ]
        if face.person == "obama":
            assert detail[1] < 0.35 * detail[0], face
        elif not _near_obama(face.frame):
            assert detail[1] > 0.7 * detail[0], face


def _near_obama(frame: int) -> bool:
    return 30 <= frame < 80


def test_the_man_in_the_car_is_hidden_in_every_frame(done: Done) -> None:
    plan = read_plan(done.folder / "carphone-plan.json")
    assert plan.source.frames == 120
    assert all(len(plan.regions_at(frame)) >= 1 for frame in range(120))


def test_the_output_names_the_results(done: Done) -> None:
    for name in ("carphone", "meeting"):
        for ending in ("-hidden.mp4", "-plan.json", "-sheet.png"):
            file = done.folder / f"{name}{ending}"
            assert str(file) in done.output
            assert file.stat().st_size > 0
    assert "$ face-blur blur" in done.output


def test_the_references_are_not_the_photo_shown() -> None:
    assert OBAMA.medium not in demo.REFERENCES


def test_a_failing_command_fails_the_demo(done: Done, tmp_path: Path) -> None:
    (tmp_path / "carphone-hidden.mp4").mkdir()
    run = subprocess.run(
        [sys.executable, "-m", "scripts.demo", tmp_path],
        check=False,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 2
    assert "carphone-hidden.mp4" in run.stderr
    assert "Traceback" not in run.stderr
