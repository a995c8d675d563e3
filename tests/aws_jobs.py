"""Objects and jobs for tests; jobs that continue, unlike those of moto."""

import io
import json
import tarfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest
from moto.core.responses import EmptyResult
from moto.sagemaker.models import (
    FakeProcessingJob,
    FakeTransformJob,
    SageMakerModelBackend,
    sagemaker_backends,
)
from moto.sagemaker.responses import SageMakerResponse

from scripts.aws.cloud import Cloud
from scripts.aws.command import main

REGION = "eu-north-1"
ACCOUNT = "123456789012"
BUCKET = "videos"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/jobs"
IMAGE = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/face-blur@sha256:{'0' * 64}"
WHERE = ("--region", REGION, "--bucket", BUCKET, "--role-arn", ROLE, "--image-uri", IMAGE)
CPU = (*WHERE, "--instance-type", "ml.c6i.xlarge")


class Ran(NamedTuple):
    """A finished command."""

    code: int
    out: str
    err: str


class Commands:
    """Runs commands in this process: starting a process takes longer than the command."""

    def __init__(self, capsys: pytest.CaptureFixture[str], config: Path) -> None:
        self._capsys, self._config = capsys, config
        config.touch()

    def __call__(self, command: ModuleType, *args: str) -> Ran:
        own = [*args, "--config", str(self._config)]
        code = main(command.parser(), command.run, own)
        return Ran(code, *self._capsys.readouterr())


def fill(cloud: Cloud, objects: Mapping[str, bytes]) -> None:
    """Put objects into the bucket, creating it if necessary."""
    s3 = cloud.client("s3")
    if not any(one["Name"] == BUCKET for one in s3.list_buckets()["Buckets"]):
        place = {"LocationConstraint": REGION}
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration=place)
    for key, body in objects.items():
        s3.put_object(Bucket=BUCKET, Key=key, Body=body)


def people_archive(*names: str) -> bytes:
    """An archive of photos, as ``upload.py`` makes them."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name in names:
            entry = tarfile.TarInfo(f"people/{name}")
            entry.size = len(name)
            tar.addfile(entry, io.BytesIO(name.encode()))
    return out.getvalue()


def keys(cloud: Cloud, prefix: str = "") -> list[str]:
    found = cloud.client("s3").list_objects_v2(Bucket=BUCKET, Prefix=prefix)
    return [one["Key"] for one in found.get("Contents", ())]


def body(cloud: Cloud, key: str) -> bytes:
    content: bytes = cloud.client("s3").get_object(Bucket=BUCKET, Key=key)["Body"].read()
    return content


def requests(out: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the requests that a dry run printed."""
    lines = [json.loads(line) for line in out.splitlines()]
    return [(f"{line['service']} {line['operation']}", line["request"]) for line in lines]


def backend() -> SageMakerModelBackend:
    found: SageMakerModelBackend = sagemaker_backends[ACCOUNT][REGION]
    return found


def transform_job(name: str) -> FakeTransformJob:
    job: FakeTransformJob = backend().transform_jobs[name]
    return job


def processing_job(name: str) -> FakeProcessingJob:
    job: FakeProcessingJob = backend().processing_jobs[name]
    return job


def log(cloud: Cloud, group: str, stream: str, *lines: str) -> None:
    """Write lines into a log stream, creating it if necessary."""
    logs = cloud.client("logs")
    groups = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    if not groups:
        logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName=stream)
    now = int(time.time() * 1000)
    events = [{"timestamp": now + n, "message": line} for n, line in enumerate(lines)]
    logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)


def make_unending(monkeypatch: pytest.MonkeyPatch, *, stoppable: bool = True) -> None:
    """Keep jobs running until they are stopped; those of moto end at once."""

    def begin(kind: type[Any], attribute: str) -> None:
        made, told = kind.__init__, kind.response_object.fget

        def init(self: Any, *args: Any, **kwargs: Any) -> None:
            made(self, *args, **kwargs)
            setattr(self, attribute, "InProgress")

        def describe(self: Any) -> Any:
            answer = told(self)
            if stoppable and getattr(self, attribute) == "Stopping":
                setattr(self, attribute, "Stopped")
            return answer

        monkeypatch.setattr(kind, "__init__", init)
        monkeypatch.setattr(kind, "response_object", property(describe))

    begin(FakeTransformJob, "transform_job_status")
    begin(FakeProcessingJob, "processing_job_status")

    def stop_transform(self: SageMakerResponse) -> EmptyResult:
        transform_job(self._get_param("TransformJobName")).transform_job_status = "Stopping"
        return EmptyResult()

    def stop_processing(self: SageMakerResponse) -> EmptyResult:
        processing_job(self._get_param("ProcessingJobName")).processing_job_status = "Stopping"
        return EmptyResult()

    monkeypatch.setattr(SageMakerResponse, "stop_transform_job", stop_transform, raising=False)
    monkeypatch.setattr(SageMakerResponse, "stop_processing_job", stop_processing)


def with_environment(monkeypatch: pytest.MonkeyPatch, **environment: str) -> None:
    """Moto forgets the environment of processing jobs."""
    told = vars(FakeProcessingJob)["response_object"].fget
    monkeypatch.setattr(
        FakeProcessingJob,
        "response_object",
        property(lambda job: told(job) | {"Environment": environment}),
    )
