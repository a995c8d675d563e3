"""Run each file of examples/settings with the command in its comment, on a short video."""

import re
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from app.cli import main
from app.config import ENV_PREFIX, Settings
from app.plan import Plan, read_plan
from testmedia.clip import Clip
from testmedia.truth import leaked
from tests.faces_media import ready, with_detector

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples" / "settings").glob("*.toml"))
HIDDEN = {
    "adaptive": {"obama", "biden"},
    "clicked": {"obama"},
    "every_frame": {"obama", "biden"},
    "keep": {"biden"},
    "other_parts": {"obama"},
    "strongest": {"obama", "biden"},
}
"""The people that each example hides."""
MARGIN, COVERED = 0.2, 0.9


@pytest.fixture
def folder(
    clip: Callable[[str], Clip], people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A folder with the video and the photos, in which the commands run."""
    for name in Settings.model_fields:
        monkeypatch.delenv(ENV_PREFIX + name.upper(), raising=False)
    shutil.copy(clip("calm").path, tmp_path / "clip.mp4")
    shutil.copytree(people, tmp_path / "people")
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _command(path: Path) -> list[str]:
    """Return the last command in a file, with its plan."""
    commands = re.findall(r"^#     face-blur (.*)$", path.read_text("utf-8"), re.MULTILINE)
    return [*commands[-1].split(), "--plan", "plan.json", "--quiet"]


def _run(path: Path) -> Plan:
    assert main(_command(path)) == 0
    assert Path("hidden.mp4").is_file()
    return read_plan(Path("plan.json"))


def test_every_example_is_tested() -> None:
    assert [path.stem for path in EXAMPLES] == sorted(HIDDEN)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_hides_the_right_people(
    path: Path, folder: Path, clip: Callable[[str], Clip], monkeypatch: pytest.MonkeyPatch
) -> None:
    if path.stem == "other_parts":
        _fetched(folder, monkeypatch)
    plan, truth = _run(path), clip("calm").truth
    hidden = HIDDEN[path.stem]
    assert leaked(truth, plan, hidden, share=COVERED, margin=MARGIN) == []
    shown = leaked(truth, plan, truth.people - hidden)
    assert len(shown) == sum(face.person not in hidden for face in truth.faces)
    given = tomllib.loads(path.read_text("utf-8"))
    given |= {"select": [[10, 180, 150]]} if "select" in given else {}
    assert {key: plan.settings[key] for key in given} == given


def _fetched(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Install the packs that the example names: the default one, and a detector."""
    root = folder / "models"
    with_detector("arcface-mtcnn", root)
    (root / "open").symlink_to(ready("open").folder)
    monkeypatch.setenv(ENV_PREFIX + "MODELS_ROOT", str(root))
