"""The programs of docs/library.md run as they stand, and its tables match the code."""

import hashlib
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import app
from app import errors
from app.plan import read_plan
from app.types import Image
from app.video import open_source
from testmedia.clip import Clip
from testmedia.truth import Seen

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "library.md").read_text("utf-8")
Clips = Callable[[str], Clip]
FRAME = 10
"""A frame in which everybody of the clip can be seen."""


def program(heading: str) -> str:
    """The program below a heading of the page."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    (found,) = re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL)
    return str(found)


def run(heading: str, folder: Path) -> str:
    """Run the program below a heading in a folder; returns its output."""
    done = subprocess.run(
        [sys.executable, "-c", program(heading)],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def made(clip: Clips) -> Clip:
    return clip("calm")


@pytest.fixture
def folder(tmp_path: Path, people: Path, made: Clip) -> Path:
    """A folder with ``clip.mp4`` and ``people``."""
    shutil.copytree(people, tmp_path / "people")
    shutil.copy(made.path, tmp_path / "clip.mp4")
    return tmp_path


def frames(path: Path) -> list[Image]:
    return [frame.rgb() for frame in open_source(path)]


def changed(before: Path, after: Path, face: Seen) -> float:
    """The share of a face's pixels that differ by more than ten grey levels."""
    x1, y1, x2, y2 = (max(0, round(value)) for value in face.box)
    first, second = (frames(path)[face.frame][y1:y2, x1:x2].astype(int) for path in (before, after))
    return float((np.abs(first - second).max(axis=2) > 10).mean())


def changes(folder: Path, made: Clip) -> dict[str, float]:
    """How much of each person's face is changed in the result."""
    both = folder / "clip.mp4", folder / "hidden.mp4"
    return {face.person: changed(*both, face) for face in made.truth.at(FRAME)}


def test_every_program_is_run_here() -> None:
    assert len(re.findall(r"```python\n", PAGE)) == 6


def test_hiding_listed_people(folder: Path, made: Clip) -> None:
    output = run("Hide listed people", folder)
    shares = changes(folder, made)
    assert shares.pop("obama") > 0.9
    assert max(shares.values()) < 0.05
    assert "not found: nobody" in output
    assert len(read_plan(folder / "plan.json").tracks) == len(made.truth.at(FRAME))


def test_a_review_between_the_passes(folder: Path, made: Clip) -> None:
    run("Two passes, with a review in between", folder)
    assert min(changes(folder, made).values()) > 0.3
    reasons = {track.reason for track in read_plan(folder / "plan.json").tracks}
    assert "hidden by the review" in reasons


def test_a_report(folder: Path) -> None:
    assert "Done: every doubt is confirmed" in run("A report", folder)
    assert "<!doctype html>" in (folder / "report.html").read_text("utf-8")


def test_a_correction_of_the_last_result(folder: Path, made: Clip) -> None:
    output = run("Correct a decision quickly", folder)
    assert re.search(r"^\d+ frames encoded, the others copied from: ", output, re.MULTILINE)
    shares = sorted(changes(folder, made).values())
    assert shares[0] < 0.05, "the face that is shown again"
    assert shares[1] > 0.3
    last = app.LastResult.read(folder / "last.json")
    assert last.path == folder / "hidden.mp4"
    assert hashlib.sha256(last.path.read_bytes()).hexdigest() == last.sha256


def test_one_broken_file_among_many(tmp_path: Path, made: Clip) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    (videos / "a.mp4").write_bytes(b"not a video")
    shutil.copy(made.path, videos / "b.mp4")
    output = run("Many files with one session", tmp_path)
    assert re.search(r"^failed: .*a\.mp4", output, re.MULTILINE)
    assert "b.mp4: 2 of 2 tracks hidden" in output
    assert [path.name for path in (tmp_path / "hidden").iterdir()] == ["b.mp4"]


def test_progress_is_reported(folder: Path) -> None:
    lines = run("Progress and cancellation", folder).splitlines()
    assert "analyse: 10 of 60" in lines
    assert lines[-1] == "render: 60 of 60"


def test_the_table_of_errors_is_that_of_the_code() -> None:
    rows = re.findall(
        r"^\| ((?:- )*)`(\w+)` \| (\d+) \| (\d+) \| `(\w+)` \|", PAGE, flags=re.MULTILINE
    )
    listed = {
        name: (len(dashes) // 2, int(exit_code), int(status), code)
        for dashes, name, exit_code, status, code in rows
    }
    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.FaceBlurError)
    ]
    assert listed == {
        kind.__name__: (
            kind.__mro__.index(errors.FaceBlurError),
            kind.exit_code,
            kind.http_status,
            kind.code,
        )
        for kind in kinds
    }
    assert set(listed) <= set(app.__all__)


def test_every_public_class_is_described() -> None:
    assert all(f"app.{name}" in PAGE or f"`{name}`" in PAGE for name in app.__all__)


def test_the_members_in_the_reference_exist() -> None:
    for name in ("FaceBlur", "Media", "Plan", "Rendered", "LastResult"):
        section = PAGE.split(f"\n### `app.{name}")[1].split("\n### ")[0]
        cells = re.findall(r"^\| (`.*?) \|", section, flags=re.MULTILINE)
        members = [member for cell in cells for member in re.findall(r"`(\w+)", cell)]
        assert members
        for member in members:
            kind = getattr(app, name)
            fields = getattr(kind, "__dataclass_fields__", {})
            assert hasattr(kind, member) or member in {*fields, "settings"}, member
