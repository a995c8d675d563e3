"""Requests of Batch Transform jobs: the model, the job, and a job that resumes another."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from app.config import ENV_PREFIX
from scripts.aws.cloud import Cloud, CloudError, UntaggedError, has_project_tag, project_tags
from scripts.aws.command import check_settings
from scripts.aws.jobs import image_uri, volume_key, vpc
from scripts.aws.limits import GPU_IMAGE, check, has_gpu
from scripts.aws.objects import Inputs, S3Object, S3Uri, list_objects, results_by_key
from scripts.aws.people import People, people_in_archive, people_in_prefix
from scripts.aws.variables import Variables

PeopleSource: TypeAlias = Literal["model", "s3", "none"]
"""How the container gets photos of people: in the model, from S3 by itself, or not at all."""
SUFFIX = ".out"
"""Suffix that SageMaker appends to the name of an input for that of its result."""
_NOT_FOUND = frozenset({"404", "NoSuchKey", "NotFound"})
_DEVICE = ENV_PREFIX + "DEVICE"
_JSON = "application/json"
_MEDIA_TYPE = "application/octet-stream"
"""Content type of all inputs; the service detects their format from the bytes."""
_INHERITED = ("ModelName", "MaxConcurrentTransforms", "MaxPayloadInMB", "ModelClientConfig")
"""Parts of a job that one which resumes it has too. A job that others started may lack them."""


@dataclass(frozen=True, slots=True)
class JobOptions:
    """Options of a job.

    Args:
        settings: ``FACE_BLUR_`` variables of this job, besides those for all jobs.
        people: how the container gets photos.
        tickets: the ``s3://`` prefixes that tickets may name, comma-separated; empty for no
            tickets.
        plans: make plans instead of videos.
        whom: the people of these photos.
    """

    settings: Mapping[str, str]
    people: PeopleSource
    tickets: str = ""
    plans: bool = False
    whom: People | None = None

    @property
    def isolated(self) -> bool:
        """Whether the container needs no network."""
        return self.people != "s3" and not self.tickets


def find_people_archive(cloud: Cloud) -> tuple[S3Uri, str] | None:
    """Return the archive with the photos of people and its ETag, if it exists.

    Raises:
        CloudError: S3 refuses.
    """
    place = S3Uri(cloud.bucket, cloud.variables.people_archive)
    if cloud.blind:
        return None
    try:
        head = cloud.read("s3", "head_object", Bucket=place.bucket, Key=place.key)
    except CloudError as error:
        if error.reason in _NOT_FOUND:
            return None
        raise
    return place, str(head["ETag"])


def environments(cloud: Cloud, options: JobOptions) -> tuple[dict[str, str], dict[str, str]]:
    """Return the environment set by the model, and that set by the job.

    Raises:
        ConfigError: the container would not start with them.
    """
    variables = cloud.variables
    always = dict(variables.options)
    # Without its GPU the service must fail, not run ten times as long.
    if has_gpu(variables.transform_type):
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
    """Return the request that creates a model. Its name is a hash of its content.

    Raises:
        LimitError: the request violates a limit of the API.
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
    """Create a model, unless it exists.

    Raises:
        UntaggedError: another model has this name.
    """
    try:
        existing = cloud.read("sagemaker", "describe_model", ModelName=request["ModelName"])
    except CloudError as error:
        if error.reason != "ValidationException" and not cloud.blind:
            raise
        cloud.change("sagemaker", "create_model", **request)
        return
    tags = cloud.pages("sagemaker", "list_tags", "Tags", ResourceArn=existing["ModelArn"])
    same = existing["PrimaryContainer"].get("Image") == request["PrimaryContainer"]["Image"]
    if not same or not has_project_tag(tags, cloud.variables.project):
        raise UntaggedError(f"the model {request['ModelName']} exists and is not ours; delete it")


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
    """Return the request that creates a job: whole objects of any size, one at a time, no retries.

    Args:
        variables: instances, limits and keys.
        name: name of the job.
        model: name of the model.
        source: the inputs, as returned by ``objects.data_source``.
        output: where the results go.
        count: number of inputs; more instances than that would be idle.
        options: options of the job.
        environment: environment of the container, besides that of the model.

    Raises:
        LimitError: the request violates a limit of the API.
    """
    result = {"S3OutputPath": str(output), "AssembleWith": "None"}
    if options.plans:
        result["Accept"] = _JSON
    if variables.kms_key:
        result["KmsKeyId"] = variables.kms_key
    request = {
        "TransformJobName": name,
        "ModelName": model,
        # 0: any size, sent in chunks.
        "MaxPayloadInMB": 0,
        # A failure would only repeat itself, possibly an hour later.
        "ModelClientConfig": {
            "InvocationsTimeoutInSeconds": variables.timeout_seconds,
            "InvocationsMaxRetries": 0,
        },
        "Environment": dict(environment),
        "TransformInput": _input(source, options),
        "TransformOutput": result,
        "TransformResources": _resources(variables, count),
        "Tags": project_tags(variables.project) + (options.whom.tags if options.whom else []),
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
    kind = variables.transform_type
    ami = {"TransformAmiVersion": GPU_IMAGE} if has_gpu(kind) else {}
    number = min(variables.instance_count, count)
    return {"InstanceType": kind, "InstanceCount": number, **ami, **volume_key(variables, kind)}


def resumed_request(
    cloud: Cloud,
    description: Mapping[str, Any],
    name: str,
    source: Mapping[str, str],
    *,
    count: int,
    people: People | None,
) -> dict[str, Any]:
    """Return the request of a job with the model, settings and output of another, for other inputs.

    Raises:
        LimitError: the request violates a limit of the API.
    """
    resources = dict(description["TransformResources"])
    resources["InstanceCount"] = min(resources["InstanceCount"], count)
    request = {
        "TransformJobName": name,
        **{key: description[key] for key in _INHERITED if key in description},
        "Environment": dict(description.get("Environment") or {}),
        "TransformInput": dict(description["TransformInput"])
        | {"DataSource": {"S3DataSource": dict(source)}},
        "TransformOutput": dict(description["TransformOutput"]),
        "TransformResources": resources,
        "Tags": project_tags(cloud.variables.project) + (people.tags if people else []),
    }
    check("CreateTransformJob", request)
    return request


def _model_of(cloud: Cloud, description: Mapping[str, Any]) -> dict[str, Any]:
    name = description["ModelName"]
    return dict(cloud.read("sagemaker", "describe_model", ModelName=name)["PrimaryContainer"])


def environment_of_job(cloud: Cloud, description: Mapping[str, Any]) -> dict[str, str]:
    """Return the environment of the container of a job.

    Raises:
        CloudError: its model no longer exists.
    """
    model = _model_of(cloud, description)
    return {**(model.get("Environment") or {}), **(description.get("Environment") or {})}


def people_of_job(
    cloud: Cloud, description: Mapping[str, Any], environment: Mapping[str, str]
) -> People | None:
    """Return the people of a job as their photos are now."""
    has_archive = _model_of(cloud, description).get("ModelDataUrl")
    archive = find_people_archive(cloud) if has_archive else None
    if archive is not None:
        return people_in_archive(cloud, *archive)
    return people_in_prefix(cloud) if environment.get(ENV_PREFIX + "PEOPLE") else None


def finished_keys(inputs: Inputs, output: S3Uri, items: list[S3Object]) -> set[str]:
    """Return the keys of the inputs that have a result, collected or not.

    Args:
        inputs: the inputs of the job.
        output: where its results are.
        items: the objects there.
    """
    names = {item.key.removeprefix(output.key) for item in items}
    fresh = [name.removesuffix(SUFFIX) for name in names if name.endswith(SUFFIX)]
    # A collected result has the name of its input, possibly with one more suffix.
    longer = {name.rpartition(".")[0] for name in names - set(inputs.names)}
    collected = {
        key
        for key, name in zip(inputs.keys, inputs.names, strict=True)
        if name in names or name in longer
    }
    return collected | set(results_by_key(inputs, fresh))


def unfinished_inputs(cloud: Cloud, inputs: Inputs, output: S3Uri) -> Inputs:
    """Return the inputs without a result.

    Raises:
        CloudError: the results cannot be listed.
    """
    done = finished_keys(inputs, output, list_objects(cloud, output))
    return Inputs(inputs.prefix, tuple(key for key in inputs.keys if key not in done))
