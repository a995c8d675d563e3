"""Requests of a Batch Transform job: the model, the job, and a job that goes on with another."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from app.config import ENV_PREFIX
from scripts.aws.cloud import Cloud, CloudError, UntaggedError, has_project_tag, project_tags
from scripts.aws.command import check_settings
from scripts.aws.images import image_uri
from scripts.aws.jobs import volume_key, vpc
from scripts.aws.limits import GPU_IMAGE, check, has_gpu
from scripts.aws.objects import Inputs, S3Object, S3Uri, list_objects, results_by_key
from scripts.aws.variables import Variables

PeopleSource: TypeAlias = Literal["model", "s3", "none"]
"""How photos of people reach the container: with the model, from S3 by itself, or not at all."""
SUFFIX = ".out"
"""What SageMaker appends to the name of an input for that of its result."""
_ABSENT = frozenset({"404", "NoSuchKey", "NotFound"})
_DEVICE = ENV_PREFIX + "DEVICE"
_JSON = "application/json"
_MEDIA_TYPE = "application/octet-stream"
"""Of all inputs of a job; they are told by their bytes."""
_GIVEN_ON = ("ModelName", "MaxConcurrentTransforms", "MaxPayloadInMB", "ModelClientConfig")


@dataclass(frozen=True, slots=True)
class JobOptions:
    """What a job is to do.

    Args:
        settings: ``FACE_BLUR_`` variables of this job; those of all jobs are in the variables.
        people: where photos come from.
        tickets: the prefixes that tickets may name, ``s3://...`` with commas; empty: no tickets.
        plans: make plans instead of videos.
    """

    settings: Mapping[str, str]
    people: PeopleSource
    tickets: str = ""
    plans: bool = False

    @property
    def isolated(self) -> bool:
        """Whether the container needs no network."""
        return self.people != "s3" and not self.tickets


def find_people_archive(cloud: Cloud) -> tuple[S3Uri, str] | None:
    """The archive with the photos of people that is unpacked for a model, and its ETag, if any.

    Raises:
        CloudError: S3 does not tell.
    """
    place = S3Uri(cloud.bucket, cloud.variables.people_archive)
    try:
        head = cloud.read("s3", "head_object", Bucket=place.bucket, Key=place.key)
    except CloudError as error:
        if error.reason in _ABSENT:
            return None
        raise
    return place, str(head["ETag"])


def environments(cloud: Cloud, options: JobOptions) -> tuple[dict[str, str], dict[str, str]]:
    """Variables of the container that come with the model, and those that come with the job.

    Raises:
        ConfigError: the container would not start with them.
    """
    variables = cloud.variables
    always = dict(variables.options)
    # A service that does not find its GPU must say so, not work on for ten times as long.
    if has_gpu(variables.instance_type):
        always = {_DEVICE: "cuda"} | always
    job = dict(options.settings)
    if options.people == "s3":
        job[ENV_PREFIX + "PEOPLE"] = f"s3://{cloud.bucket}/{variables.people_prefix}"
    if options.tickets:
        job[ENV_PREFIX + "TICKETS"] = options.tickets
    check_settings(always | job, people=options.people != "none")
    return always, job


def model_request(
    cloud: Cloud,
    options: JobOptions,
    archive: tuple[S3Uri, str] | None,
    environment: Mapping[str, str],
) -> dict[str, Any]:
    """The request that makes a model. Its name tells its content: equal ones are made once.

    Raises:
        LimitError: it is beyond a limit of the API.
    """
    variables = cloud.variables
    container: dict[str, Any] = {"Image": image_uri(cloud), "Environment": dict(environment)}
    tag = ""
    if options.people == "model" and archive is not None:
        container["ModelDataUrl"], tag = str(archive[0]), archive[1]
    request = {
        "PrimaryContainer": container,
        "ExecutionRoleArn": cloud.role_arn,
        "EnableNetworkIsolation": variables.network_isolation and options.isolated,
        **vpc(variables),
    }
    content = json.dumps([request, tag], sort_keys=True)
    name = f"{variables.project}-{hashlib.sha256(content.encode()).hexdigest()[:16]}"
    request = {"ModelName": name, **request, "Tags": project_tags(variables.project)}
    check("CreateModel", request)
    return request


def make_model(cloud: Cloud, request: Mapping[str, Any]) -> None:
    """Make a model, unless it is there.

    Raises:
        UntaggedError: there is another one of this name.
    """
    try:
        there = cloud.read("sagemaker", "describe_model", ModelName=request["ModelName"])
    except CloudError as error:
        if error.reason != "ValidationException":
            raise
        cloud.change("sagemaker", "create_model", **request)
        return
    tags = cloud.pages("sagemaker", "list_tags", "Tags", ResourceArn=there["ModelArn"])
    same = there["PrimaryContainer"].get("Image") == request["PrimaryContainer"]["Image"]
    if not same or not has_project_tag(tags, cloud.variables.project):
        raise UntaggedError(f"the model {request['ModelName']} is there and is not ours; delete it")


def job_request(
    variables: Variables,
    name: str,
    model: str,
    *,
    source: Mapping[str, str],
    output: S3Uri,
    count: int,
    options: JobOptions,
    environment: Mapping[str, str],
) -> dict[str, Any]:
    """The request that begins a job: whole objects of any size, one at a time, once.

    Args:
        variables: where and how.
        name: of the job.
        model: its name.
        source: where the inputs are, as ``objects.data_source`` gives it.
        output: where the results go.
        count: number of inputs; more instances would have nothing to do.
        options: what it is to do.
        environment: variables of the container.

    Raises:
        LimitError: it is beyond a limit of the API.
    """
    result = {"S3OutputPath": str(output), "AssembleWith": "None"}
    if options.plans:
        result["Accept"] = _JSON
    if variables.kms_key:
        result["KmsKeyId"] = variables.kms_key
    request = {
        "TransformJobName": name,
        "ModelName": model,
        "MaxConcurrentTransforms": 1,
        # 0: of any size, in chunks.
        "MaxPayloadInMB": 0,
        # What has failed once fails again; an hour later at worst.
        "ModelClientConfig": {
            "InvocationsTimeoutInSeconds": variables.timeout_seconds,
            "InvocationsMaxRetries": 0,
        },
        "Environment": dict(environment),
        "TransformInput": _input(source, options),
        "TransformOutput": result,
        "TransformResources": _resources(variables, count),
        "Tags": project_tags(variables.project),
    }
    check("CreateTransformJob", request)
    return request


def _input(source: Mapping[str, str], options: JobOptions) -> dict[str, Any]:
    return {
        "DataSource": {"S3DataSource": dict(source)},
        "ContentType": _JSON if options.tickets else _MEDIA_TYPE,
        "CompressionType": "None",
        "SplitType": "None",
    }


def _resources(variables: Variables, count: int) -> dict[str, Any]:
    kind = variables.instance_type
    ami = {"TransformAmiVersion": GPU_IMAGE} if has_gpu(kind) else {}
    number = min(variables.instance_count, count)
    return {
        "InstanceType": kind, "InstanceCount": number, **ami, **volume_key(variables, kind)
    }  # fmt: skip


def resumed_request(
    cloud: Cloud, told: Mapping[str, Any], name: str, source: Mapping[str, str], count: int
) -> dict[str, Any]:
    """The request of a job with the model, settings and output of another, for other inputs.

    Raises:
        LimitError: it is beyond a limit of the API.
    """
    resources = dict(told["TransformResources"])
    resources["InstanceCount"] = min(resources["InstanceCount"], count)
    request = {
        "TransformJobName": name,
        **{key: told[key] for key in _GIVEN_ON},
        "Environment": dict(told.get("Environment") or {}),
        "TransformInput": dict(told["TransformInput"])
        | {"DataSource": {"S3DataSource": dict(source)}},
        "TransformOutput": dict(told["TransformOutput"]),
        "TransformResources": resources,
        "Tags": project_tags(cloud.variables.project),
    }
    check("CreateTransformJob", request)
    return request


def finished_keys(inputs: Inputs, output: S3Uri, items: list[S3Object]) -> set[str]:
    """The keys of the inputs that have a result, collected or not.

    Args:
        inputs: of the job.
        output: where its results are.
        items: what lies there.
    """
    names = {item.key.removeprefix(output.key) for item in items}
    fresh = [name.removesuffix(SUFFIX) for name in names if name.endswith(SUFFIX)]
    # What was collected has the name of its input, or one more suffix.
    longer = {name.rpartition(".")[0] for name in names - set(inputs.names)}
    collected = {
        key
        for key, name in zip(inputs.keys, inputs.names, strict=True)
        if name in names or name in longer
    }
    return collected | set(results_by_key(inputs, fresh))


def unfinished_inputs(cloud: Cloud, inputs: Inputs, output: S3Uri) -> Inputs:
    """The inputs that have no result.

    Raises:
        CloudError: the results cannot be list_objects.
    """
    done = finished_keys(inputs, output, list_objects(cloud, output))
    return Inputs(inputs.prefix, tuple(key for key in inputs.keys if key not in done))
