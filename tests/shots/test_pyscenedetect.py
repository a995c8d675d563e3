"""PySceneDetect measures the change, without the programs that its package starts."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from app.shots.pyscenedetect import make_scorer
from testmedia.videos import VideoSpec

PROGRAMS = ("ffmpeg", "ffprobe", "mkvmerge")
_STARTS = {"subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork"}
"""Events of Python that start a program."""


def _run(code: str, path: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PATH": f"{path}:{os.environ['PATH']}"},
    )


def _recording_programs(folder: Path) -> Path:
    """Write programs that note in ``calls`` beside them that somebody has started them."""
    calls = folder / "calls"
    for name in PROGRAMS:
        program = folder / name
        program.write_text(f'#!/bin/sh\necho "{name} $*" >> "{calls}"\n', encoding="ascii")
        program.chmod(0o755)
    return calls


def test_hiding_faces_starts_no_program(tmp_path: Path) -> None:
    calls = _recording_programs(tmp_path)
    source = VideoSpec(size=(128, 96), count=10).write(tmp_path / "in.mp4")
    command = ["blur", str(source), "-o", str(tmp_path / "out.mp4"), "--quiet"]
    code = f"""
import sys
def audit(event, values):
    if event in {_STARTS}:
        raise AssertionError(f"{{event}}: {{values}}")
sys.addaudithook(audit)
from app.cli import main
sys.exit(main({command}))
"""
    _run(code, tmp_path)
    assert (tmp_path / "out.mp4").is_file()
    assert not calls.exists(), calls.read_text("ascii")


def test_the_recording_notices_a_program(tmp_path: Path) -> None:
    """Otherwise the test above could not fail: the package as a whole starts one."""
    calls = _recording_programs(tmp_path)
    _run("import app.shots.pyscenedetect as own; own.make_scorer(); import scenedetect", tmp_path)
    assert calls.read_text("ascii").startswith("ffmpeg ")


def test_the_package_can_be_imported_afterwards(tmp_path: Path) -> None:
    code = """
import sys
from app.shots.pyscenedetect import make_scorer
make_scorer()
assert not [name for name in sys.modules if name.startswith("scenedetect")]
import scenedetect
print(scenedetect.SceneManager.__name__, scenedetect.ContentDetector.__name__)
"""
    assert _run(code, tmp_path).stdout == "SceneManager ContentDetector\n"


def test_the_change_is_the_mean_of_hue_saturation_and_value() -> None:
    """A grey image has no saturation, so only the value changes: by 60 of 3 x 255."""
    score = make_scorer()
    grey = np.full((9, 16, 3), 100, np.uint8)
    assert score(0, grey) == 0
    assert score(1, grey) == 0
    assert score(2, grey + np.uint8(60)) == 20
