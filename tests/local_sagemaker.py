"""A simulated SageMaker for tests: a bucket, a model, jobs, and their results."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from scripts.local.containers import GROUP, Launcher
from scripts.local.job_runner import JobResult
from scripts.local.sagemaker import SageMaker
from scripts.local.transformer import Timeouts

REGION = "eu-north-1"
BUCKET = "videos"
HURRIED = Timeouts(ping=30, ping_every=0.05, ping_timeout=0.3, kill_after=1)
LONG = 60.0
REAL = replace(HURRIED, ping=60, ping_every=0.2, ping_timeout=2, kill_after=30)
"""Timeouts for the real service, which loads models."""


@dataclass
class Local:
    """A simulated SageMaker, and the actions of tests."""

    sagemaker: SageMaker
    mark: str = ""
    s3: Any = field(init=False)
    api: Any = field(init=False)
    logs: Any = field(init=False)

    def __post_init__(self) -> None:
        self.s3, self.api, self.logs = (
            self.sagemaker.client(service, REGION) for service in ("s3", "sagemaker", "logs")
        )

    def reset(self, launcher: Launcher, timeouts: Timeouts, mark: str) -> None:
        """Delete everything; ``mark`` is in the command lines of started processes."""
        self.sagemaker.reset()
        self.sagemaker.launcher, self.sagemaker.timeouts = launcher, timeouts
        self.mark = mark
        self.s3.create_bucket(
            Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION}
        )

    def put(self, **objects: bytes) -> None:
        """Put input objects."""
        for name, content in objects.items():
            self.s3.put_object(Bucket=BUCKET, Key=f"in/{name}", Body=content)

    def model(self, archive: str | None = None, **fields: Any) -> None:
        container = {"Image": "123456789012.dkr.ecr.eu-north-1.amazonaws.com/face-blur:1"}
        container |= fields.pop("container", {})
        if archive is not None:
            container["ModelDataUrl"] = archive
        arn = "arn:aws:iam::123456789012:role/face-blur"
        request = {"EnableNetworkIsolation": True} | fields
        self.api.create_model(
            ModelName="model", PrimaryContainer=container, ExecutionRoleArn=arn, **request
        )

    def create_job(self, name: str = "job", **fields: Any) -> None:
        """Create a job as the scripts do; ``fields`` replace parts of the request."""
        self.api.create_transform_job(**request(name, **fields))

    def wait(self, name: str = "job") -> JobResult:
        found = self.sagemaker.wait(name, REGION, LONG)
        assert found is not None, "the job has not ended"
        return found

    def run_job(self, name: str = "job", **fields: Any) -> JobResult:
        self.create_job(name, **fields)
        return self.wait(name)

    def describe(self, name: str = "job") -> dict[str, Any]:
        found: dict[str, Any] = self.api.describe_transform_job(TransformJobName=name)
        return found

    def results(self) -> dict[str, bytes]:
        """Return the stored results by key."""
        listed = self.s3.list_objects_v2(Bucket=BUCKET, Prefix="out/").get("Contents", ())
        keys = [item["Key"] for item in listed]
        return {key: self.read(key) for key in keys}

    def read(self, key: str) -> bytes:
        content: bytes = self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        return content

    def report(self, key: str) -> Any:
        """Return what the well-behaved container reports about a request."""
        return json.loads(self.results()[key])

    def data_log(self, name: str = "job") -> list[str]:
        return [line for stream, line in self.lines(name) if stream.endswith("/data-log")]

    def printed(self, name: str = "job") -> list[str]:
        return [line for stream, line in self.lines(name) if not stream.endswith("/data-log")]

    def lines(self, name: str) -> list[tuple[str, str]]:
        found = self.logs.filter_log_events(logGroupName=GROUP, logStreamNamePrefix=f"{name}/")
        return [(event["logStreamName"], event["message"]) for event in found["events"]]

    def leftover_processes(self) -> list[str]:
        """Return the processes that containers of this test left behind."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                command = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:  # it has just exited
                continue
            if self.mark in command:
                found.append(command)
        return found


def request(name: str, **fields: Any) -> dict[str, Any]:
    """The request of the scripts: whole objects of any size, in chunks, without retries."""
    data = fields.pop("data", {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/in/"})
    client = {"InvocationsTimeoutInSeconds": 30, "InvocationsMaxRetries": 0}
    whole: dict[str, Any] = {
        "TransformJobName": name,
        "ModelName": "model",
        "MaxConcurrentTransforms": 1,
        "MaxPayloadInMB": 0,
        "ModelClientConfig": client | fields.pop("client", {}),
        "TransformInput": {
            "DataSource": {"S3DataSource": data},
            "ContentType": "video/mp4",
            "SplitType": "None",
            "CompressionType": "None",
        },
        "TransformOutput": {
            "S3OutputPath": f"s3://{BUCKET}/out/",
            "Accept": "video/mp4",
            "AssembleWith": "None",
        },
        "TransformResources": {
            "InstanceType": "ml.c6i.2xlarge",
            "InstanceCount": fields.pop("instances", 1),
        },
    }
    whole |= fields
    return {key: value for key, value in whole.items() if value is not None}


MakeLocal = Callable[..., Local]
"""Makes a simulated SageMaker whose containers misbehave in some way, or use a launcher."""
