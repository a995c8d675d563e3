"""What a transform job asks for, out of the very requests that boto3 would send.

What this driver does not play is refused: a job that would do something else on AWS must not look
as if it had been tried.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from app.errors import UsageError

Request = Mapping[str, Any]
"""The arguments of a call of boto3."""


class Refused(UsageError):
    """SageMaker would refuse the request, or this driver does not play it."""


@dataclass(frozen=True, slots=True)
class Place:
    """A key, or the beginning of keys, in a bucket of S3."""

    bucket: str
    key: str

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


@dataclass(frozen=True, slots=True)
class Job:
    """A transform job. What the request left open is None; /execution-parameters may say it.

    ``model_data`` is the archive that is unpacked before the start, ``isolated`` whether the
    container goes without network and credentials. ``timeout`` is seconds of one invocation,
    ``retries`` how often one may be repeated.
    """

    name: str
    image: str
    model_data: Place | None
    environment: Mapping[str, str]
    isolated: bool
    source: Place
    manifest: bool
    output: Place
    kms_key: str
    headers: Mapping[str, str]
    instances: int
    concurrent: int | None
    payload_mb: int | None
    timeout: float
    retries: int


def parse_place(uri: str) -> Place:
    """A place from ``s3://BUCKET/KEY``.

    Raises:
        Refused: it is not one.

    >>> parse_place("s3://films/input/").key
    'input/'
    """
    parts = urlsplit(uri)
    if parts.scheme != "s3" or not parts.netloc or parts.query or parts.fragment:
        raise Refused(f"{uri!r} is not a place in S3")
    return Place(parts.netloc, parts.path.removeprefix("/"))


def parse_job(model: Request, job: Request) -> Job:
    """A job from the requests of create_model and create_transform_job.

    Raises:
        Refused: it asks for what is not played here, or lacks something.
    """
    try:
        _refuse_others(model, job)
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
        model_data=parse_place(archive) if archive else None,
        environment=_environment(container, job),
        isolated=bool(model.get("EnableNetworkIsolation", False)),
        source=parse_place(source["S3Uri"]),
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


def _output(output: Request) -> Place:
    place = parse_place(output["S3OutputPath"])
    return Place(
        place.bucket, place.key if place.key.endswith("/") else f"{place.key}/".lstrip("/")
    )


def _environment(container: Request, job: Request) -> dict[str, str]:
    """What the container finds in its environment; SageMaker tells only what the job said."""
    out = dict(container.get("Environment", {})) | dict(job.get("Environment", {}))
    out["SAGEMAKER_BATCH"] = "true"
    for name, field in (
        ("SAGEMAKER_MAX_PAYLOAD_IN_MB", "MaxPayloadInMB"),
        ("SAGEMAKER_MAX_CONCURRENT_TRANSFORMS", "MaxConcurrentTransforms"),
    ):
        if job.get(field) is not None:
            out[name] = str(job[field])
    return out


def _refuse_others(model: Request, job: Request) -> None:
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
    if found := [reason for reason, true in reasons.items() if true]:
        raise Refused(f"not played here: {', '.join(found)}")
