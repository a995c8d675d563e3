"""A complete job with one command; one of its two videos is broken."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import av
import pytest

from scripts.local.job_runner import JobResult
from scripts.transform_local import ScenarioResult, environment
from tests.local_sagemaker import Local


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str
    folder: Path


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    folder = tmp_path_factory.mktemp("local")
    # Settings of the user would make the job fail, so they must be left out.
    wrong = {"AWS_PROFILE": "none", "DEPLOY_REGION": "nowhere", "FACE_BLUR_NOTHING": "1"}
    ended = subprocess.run(
        [
            sys.executable,
            "-W",
            "error",
            "-m",
            "scripts.transform_local",
            "--folder",
            folder,
            "--broken",
        ],
        env=os.environ | wrong,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return Ran(ended.returncode, ended.stdout, ended.stderr, folder)


def test_a_failed_object_fails_the_command(ran: Ran) -> None:
    assert ran.code == 1, ran.err
    assert "Traceback" not in ran.err
    assert "\nFailed: ClientError: See job logs for more information\n" in ran.out
    (broken,) = [line for line in ran.out.splitlines() if line.startswith("failed ")]
    assert "input/broken.mp4" in broken
    assert "broken_media" in broken
    assert "broken.mp4: ClientError: 422" in ran.err, "--wait shows the log"


def test_the_other_object_has_a_result_and_a_sheet(ran: Ran) -> None:
    (folder,) = ran.folder.iterdir()
    assert {path.name for path in folder.iterdir()} == {"clip.mp4", "clip.mp4-sheet.png"}
    assert str(folder) in ran.out
    assert str(folder / "clip.mp4-sheet.png") in ran.out
    with av.open(str(folder / "clip.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == 30


def test_the_commands_are_shown(ran: Ran) -> None:
    for name in ("infrastructure", "upload", "run_transform", "collect"):
        assert f"\n$ python -m scripts.{name}" in ran.out


@pytest.mark.parametrize(
    ("ended", "faults", "code"),
    [
        (JobResult("Completed", "", ()), [], 0),
        (JobResult("Completed", "", ()), ["clip.mp4: has 29 frames"], 1),
        (JobResult("Failed", "ClientError", ()), [], 1),
        (JobResult("Stopped", "", ()), [], 1),
    ],
)
def test_the_exit_code(ended: JobResult, faults: list[str], code: int) -> None:
    assert ScenarioResult(Path("folder"), ended, {}, faults).exit_code == code


def test_commands_use_only_the_local_server(local: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "of the user")
    found = environment(local.sagemaker)
    assert found["AWS_ENDPOINT_URL"] == local.sagemaker.url
    assert "AWS_PROFILE" not in found


def test_a_wrong_option_is_a_one_line_error(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "scripts.transform_local", "--folder", str(tmp_path)]
    ended = subprocess.run(
        [*command, "--image", "x", "--engine", "no-such-engine"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 1
    assert ended.stderr == (
        "transform_local: error: no-such-engine is not installed; "
        "leave --image out to do without it\n"
    )
