"""Sending files to an asynchronous endpoint: once each, and telling how it ended."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from moto.sagemakerruntime.models import SageMakerRuntimeBackend
from moto.sagemakerruntime.responses import SageMakerRuntimeResponse

from app.errors import ConfigError, UsageError
from scripts import deploy_async, invoke_async
from scripts.aws.cloud import Cloud
from scripts.aws.invocations import attributes_of
from tests.aws_endpoints import NAME, endpoint, let_pass, teach_moto
from tests.aws_jobs import BUCKET, WHERE, Commands, backend, fill, keys, people_archive, requests

CPU = (*WHERE, "--compute", "cpu")
FOLDER = f"output/{NAME}"
HEADERS = "x-amzn-sagemaker-"
Ask = dict[str, str]


@pytest.fixture
def run(
    cloud: Cloud,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Commands:
    teach_moto(monkeypatch)
    fill(cloud, {"input/a.mp4": b"a", "input/more/b.mp4": b"b"})
    commands = Commands(capsys, tmp_path / "variables.py")
    ran = commands(deploy_async, *CPU, "--blur", "everyone")
    assert ran.code == 0, ran.err
    return commands


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Ask]:
    """The headers of all requests; an answer has the place that SageMaker would give it."""
    out: list[Ask] = []
    told = SageMakerRuntimeResponse.invoke_endpoint_async

    def invoke(self: SageMakerRuntimeResponse) -> Any:
        out.append({name.lower(): value for name, value in self.headers.items()})
        return told(self)

    def place(self: SageMakerRuntimeBackend, name: str, location: str) -> tuple[str, str]:
        number = out[-1][f"{HEADERS}inference-id"]
        folder = f"s3://{BUCKET}/output/{name}"
        return f"{folder}/results/{number}.out", f"{folder}/failures/{number}-error.out"

    monkeypatch.setattr(SageMakerRuntimeResponse, "invoke_endpoint_async", invoke)
    monkeypatch.setattr(SageMakerRuntimeBackend, "invoke_endpoint_async", place)
    return out


def answer(cloud: Cloud, asked: Sequence[Ask], number: int, *, good: bool) -> None:
    name = asked[number][f"{HEADERS}inference-id"]
    key = f"results/{name}.out" if good else f"failures/{name}-error.out"
    fill(cloud, {f"{FOLDER}/{key}": b"video" if good else b"ClientError:\n 422 broken"})


def test_each_file_is_one_request(cloud: Cloud, run: Commands, asked: list[Ask]) -> None:
    ran = run(invoke_async, *CPU, "a.mp4", "input/more/b.mp4", "--queue-seconds", "600")
    assert ran.code == 0, ran.err
    one, two = asked
    assert one[f"{HEADERS}inputlocation"] == f"s3://{BUCKET}/input/a.mp4"
    assert two[f"{HEADERS}inputlocation"] == f"s3://{BUCKET}/input/more/b.mp4"
    assert one[f"{HEADERS}content-type"] == "application/octet-stream"
    assert one[f"{HEADERS}invocationtimeoutseconds"] == "3600"
    assert one[f"{HEADERS}requestttlseconds"] == "600"
    assert f"{HEADERS}custom-attributes" not in one
    ids = [ask[f"{HEADERS}inference-id"] for ask in asked]
    assert ids[0] != ids[1]
    assert [line.split("\t") for line in ran.out.splitlines()] == [
        ["a.mp4", f"s3://{BUCKET}/{FOLDER}/results/{ids[0]}.out"],
        ["more/b.mp4", f"s3://{BUCKET}/{FOLDER}/results/{ids[1]}.out"],
    ]
    assert "hides everyone" in ran.err
    assert "worst case: 2.0 hours of ml.c6i.2xlarge (2 files of at most 3600 s)" in ran.err


def test_a_file_is_not_sent_twice(cloud: Cloud, run: Commands, asked: list[Ask]) -> None:
    first = run(invoke_async, *CPU, "a.mp4")
    second = run(invoke_async, *CPU, "a.mp4")
    assert len(asked) == 1
    assert second.out == first.out
    assert "a.mp4: was sent before, is waiting, and is not sent again" in second.err
    answer(cloud, asked, 0, good=True)
    third = run(invoke_async, *CPU, "a.mp4", "--wait")
    assert (third.code, len(asked)) == (0, 1)
    assert "a.mp4: was sent before, is done, and is not sent again" in third.err
    assert "worst case" not in third.err


def test_other_content_settings_or_wishes_are_other_requests(
    cloud: Cloud, run: Commands, asked: list[Ask]
) -> None:
    assert run(invoke_async, *CPU, "a.mp4").code == 0
    assert run(invoke_async, *CPU, "a.mp4", "--effect", "solid").code == 0
    fill(cloud, {"input/a.mp4": b"other"})
    assert run(invoke_async, *CPU, "a.mp4").code == 0
    assert run(invoke_async, *CPU, "a.mp4", "--again").code == 0
    assert run(deploy_async, *CPU, "--blur", "everyone", "--effect", "pixelate").code == 0
    assert run(invoke_async, *CPU, "a.mp4").code == 0
    ids = [ask[f"{HEADERS}inference-id"] for ask in asked]
    assert len(set(ids)) == 5
    assert ids[3] == ids[2].replace("-1", "-2")
    assert asked[1][f"{HEADERS}custom-attributes"] == "effect=solid"


def test_a_failed_file_is_sent_again(cloud: Cloud, run: Commands, asked: list[Ask]) -> None:
    assert run(invoke_async, *CPU, "a.mp4").code == 0
    answer(cloud, asked, 0, good=False)
    assert run(invoke_async, *CPU, "a.mp4").code == 0
    assert len(asked) == 2
    # The failure of the first attempt is not that of the second.
    ran = run(invoke_async, *CPU, "a.mp4")
    assert "a.mp4: was sent before, is waiting, and is not sent again" in ran.err


def test_waiting_reports_results_and_failures(
    cloud: Cloud, run: Commands, asked: list[Ask], monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 4:
            answer(cloud, asked, 0, good=True)
        if len(pauses) == 6:
            answer(cloud, asked, 1, good=False)

    monkeypatch.setattr("scripts.aws.invocations.time.sleep", pause)
    ran = run(invoke_async, *CPU, "a.mp4", "more/b.mp4", "--wait")
    assert ran.code == 1
    assert pauses == [3.0, 4.5, 6.75, 10.125, 2.0, 3.0]
    name = asked[0][f"{HEADERS}inference-id"]
    assert f"done: a.mp4: s3://{BUCKET}/{FOLDER}/results/{name}.out" in ran.err
    assert "failed: more/b.mp4: ClientError: 422 broken" in ran.err
    assert "1 of 2 files have a result; without: more/b.mp4" in ran.err


def test_an_empty_result_is_none(cloud: Cloud, run: Commands, asked: list[Ask]) -> None:
    assert run(invoke_async, *CPU, "a.mp4").code == 0
    fill(cloud, {f"{FOLDER}/results/{asked[0][f'{HEADERS}inference-id']}.out": b""})
    ran = run(invoke_async, *CPU, "a.mp4")
    assert "a.mp4: was sent before, is failed, and is sent again" in ran.err


def test_a_request_without_an_answer_expires(
    run: Commands, asked: list[Ask], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time
    slept: list[float] = []
    monkeypatch.setattr("scripts.aws.invocations.time.sleep", slept.append)
    monkeypatch.setattr("scripts.aws.invocations.time.time", lambda: now() + 1000 * len(slept))
    ran = run(invoke_async, *CPU, "a.mp4", "--wait", "--queue-seconds", "60")
    assert ran.code == 1
    assert "expired: a.mp4: there was no answer in time" in ran.err
    # 60 s in the queue, an hour of work, and a quarter of an hour to store the answer.
    assert len(slept) == 5
    assert max(slept) <= 60


def test_interrupting_says_that_requests_go_on(
    run: Commands, asked: list[Ask], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("scripts.aws.invocations.time.sleep", interrupt)
    ran = run(invoke_async, *CPU, "a.mp4", "more/b.mp4", "--wait")
    assert ran.code == 130
    assert "2 requests go on: they cannot be withdrawn" in ran.err


def test_more_than_a_gigabyte_is_refused_before_anything_is_sent(
    run: Commands, asked: list[Ask], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scripts.aws.invocations.MOST_BYTES", 0)
    ran = run(invoke_async, *CPU, "a.mp4")
    assert ran.code == 2
    assert "input/a.mp4 (0.00 GB): more than 1 GB" in ran.err
    assert asked == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.mp4"], "input/none.mp4: does not exist"),
        (["a.mp4", "--queue-seconds", "5"], "RequestTTLSeconds is 5, not 60 to 21600"),
        (["a.mp4", "--set", "threads=2"], "unknown option threads"),
        (["a.mp4", "--effect", "glitter"], "effect"),
        (["a.mp4", "--blur", "listed"], "people"),
        (["a.mp4", "--name", "face-blur-none"], "there is no endpoint face-blur-none"),
    ],
)
def test_wrong_requests_are_refused(
    run: Commands, asked: list[Ask], arguments: list[str], message: str
) -> None:
    ran = run(invoke_async, *CPU, *arguments)
    assert (ran.code, message in ran.err) == (2, True), ran.err
    assert asked == []


def test_an_endpoint_that_does_not_serve_takes_no_requests(
    run: Commands, asked: list[Ask], monkeypatch: pytest.MonkeyPatch
) -> None:
    let_pass(monkeypatch, ["Creating"])
    ran = run(invoke_async, *CPU, "a.mp4")
    assert (ran.code, "is Creating and takes no requests" in ran.err) == (2, True)


def test_an_endpoint_with_earlier_photos_is_refused(
    cloud: Cloud, run: Commands, asked: list[Ask]
) -> None:
    fill(cloud, {"people.tar.gz": people_archive("alice.jpg")})
    assert run(deploy_async, *CPU, "--blur", "others").code == 0
    ran = run(invoke_async, *CPU, "a.mp4")
    version = endpoint().endpoint_config_name
    assert ran.code == 0, ran.err
    assert f"hides everybody except alice (1 photos in s3://{BUCKET}/people.{version}" in ran.err
    for change in (
        lambda: fill(cloud, {"people.tar.gz": people_archive("bob.jpg")}),
        lambda: cloud.client("s3").delete_object(Bucket=BUCKET, Key="people.tar.gz"),
    ):
        change()
        ran = run(invoke_async, *CPU, "more/b.mp4")
        assert (ran.code, "the photos of people have changed" in ran.err) == (2, True)
    assert len(asked) == 1


def test_a_dry_run_sends_nothing(cloud: Cloud, run: Commands, asked: list[Ask]) -> None:
    ran = run(invoke_async, *CPU, "a.mp4", "--dry-run", "--wait")
    assert ran.code == 0, ran.err
    (name, request), (wrote, _) = requests(ran.out)
    assert (name, wrote) == ("sagemaker-runtime invoke_endpoint_async", "s3 put_object")
    assert request["InputLocation"] == f"s3://{BUCKET}/input/a.mp4"
    assert asked == []
    assert keys(cloud, "output/") == []
    assert NAME in backend().endpoints


def test_settings_become_attributes() -> None:
    given = {"FACE_BLUR_SELECT": "1,2,3;4,5,6", "FACE_BLUR_EFFECT": "solid"}
    assert attributes_of(given) == "effect=solid select=1,2,3;4,5,6"
    assert attributes_of({}) == ""
    with pytest.raises(ConfigError, match="unknown option people"):
        attributes_of({"FACE_BLUR_PEOPLE": "s3://elsewhere/"})
    with pytest.raises(UsageError, match="cannot be sent with a request"):
        attributes_of({"FACE_BLUR_SELECT": "1,2,3, "})
