"""Dry runs without credentials: nothing is asked, and nothing else than the requests is printed."""

import json
import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from scripts import (
    collect,
    deploy_async,
    infrastructure,
    invoke_async,
    probe,
    push_image,
    run_processing,
    run_transform,
    teardown,
    upload,
)
from scripts.aws.command import main

BUCKET = ("--bucket", "videos")
ROLE = ("--role-arn", "arn:aws:iam::123456789012:role/face-blur")
IMAGE = ("--image-uri", "123456789012.dkr.ecr.eu-north-1.amazonaws.com/images:one")
JOB = (*BUCKET, *ROLE, *IMAGE, "--instance-type", "ml.m5.xlarge", "--keys", "a.mp4", "b.mp4")


@pytest.fixture(autouse=True)
def _no_account_and_no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Remove the credentials, and fail at every connection."""
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    def refuse(*_: object) -> None:
        raise AssertionError("a dry run without credentials must not use the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def asked(
    capsys: pytest.CaptureFixture[str], command: Any, *arguments: str
) -> list[tuple[str, dict[str, Any]]]:
    """The operations that a dry run prints, with their requests."""
    assert main(command.parser(), command.run, [*arguments, "--dry-run"]) == 0
    captured = capsys.readouterr()
    assert captured.err.count("no credentials: nothing is asked") == 1
    lines = [json.loads(line) for line in captured.out.splitlines()]
    return [(line["operation"], line["request"]) for line in lines]


def test_the_infrastructure(capsys: pytest.CaptureFixture[str]) -> None:
    ((operation, request),) = asked(capsys, infrastructure, "--keep-days", "3")
    assert operation == "create_stack"
    assert {"ParameterKey": "KeepDays", "ParameterValue": "3"} in request["Parameters"]


def test_an_upload(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    picture = tmp_path / "a.png"
    Image.new("RGB", (20, 20)).save(picture)
    photos = tmp_path / "people" / "alice"
    photos.mkdir(parents=True)
    Image.new("RGB", (20, 20)).save(photos / "1.png")
    options = (str(picture), "--people", str(photos.parent), "--no-check", *BUCKET)
    sent = asked(capsys, upload, *options)
    assert [(operation, request["Key"]) for operation, request in sent] == [
        ("upload_file", "input/a.png"),
        ("upload_file", "people/alice/1.png"),
        ("upload_file", "people.tar.gz"),
    ]


def test_a_push(capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--build", "--image-tag", "one", "--repository", "images")
    ((operation, request),) = asked(capsys, push_image, *options)
    assert operation == "push"
    assert "ACCOUNT.dkr.ecr.eu-north-1.amazonaws.com/images:one" in request["command"]


def test_a_transform_job(capsys: pytest.CaptureFixture[str]) -> None:
    made = asked(capsys, run_transform, *JOB, "--effect", "solid")
    assert [operation for operation, _ in made] == [
        *("create_model", "put_object", "create_transform_job")
    ]
    assert made[0][1]["ModelName"] == made[2][1]["ModelName"]
    assert json.loads(made[1][1]["Body"]) == [{"prefix": "s3://videos/input/"}, "a.mp4", "b.mp4"]
    assert made[2][1]["Environment"] == {"FACE_BLUR_EFFECT": "solid"}


def test_an_endpoint(capsys: pytest.CaptureFixture[str]) -> None:
    made = asked(capsys, deploy_async, *BUCKET, *ROLE, *IMAGE, "--compute", "cpu")
    assert [operation for operation, _ in made] == [
        *("create_model", "create_endpoint_config", "create_endpoint", "register_scalable_target"),
        *("put_scaling_policy", "put_scaling_policy", "put_metric_alarm"),
    ]


def test_requests_to_an_endpoint(capsys: pytest.CaptureFixture[str]) -> None:
    made = asked(capsys, invoke_async, *BUCKET, "a.mp4", "--effect", "solid")
    assert [operation for operation, _ in made] == ["invoke_endpoint_async", "put_object"]
    assert made[0][1]["InputLocation"] == "s3://videos/input/a.mp4"
    assert made[0][1]["CustomAttributes"] == "effect=solid"


def test_a_processing_job(capsys: pytest.CaptureFixture[str]) -> None:
    made = asked(capsys, run_processing, *JOB)
    assert [operation for operation, _ in made] == ["put_object", "create_processing_job"]


def test_a_first_run(capsys: pytest.CaptureFixture[str]) -> None:
    made = asked(capsys, probe, *JOB[:-3])
    operations = ["upload_file", "put_object", "create_model", "create_transform_job"]
    operations += ["put_object", "create_processing_job", "delete_model"]
    assert [operation for operation, _ in made] == operations
    requests = dict(made)
    assert requests["create_model"]["ModelName"] == requests["delete_model"]["ModelName"]
    job = requests["create_transform_job"]
    assert job["ModelClientConfig"]["InvocationsTimeoutInSeconds"] == 600
    assert job["TransformResources"]["InstanceCount"] == 1
    job = requests["create_processing_job"]
    assert job["StoppingCondition"]["MaxRuntimeInSeconds"] == 1800
    assert job["AppSpecification"]["ContainerArguments"] == ["process", "--doctor"]
    assert {job["Environment"]["FACE_BLUR_BLUR"]} == {"everyone"}


@pytest.mark.parametrize(
    ("command", "options", "code"),
    [
        (collect, ["one", *BUCKET], 1),
        (teardown, [], 1),
        (push_image, ["--build"], 1),
        (upload, ["--people", "{people}", "--no-check"], 1),
        (run_transform, JOB[2:], 1),
        (run_transform, [*BUCKET, *ROLE, *IMAGE], 2),
        (run_transform, ["--watch", "one"], 1),
        (deploy_async, ["--delete", *BUCKET], 1),
    ],
)
def test_what_must_be_asked_says_so(
    command: Any,
    options: Sequence[str],
    code: int,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "people").mkdir()
    Image.new("RGB", (20, 20)).save(tmp_path / "people" / "alice.png")
    filled = [option.format(people=tmp_path / "people") for option in options]
    assert main(command.parser(), command.run, [*filled, "--dry-run"]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    last = captured.err.splitlines()[-1]
    assert "credentials" in last
    assert "Unable to locate" not in last


def test_without_a_dry_run_credentials_are_needed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(infrastructure.parser(), infrastructure.run, []) == 1
    assert "this needs credentials, and there are none" in capsys.readouterr().err
