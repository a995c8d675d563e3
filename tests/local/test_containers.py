"""Starting containers: programs, and images with an engine."""

import json
import shutil
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from scripts.local.containers import ImageLauncher, ProgramLauncher, free_ports
from tests.local_sagemaker import BUCKET, MakeLocal

HERE = Path(__file__).parent


def test_free_ports_are_different() -> None:
    found = free_ports(20)
    assert len(set(found)) == 20


def test_an_image_is_started_as_sagemaker_starts_it(
    make_local: MakeLocal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine is a stand-in, as there may be none; its arguments are those for a real one."""
    engine = tmp_path / "engine"
    text = (HERE / "engine.py").read_text("utf-8").replace("/usr/bin/env python3", sys.executable)
    engine.write_text(text, encoding="utf-8")
    engine.chmod(0o755)
    monkeypatch.setenv("WAYWARD", str(HERE / "misbehaving.py"))
    local = make_local(launcher=ImageLauncher("face-blur:cpu", str(engine)))
    shutil.make_archive(str(tmp_path / "model"), "gztar", HERE, "conftest.py")
    archive = (tmp_path / "model.tar.gz").read_bytes()
    local.s3.put_object(Bucket=BUCKET, Key="model.tar.gz", Body=archive)
    local.put(**{"a.mp4": b"a"})
    local.model(f"s3://{BUCKET}/model.tar.gz")
    assert local.run_job(Environment={"FACE_BLUR_EFFECT": "solid"}).state == "Completed"
    run, stop, _ = map(json.loads, (tmp_path / "asked").read_text("utf-8").splitlines())
    arguments = run["arguments"]
    assert arguments[:2] == ["run", "--rm"]
    assert arguments[-2:] == ["face-blur:cpu", "serve"]
    assert arguments[arguments.index("--publish") + 1].startswith("127.0.0.1:")
    assert arguments[arguments.index("--volume") + 1].endswith("/model:/opt/ml/model:ro")
    given = {name for flag, name in pairwise(arguments) if flag == "--env"}
    assert {"SAGEMAKER_BATCH", "FACE_BLUR_EFFECT"} <= given
    assert not any("solid" in argument for argument in arguments), "values are not on the line"
    assert run["environment"]["FACE_BLUR_EFFECT"] == "solid"
    name = arguments[arguments.index("--name") + 1]
    assert stop["arguments"] == ["stop", "--time", "1", name]


def test_a_program_gets_no_environment_of_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACE_BLUR_EFFECT", "pixelate")
    monkeypatch.setenv("SOME_TOKEN", "secret")
    lines: list[str] = []
    command = [sys.executable, "-c", "import os, json; print(json.dumps(dict(os.environ)))"]
    (port,) = free_ports(1)
    program = ProgramLauncher(tmp_path, command).launch({"A": "b"}, None, port, lines.append)
    while program.exit_code() is None:
        pass
    program.stop()
    found = json.loads("".join(lines))
    assert found["A"] == "b"
    assert found["SAGEMAKER_BIND_TO_PORT"] == str(port)
    assert found["FACE_BLUR_SPOOL"] == str(tmp_path)
    assert not {"SOME_TOKEN", "FACE_BLUR_EFFECT"} & set(found)
