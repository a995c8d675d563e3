"""The core works without the packages of the extras, and names the extra where it needs one."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from app.packs.download import cache_folder
from testmedia.clip import Clip

ROOT = Path(__file__).parents[1]
BLOCKED = ("boto3", "botocore", "flask", "gunicorn", "onnx", "prometheus_client", "werkzeug")
RUN = f"""
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {BLOCKED!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Blocked())
from app.cli import main
sys.exit(main(sys.argv[1:]))
"""


def run(*arguments: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", RUN, *map(str, arguments)],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )


def test_faces_are_hidden_without_any_extra(clip: Callable[[str], Clip], tmp_path: Path) -> None:
    output = tmp_path / "hidden.mp4"
    done = run("blur", clip("calm").path, "-o", output, "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert output.stat().st_size > 0


def test_converting_weights_names_its_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The archives are in the cache, the converted weights are not."""
    cache = tmp_path / "cache" / "face-blur"
    cache.mkdir(parents=True)
    (cache / "archives").symlink_to(cache_folder() / "archives")
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache.parent))
    models = tmp_path / "models" / "dlib"
    models.mkdir(parents=True)
    for file in ("pack.toml", "centerface-calibration.json"):
        (models / file).write_bytes((ROOT / "models" / "dlib" / file).read_bytes())
    setting = f"models_root={models.parent}"
    done = run("models", "fetch", "dlib", "--set", setting, "--quiet")
    assert done.returncode == 1
    assert "install face-blur[models]" in done.stderr
