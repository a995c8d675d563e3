"""``face-blur review`` as its user starts and ends it."""

import json
import os
import signal
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest

from app.cli import main
from tests.processes import wait_until
from tests.review.served import Client, made_video, plan_of

DOUBT = {"track": 2}


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_video(tmp_path_factory.mktemp("review") / "clip.mp4")


@pytest.fixture
def clip(video: Path, tmp_path: Path) -> Path:
    """A video with its plan beside it."""
    path = tmp_path / "clip.mp4"
    path.write_bytes(video.read_bytes())
    plan_of(path).write(tmp_path / "clip.plan.json")
    return path


@contextmanager
def started(*arguments: object) -> Iterator[tuple["subprocess.Popen[str]", Client]]:
    """Run the command until the end of the block, and yield a client with its token."""
    command = [sys.executable, "-m", "app.cli", "review", *map(str, arguments), "--no-browser"]
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        try:
            yield process, _client(process.stdout)
        finally:
            process.kill()


def _client(output: IO[str] | None) -> Client:
    assert output is not None
    url = urllib.parse.urlsplit(output.readline().strip())
    token = urllib.parse.parse_qs(url.query)["token"][0]
    assert url.port is not None
    client = Client(url.port, {"Authorization": f"Bearer {token}"})
    wait_until(lambda: client.get()["times_ready"])
    return client


def ended(process: "subprocess.Popen[str]") -> tuple[int, str]:
    """Interrupt the command as Ctrl-C does; return its exit code and its messages."""
    process.send_signal(signal.SIGINT)
    _, messages = process.communicate(timeout=30)
    return process.returncode, messages


@pytest.mark.slow
def test_it_ends_with_3_until_every_doubt_is_settled(clip: Path) -> None:
    with started(clip, "--reviewer", "Ann") as (process, client):
        code, messages = ended(process)
    assert code == 3
    assert "clip.mp4: review required, 1 open" in messages
    with started(clip, "--reviewer", "Ann") as (process, client):
        assert client.edit(0, operation="confirm", target=DOUBT, after=True)[0] == 201
        assert ended(process) == (0, "face-blur: press Ctrl-C to end the review\n")


@pytest.mark.slow
def test_edits_survive_a_killed_process(clip: Path) -> None:
    with started(clip, "--reviewer", "Ann") as (process, client):
        for number in range(5):
            after = "blur" if number % 2 == 0 else "keep"
            status, _ = client.edit(number, operation="decide", target={"track": 3}, after=after)
            assert status == 201
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=30)
    with started(clip, "--reviewer", "Bob") as (_, client):
        state = client.get()
        assert (state["number"], state["tracks"][3]["decision"]) == (5, "blur")
        edits = client.get("/journal")["edits"]
        assert {edit["reviewer"] for edit in edits} == {"Ann"}


@pytest.mark.slow
def test_neither_names_nor_the_token_are_logged(clip: Path) -> None:
    with started(clip, "--reviewer", "Ann") as (process, client):
        client.edit(0, operation="note", target={"track": 0}, after="secret words")
        client.send("/api/reviews/0/photo/alice/0.jpg")
        client.send("/nothing")
        _, messages = ended(process)
    for word in ("secret words", "alice", client.headers["Authorization"].partition(" ")[2]):
        assert word not in messages


def test_a_file_that_is_no_result_of_the_plan_is_not_replaced(
    clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clip.with_name("clip.hidden.mp4").write_text("mine")
    assert main(["review", str(clip), "--no-browser"]) == 2
    assert "clip.hidden.mp4: exists" in capsys.readouterr().err


def test_options_for_one_video_need_one_video(
    clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["review", str(clip), str(clip), "--plan", "p.json", "--no-browser"]) == 2
    assert "are for one INPUT" in capsys.readouterr().err


def test_damaged_edits_are_refused(clip: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line: dict[str, Any] = {"number": 1}
    clip.with_name("clip.plan.edits.jsonl").write_text(json.dumps(line) + "\n")
    assert main(["review", str(clip), "--no-browser"]) == 2
    assert "line 1" in capsys.readouterr().err
