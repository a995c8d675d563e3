"""A simulated SageMaker for each test, without the user's environment."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.local.containers import Launcher, ProgramLauncher
from scripts.local.sagemaker import SageMaker
from scripts.local.transformer import Timeouts
from tests.local_sagemaker import HURRIED, REAL, Local, MakeLocal

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
    # Port 9 discards: only the local server can be reached.
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    """A server and its clients, which take a while to make; use ``make_local``."""
    with SageMaker(ProgramLauncher(tmp_path_factory.mktemp("spool"))) as sagemaker:
        yield Local(sagemaker)


@pytest.fixture
def make_local(local: Local, tmp_path: Path) -> Iterator[MakeLocal]:
    """Makes a simulated SageMaker; fails if processes of its containers are left."""

    def play(
        mode: str = "good", *, timeouts: Timeouts = HURRIED, launcher: Launcher | None = None
    ) -> Local:
        mark = str(tmp_path)
        command = [sys.executable, str(WAYWARD), mode, mark]
        local.reset(launcher or ProgramLauncher(tmp_path, command), timeouts, mark)
        return local

    yield play
    local.sagemaker.reset()
    assert local.leftover_processes() == []


@pytest.fixture
def account(
    make_local: MakeLocal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Local]:
    """A simulated account, to which the clients of this process are sent."""
    (tmp_path / "spool").mkdir()
    local = make_local(timeouts=REAL, launcher=ProgramLauncher(tmp_path / "spool"))
    local.mark = str(tmp_path / "spool")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_ENDPOINT_URL", local.sagemaker.url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield local
    local.sagemaker.program, local.sagemaker.quotas = None, None
    local.sagemaker.whole_keys = False
