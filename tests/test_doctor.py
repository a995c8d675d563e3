"""The doctor says what a machine has, and fails where Face blur cannot work."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from app.cli import main
from app.doctor import as_text, examine

ROOT = Path(__file__).parents[1]
HAS_GPU = Path("/dev/nvidiactl").exists()


def test_the_facts_are_those_of_this_machine(tmp_path: Path) -> None:
    facts = examine(tmp_path)
    assert (facts["uid"], facts["spool"]) == (os.getuid(), str(tmp_path))
    assert facts["packages"]["av"] == av.__version__
    assert facts["packages"]["numpy"] == np.__version__
    assert 1 <= facts["cpus"] <= (os.cpu_count() or 1)
    assert 0 < facts["memory_bytes"] < os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 1 <= facts["workers"] <= facts["cpus"]
    assert "CPUExecutionProvider" in facts["providers"]
    assert facts["encoders"]["libx264"] == "works"
    assert {"h264_nvenc", "hevc_nvenc", "av1_nvenc"} <= facts["encoders"].keys()
    if not HAS_GPU:
        assert facts["gpus"] == []
        assert "libcuda" in facts["encoders"]["h264_nvenc"]
        assert facts["uses"]["device"] == "cpu"
    assert json.loads(json.dumps(facts)) == facts


def run(*args: str, **settings: str) -> tuple[int, str, str]:
    ours: Mapping[str, str] = {f"FACE_BLUR_{key.upper()}": text for key, text in settings.items()}
    ended = subprocess.run(
        [sys.executable, "-m", "app.cli", "doctor", *args],
        env={key: text for key, text in os.environ.items() if not key.startswith("FACE_BLUR_")}
        | dict(ours),
        capture_output=True,
        text=True,
        check=False,
    )
    return ended.returncode, ended.stdout, ended.stderr


def test_the_command_prints_json_or_lines() -> None:
    code, out, err = run("--json")
    assert (code, err) == (0, "")
    facts: dict[str, Any] = json.loads(out)
    assert "ready" in facts["packs"].values()
    code, out, err = run(spool=str(ROOT))
    assert (code, err) == (0, "")
    lines = dict(line.split(": ", 1) for line in out.splitlines())
    assert lines["version"] == facts["version"]
    assert (lines["uid"], lines["spool"]) == (str(os.getuid()), str(ROOT))
    assert "libx264 works" in lines["encoders"]


def test_without_weights_it_fails_after_the_facts(tmp_path: Path) -> None:
    code, out, err = run("--json", models_root=str(tmp_path))
    assert code == 1
    assert json.loads(out)["packs"] == {}
    assert "no weights are installed; fetch some with: face-blur models fetch" in err


@pytest.mark.skipif(HAS_GPU, reason="has a GPU")
def test_a_gpu_that_the_settings_ask_for_and_is_not_there_is_a_fault() -> None:
    code, out, err = run("--json", device="cuda")
    assert code == 1
    assert "a GPU was requested" in json.loads(out)["uses"]["error"]
    assert "a GPU was requested" in err


def test_wrong_options_are_usage_errors(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--everything"]) == 2
    assert as_text({"gpus": [], "uses": {"driver": None}}) == "gpus: none\nuses: driver none"
