"""A transform job as its requests describe it, and the objects that it works on.

Requests that this simulation does not support are refused: a job that would behave differently on
AWS must not seem to have been tested.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import BotoCoreError, ClientError

from app.errors import FaceBlurError, UsageError
from scripts.aws.objects import S3Uri

Request = Mapping[str, Any]
"""The arguments of a boto3 call."""


class Refused(UsageError):
    """SageMaker would refuse the request, or this simulation does not support it."""


@dataclass(frozen=True, slots=True)
class Job:
    """A transform job. Values missing in the request are None; /execution-parameters may give them.

    ``model_data`` is the model archive, ``isolated`` means no network and no credentials,
    ``timeout`` is the seconds of one invocation, and ``retries`` the number of repetitions.
    """

    name: str
    image: str
    model_data: S3Uri | None
    environment: Mapping[str, str]
    isolated: bool
    source: S3Uri
    manifest: bool
    output: S3Uri
    kms_key: str
    headers: Mapping[str, str]
    instances: int
    concurrent: int | None
    payload_mb: int | None
    timeout: float
    retries: int


def parse_s3_uri(uri: str) -> S3Uri:
    """Parse ``s3://BUCKET/KEY``.

    Raises:
        Refused: the text has another form.

    >>> parse_s3_uri("s3://videos/input/").key
    'input/'
    """
    parts = urlsplit(uri)
    if parts.scheme != "s3" or not parts.netloc or parts.query or parts.fragment:
        raise Refused(f"{uri!r} is not an S3 URI")
    return S3Uri(parts.netloc, parts.path.removeprefix("/"))


def parse_job(model: Request, job: Request) -> Job:
    """Parse the requests of create_model and create_transform_job.

    Raises:
        Refused: a value is unsupported or missing.
    """
    try:
        _refuse_unsupported(model, job)
        return _parsed(model, job)
    except KeyError as error:
        raise Refused(f"the request lacks {error.args[0]}") from error


def _parsed(model: Request, job: Request) -> Job:
    container = model["PrimaryContainer"]
    archive = container.get("ModelDataUrl")
    given, output = job["TransformInput"], job["TransformOutput"]
    source = given["DataSource"]["S3DataSource"]
    client = job.get("ModelClientConfig", {})
    headers = {"Content-Type": given.get("ContentType"), "Accept": output.get("Accept")}
    return Job(
        name=job["TransformJobName"],
        image=container["Image"],
        model_data=parse_s3_uri(archive) if archive else None,
        environment=_environment(container, job),
        isolated=bool(model.get("EnableNetworkIsolation", False)),
        source=parse_s3_uri(source["S3Uri"]),
        manifest=source["S3DataType"] == "ManifestFile",
        output=_output(output),
        kms_key=output.get("KmsKeyId", ""),
        headers={name: value for name, value in headers.items() if value},
        instances=job["TransformResources"]["InstanceCount"],
        concurrent=job.get("MaxConcurrentTransforms"),
        payload_mb=job.get("MaxPayloadInMB"),
        timeout=client.get("InvocationsTimeoutInSeconds", 600),
        retries=client.get("InvocationsMaxRetries", 3),
    )


def _output(output: Request) -> S3Uri:
    place = parse_s3_uri(output["S3OutputPath"])
    return S3Uri(
        place.bucket, place.key if place.key.endswith("/") else f"{place.key}/".lstrip("/")
    )


def _environment(container: Request, job: Request) -> dict[str, str]:
    """Return the environment of the container; SageMaker adds only values that the job sets."""
    out = dict(container.get("Environment", {})) | dict(job.get("Environment", {}))
    out["SAGEMAKER_BATCH"] = "true"
    for name, field in (
        ("SAGEMAKER_MAX_PAYLOAD_IN_MB", "MaxPayloadInMB"),
        ("SAGEMAKER_MAX_CONCURRENT_TRANSFORMS", "MaxConcurrentTransforms"),
    ):
        if job.get(field) is not None:
            out[name] = str(job[field])
    return out


def _refuse_unsupported(model: Request, job: Request) -> None:
    given, output = job["TransformInput"], job["TransformOutput"]
    kind = given["DataSource"]["S3DataSource"]["S3DataType"]
    processing = job.get("DataProcessing", {})
    reasons = {
        "a model of several containers": "Containers" in model,
        "ModelDataSource": "ModelDataSource" in model["PrimaryContainer"],
        f"S3DataType {kind}": kind not in {"S3Prefix", "ManifestFile"},
        "a SplitType": given.get("SplitType", "None") != "None",
        "a BatchStrategy": "BatchStrategy" in job,
        "a CompressionType": given.get("CompressionType", "None") != "None",
        "AssembleWith Line": output.get("AssembleWith", "None") != "None",
        "DataProcessing": any(value not in {"$", "None"} for value in processing.values()),
        "DataCaptureConfig": bool(job.get("DataCaptureConfig")),
    }
    if found := [reason for reason, applies in reasons.items() if applies]:
        raise Refused(f"not supported here: {', '.join(found)}")


class InputError(FaceBlurError):
    """The input of a job cannot be listed or read."""


@dataclass(frozen=True, slots=True)
class JobObject:
    """An input object with its size in bytes, and where its result goes."""

    source: S3Uri
    size: int
    result: S3Uri

    def __str__(self) -> str:
        return f"{self.source.bucket}/{self.source.key}"


def find_objects(s3: Any, job: Job) -> list[JobObject]:
    """Find the objects of a job, in the order of their keys.

    A prefix matches every key that starts with it, including folder markers.

    Raises:
        InputError: there are no objects, the manifest is invalid, or one of its objects is missing.
    """
    return [
        JobObject(place, size, result_of(job.output, prefix, place.key))
        for place, prefix, size in list_objects(s3, job.source, manifest=job.manifest)
    ]


def list_objects(s3: Any, source: S3Uri, *, manifest: bool) -> list[tuple[S3Uri, str, int]]:
    """Return the objects below a prefix or in a manifest, in the order of their keys.

    With each come the prefix that its name is relative to, and its size in bytes.

    Raises:
        InputError: there are no objects, the manifest is invalid, or one of its objects is missing.
    """
    try:
        listed = _of_manifest(s3, source) if manifest else _of_prefix(s3, source)
        found = sorted(listed, key=lambda item: item[0].key)
    except (ClientError, BotoCoreError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"the input {source} cannot be listed: {error}") from error
    if not found:
        raise InputError(f"no objects at {source}")
    return found


def _of_prefix(s3: Any, source: S3Uri) -> Iterator[tuple[S3Uri, str, int]]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=source.bucket, Prefix=source.key)
    for page in pages:
        for found in page.get("Contents", ()):
            yield S3Uri(source.bucket, found["Key"]), source.key, found["Size"]


def _of_manifest(s3: Any, source: S3Uri) -> Iterator[tuple[S3Uri, str, int]]:
    body = s3.get_object(Bucket=source.bucket, Key=source.key)["Body"].read()
    head, *names = json.loads(body)
    beginning = parse_s3_uri(head["prefix"])
    for name in names:
        place = S3Uri(beginning.bucket, beginning.key + name)
        size = s3.head_object(Bucket=place.bucket, Key=place.key)["ContentLength"]
        yield place, beginning.key, size


def result_of(output: S3Uri, prefix: str, key: str) -> S3Uri:
    """Return where the result of a key goes: relative to the output as the key is to the prefix.

    >>> result_of(S3Uri("videos", "out/"), "in/", "in/monday/clip.mp4").key
    'out/monday/clip.mp4.out'
    >>> result_of(S3Uri("videos", "out/"), "in/cl", "in/clip.mp4").key
    'out/clip.mp4.out'
    """
    folder = prefix[: prefix.rfind("/") + 1]
    return S3Uri(output.bucket, f"{output.key}{key.removeprefix(folder)}.out")


def distribute(items: Sequence[JobObject], instances: int) -> list[list[JobObject]]:
    """Distribute whole objects to the instances, in turn."""
    return [list(items[number::instances]) for number in range(instances)]
