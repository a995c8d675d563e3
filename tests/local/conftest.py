"""A local SageMaker for each test; nothing of the environment of the user is used."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.local.containers import Launcher, ProgramLauncher
from scripts.local.sagemaker import SageMaker
from scripts.local.transformer import Timeouts
from tests.playing import HURRIED, Local, Playing

WAYWARD = Path(__file__).with_name("misbehaving.py")


@pytest.fixture(autouse=True)
def _nothing_of_the_user(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.startswith(("AWS_", "DEPLOY_", "FACE_BLUR_", "SAGEMAKER_")):
            monkeypatch.delenv(name)
    nothing = str(tmp_path / "no-such-file")
    monkeypatch.setenv("AWS_CONFIG_FILE", nothing)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", nothing)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    # Port 9 discards: who does not ask the local server gets no further.
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    """A server and its clients, which take a while to make; use ``playing``."""
    with SageMaker(ProgramLauncher(tmp_path_factory.mktemp("spool"))) as sagemaker:
        yield Local(sagemaker)


@pytest.fixture
def playing(local: Local, tmp_path: Path) -> Iterator[Playing]:
    """Makes a local SageMaker; no process of its containers may be left behind."""

    def play(
        mode: str = "good", *, timeouts: Timeouts = HURRIED, launcher: Launcher | None = None
    ) -> Local:
        mark = str(tmp_path)
        command = [sys.executable, str(WAYWARD), mode, mark]
        local.begin_anew(launcher or ProgramLauncher(tmp_path, command), timeouts, mark)
        return local

    yield play
    local.sagemaker.reset()
    assert local.left() == []
