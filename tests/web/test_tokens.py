"""The token of the service, and the command that starts it, with the real server."""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from app.config import ServiceSettings
from app.errors import ConfigError
from tests.web.service_process import ROOT, TIMEOUT, RunningService, environment

TOKEN = "correct-horse.battery_staple~42"
SERVE = ("-m", "app.cli", "serve")


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("media") / "grey.png"
    Image.new("RGB", (64, 48), (90, 90, 90)).save(path)
    return path.read_bytes()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """The service as ``face-blur serve`` starts it, with a token in the environment."""
    spool = tmp_path_factory.mktemp("spool")
    command = (*SERVE, "--host", "127.0.0.1", "--port", "0", "--set", "rotate=none")
    token = {"FACE_BLUR_TOKEN": TOKEN, "PYTHONPATH": str(ROOT)}
    with RunningService(spool, token, command, metrics="true", host="") as running:
        yield running


@pytest.mark.parametrize(
    "header",
    [
        *(None, "", "Bearer", "Bearer ", f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN}x", TOKEN),
        *(f"Basic {TOKEN}", f"Bearer {TOKEN.upper()}", "Bearer ä", f"Bearer {TOKEN} {TOKEN}"),
    ],
)
def test_a_request_without_the_token_is_refused(
    service: RunningService, picture: bytes, header: str | None
) -> None:
    headers = {} if header is None else {"Authorization": header.encode("utf-8").decode("latin-1")}
    for method, path in (("POST", "/invocations"), ("GET", "/metrics"), ("GET", "/nowhere")):
        response = service.request(method, path, picture, **headers)
        assert (response.status, response.code) == (401, "unauthorized")
        assert response.headers["WWW-Authenticate"] == 'Bearer realm="face-blur"'
        assert response.headers["Content-Type"] == "application/json"
        assert TOKEN.encode() not in response.body


@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
def test_a_request_with_the_token_is_processed(
    service: RunningService, picture: bytes, scheme: str
) -> None:
    response = service.invoke(picture, Authorization=f"{scheme} {TOKEN}")
    assert (response.status, response.headers["Content-Type"]) == (200, "image/png")
    assert service.request("GET", "/metrics", Authorization=f"{scheme} {TOKEN}").status == 200


def test_a_ping_needs_no_token(service: RunningService) -> None:
    assert service.request("GET", "/ping").status == 200


def test_a_refused_body_is_not_read(service: RunningService) -> None:
    with service.begin(b"x" * 1000, length=10**9) as connection:
        connection.settimeout(TIMEOUT)
        assert connection.recv(12) == b"HTTP/1.1 401"
    assert service.spooled() == []


def test_the_secret_is_in_no_log_and_no_dump(service: RunningService) -> None:
    assert TOKEN not in json.dumps(service.log)
    assert TOKEN not in repr(ServiceSettings(token=TOKEN))
    assert TOKEN not in str(ServiceSettings(token=TOKEN).model_dump(mode="json"))


def test_the_command_listens_only_on_this_machine(service: RunningService) -> None:
    listening = service.wait_for_log(lambda line: "Listening" in line["event"])["event"]
    assert f"http://127.0.0.1:{service.port} " in listening
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", service.port), 5)


def test_without_a_token_every_request_is_processed(tmp_path: Path, picture: bytes) -> None:
    """The script of a checkout, with the address that no setting names."""
    with RunningService(tmp_path, host="", rotate="none") as running:
        listening = running.wait_for_log(lambda line: "Listening" in line["event"])["event"]
        assert "http://127.0.0.1:" in listening
        assert running.invoke(picture).status == 200
        assert running.stop() == 0


@pytest.mark.parametrize("token", ["short", "has a space in the middle", "ä" * 20, "x" * 600])
def test_a_token_that_is_weak_or_cannot_be_sent_is_refused(token: str) -> None:
    with pytest.raises(ConfigError, match=r"^token: must have 16 to 512 characters") as caught:
        ServiceSettings(token=token)
    assert token not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--port", "http"], "--port: http is not a number from 0 to 65535"),
        (["--port", "65536"], "--port: 65536 is not a number"),
        (["--set", "margin=9"], "margin: must be at most 1.0"),
        (["--set", "queue=-1"], "queue: must be at least 0"),
        (["--set", "quue=1"], "unknown setting quue; valid are: people,"),
        (["--set", "queue"], "--set takes KEY=VALUE"),
        (["--host", "::1", "--set", "host=::1"], "host is given twice"),
        (["--set", f"token={TOKEN}"], "set FACE_BLUR_TOKEN"),
        (["extra"], "too many arguments: extra"),
    ],
)
def test_wrong_options_are_usage_errors(tmp_path: Path, options: list[str], message: str) -> None:
    done = subprocess.run(
        [sys.executable, *SERVE, *options],
        env=environment(tmp_path),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert message in done.stderr
    assert done.stderr.endswith("(see face-blur serve --help)\n")
    assert TOKEN not in done.stderr


def test_options_of_the_script_are_not_ignored(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "serve"), "--port", "http"],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "--port: http is not a number from 0 to 65535" in done.stderr


def test_an_open_address_without_a_token_causes_a_warning(tmp_path: Path) -> None:
    """The spool does not exist, so that the service ends at once."""
    done = subprocess.run(
        [sys.executable, *SERVE, "--host", "0.0.0.0", "--set", "spool=/nowhere/spool"],
        env=environment(tmp_path),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "everybody who reaches 0.0.0.0 can use the service" in done.stderr


def test_the_script_of_a_checkout_finds_its_environment(tmp_path: Path) -> None:
    """Started by a Python without packages, as ``./serve`` is outside of the environment."""
    shutil.copy(ROOT / "serve", tmp_path / "serve")
    own = tmp_path / ".venv" / "bin" / "python"
    own.parent.mkdir(parents=True)
    own.write_text('#!/bin/sh\necho environment "$@"\n')
    own.chmod(0o755)
    bare = Path(sys.base_prefix) / "bin" / "python3"
    command = [str(bare), "-I", "-S", str(tmp_path / "serve"), "x"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ)
    assert done.stdout == f"environment {tmp_path / 'serve'} x\n", done.stderr
