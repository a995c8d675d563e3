"""An AWS account simulated by a moto server in this process, empty for each test.

These tests cannot reach AWS: the credentials are invalid, and ``AWS_ENDPOINT_URL`` sends every
client to the loopback interface.
"""

import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

import pytest
from moto.server import ThreadedMotoServer

from scripts.aws.cloud import Cloud
from scripts.aws.variables import PREFIX, Variables

ROOT = Path(__file__).parents[2]
REGION = "eu-north-1"
ACCOUNT = "123456789012"
PATIENCE = 120


def pytest_configure(config: pytest.Config) -> None:
    """Ignore moto's warnings that it does not support policies of buckets and topics."""
    for kind in ("S3..BucketPolicy", "SNS..TopicPolicy"):
        unknown = f"Tried to parse AWS..{kind} but it's not supported by moto"
        config.addinivalue_line("filterwarnings", f"ignore:{unknown}:UserWarning")


class Ran(NamedTuple):
    """A finished command."""

    code: int
    out: str
    err: str


class RunCommand(Protocol):
    def __call__(self, name: str, *args: object, stdin: str = "") -> Ran: ...


@pytest.fixture(scope="session")
def moto_server() -> Iterator[str]:
    """The URL of the server; use ``moto``, which empties it."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Remove credentials and settings of the user from the environment."""
    for name in list(os.environ):
        if name.startswith(("AWS_", PREFIX, "FACE_BLUR_")):
            monkeypatch.delenv(name)
    nothing = os.fspath(tmp_path / "no-such-file")
    ours = {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_SESSION_TOKEN": "testing",
        "AWS_CONFIG_FILE": nothing,
        "AWS_SHARED_CREDENTIALS_FILE": nothing,
        "AWS_EC2_METADATA_DISABLED": "true",
        # Port 9 discards: a test without the fixture ``moto`` reaches nothing.
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }
    for name, value in ours.items():
        monkeypatch.setenv(name, value)
    # Do not read the user's variables.
    monkeypatch.setattr("scripts.aws.variables.FILE", tmp_path / "no-variables.py")


@pytest.fixture
def moto(moto_server: str, _loopback_only: None, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty account, to which all clients are sent."""
    reset = urllib.request.Request(f"{moto_server}/moto-api/reset", method="POST")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(reset, timeout=PATIENCE):
        pass
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto_server)
    return moto_server


@pytest.fixture
def cloud(moto: str) -> Cloud:
    """The account with default variables."""
    return Cloud(Variables(region=REGION))


@pytest.fixture
def run_command(moto: str, tmp_path: Path) -> RunCommand:
    """Runs ``python -m scripts.NAME`` in an empty folder, with an empty variables.py."""
    config = tmp_path / "empty-variables.py"
    config.touch()

    def run(name: str, *args: object, stdin: str = "") -> Ran:
        own = [] if "--config" in args else ["--config", os.fspath(config)]
        ended = subprocess.run(
            [sys.executable, "-W", "error", "-m", f"scripts.{name}", *map(str, args), *own],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": os.fspath(ROOT)},
            check=False,
        )
        return Ran(ended.returncode, ended.stdout, ended.stderr)

    return run
