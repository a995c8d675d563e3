"""Versions of an asynchronous endpoint: the requests for their parts, and deleting old ones.

A version is a configuration, a model and, if the endpoint has people, an archive of their photos.
They are never changed: each version has its own ones, named after a hash of their content. An
instance reads the archive whenever it starts, so it has to be a copy that no upload replaces.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from app.config import ENV_PREFIX
from app.errors import UsageError
from scripts.aws.cloud import Cloud, CloudError, UntaggedError, has_project_tag, project_tags
from scripts.aws.command import check_settings
from scripts.aws.jobs import volume_key
from scripts.aws.limits import ENDPOINT_GPU_IMAGE, check, has_gpu
from scripts.aws.objects import S3Uri, list_objects
from scripts.aws.people import People, check_choice, hides_everyone, people_in_archive
from scripts.aws.scaling import VARIANT
from scripts.aws.transform import JobOptions, find_people_archive, make_model, model_request

ABSENT = "ValidationException"
"""Error code for an endpoint, a configuration or a model that does not exist, among others."""
_VERSION = r"-[0-9a-f]{16}"
_DEVICE, _WORKERS = ENV_PREFIX + "DEVICE", ENV_PREFIX + "WORKERS"


@dataclass(frozen=True, slots=True)
class Photos:
    """People of an endpoint, and where the copy of their archive goes.

    ``archive`` and ``etag`` are the place and the content of the archive of the last upload.
    """

    people: People
    archive: S3Uri
    etag: str

    def copy(self, cloud: Cloud, target: S3Uri) -> None:
        """Copy the archive.

        Raises:
            CloudError: S3 refuses, also if the archive has been replaced.
        """
        source = {"Bucket": self.archive.bucket, "Key": self.archive.key}
        place = {"Bucket": target.bucket, "Key": target.key}
        cloud.change("s3", "copy_object", CopySource=source, CopySourceIfMatch=self.etag, **place)


@dataclass(frozen=True, slots=True)
class Version:
    """A version of an endpoint: the requests that create its model and its configuration."""

    model: dict[str, Any]
    config: dict[str, Any]
    photos: Photos | None

    @property
    def name(self) -> str:
        """Name of the configuration, and of the model."""
        return str(self.config["EndpointConfigName"])

    @property
    def environment(self) -> dict[str, str]:
        """Environment of the container."""
        return dict(self.model["PrimaryContainer"]["Environment"])

    def make(self, cloud: Cloud) -> None:
        """Create the parts that do not exist.

        Raises:
            CloudError: AWS refuses.
            UntaggedError: a part of this name exists and is not ours.
        """
        if self.photos is not None:
            archive = S3Uri.parse(self.model["PrimaryContainer"]["ModelDataUrl"])
            self.photos.copy(cloud, archive)
        make_model(cloud, self.model)
        if not _config_exists(cloud, self.name):
            cloud.change("sagemaker", "create_endpoint_config", **self.config)


def _config_exists(cloud: Cloud, name: str) -> bool:
    if cloud.blind:
        return False
    try:
        found = cloud.read("sagemaker", "describe_endpoint_config", EndpointConfigName=name)
    except CloudError as error:
        if error.reason != ABSENT:
            raise
        return False
    if not _is_ours(cloud, found["EndpointConfigArn"]):
        raise UntaggedError(f"the configuration {name} exists and is not ours; delete it")
    return True


def _is_ours(cloud: Cloud, arn: str) -> bool:
    tags = cloud.pages("sagemaker", "list_tags", "Tags", ResourceArn=arn)
    return has_project_tag(tags, cloud.variables.project)


def find_photos(cloud: Cloud, environment: Mapping[str, str], wanted: str | None) -> Photos | None:
    """Return the people whom an endpoint gets, as a transform job would.

    Args:
        cloud: the account.
        environment: settings of the endpoint.
        wanted: ``model`` or ``none``; None is the former if there are photos that are needed.

    Raises:
        UsageError: there are photos, and the settings do not say what they are for; or there are
            none, and they are wanted.
    """
    if wanted == "none" or (wanted is None and hides_everyone(environment)):
        return None
    found = find_people_archive(cloud)
    if found is None:
        if wanted is None:
            return None
        raise UsageError("there is no archive of photos; create it with scripts/upload.py")
    people = people_in_archive(cloud, *found)
    check_choice(people, environment)
    return Photos(people, *found)


def environment_of(cloud: Cloud, settings: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of the container: a device that must work, and one worker.

    An instance gets one request at a time, so one worker has all its cores.
    """
    variables = cloud.variables
    device = {_DEVICE: "cuda"} if has_gpu(variables.transform_type) else {}
    return {_WORKERS: "1", **device, **variables.options, **settings}


def plan_version(
    cloud: Cloud, endpoint: str, environment: Mapping[str, str], photos: Photos | None
) -> Version:
    """Return a version of an endpoint, which does not exist yet.

    Raises:
        ConfigError: the container would not start with these settings.
        LimitError: a request violates a limit of the API.
    """
    check_settings(environment, people=photos is not None)
    options = JobOptions({}, "none" if photos is None else "model")
    archive = None if photos is None else (photos.archive, photos.etag)
    model = model_request(cloud, options, archive, environment)
    config = _config(cloud, endpoint)
    # The name of a model is already a hash of its content.
    content = json.dumps([model["ModelName"], config], sort_keys=True)
    name = f"{endpoint}-{hashlib.sha256(content.encode()).hexdigest()[:16]}"
    model["ModelName"] = name
    if photos is not None:
        copy = archive_prefix(cloud, name)
        model["PrimaryContainer"]["ModelDataUrl"] = f"{copy}.tar.gz"
    config["ProductionVariants"][0]["ModelName"] = name
    people = [] if photos is None else photos.people.tags
    config |= {
        "EndpointConfigName": name,
        "Tags": project_tags(cloud.variables.project) + people,
    }
    check("CreateModel", model)
    check("CreateEndpointConfig", config)
    return Version(model, config, photos)


def _config(cloud: Cloud, endpoint: str) -> dict[str, Any]:
    variables = cloud.variables
    kind = variables.transform_type
    key = volume_key(variables, kind)
    image = {"InferenceAmiVersion": ENDPOINT_GPU_IMAGE} if has_gpu(kind) else {}
    variant = {
        "VariantName": VARIANT,
        "InstanceType": kind,
        # The API allows no smaller number; scaling takes it away when there is nothing to do.
        "InitialInstanceCount": 1,
        **image,
    }
    return {
        "ProductionVariants": [variant],
        "AsyncInferenceConfig": {
            # More would share cores and disk, and each has an hour.
            "ClientConfig": {"MaxConcurrentInvocationsPerInstance": 1},
            "OutputConfig": _output(cloud, endpoint),
        },
        **({"KmsKeyId": key["VolumeKmsKeyId"]} if key else {}),
    }


def _output(cloud: Cloud, endpoint: str) -> dict[str, Any]:
    """Return where answers go: below ``OUTPUT_PREFIX``, as the role of jobs writes nowhere else."""
    variables = cloud.variables
    topics = {"SuccessTopic": variables.success_topic, "ErrorTopic": variables.error_topic}
    told = {name: topic for name, topic in topics.items() if topic}
    folder = f"s3://{cloud.bucket}/{variables.output_prefix}{endpoint}"
    return {
        "S3OutputPath": f"{folder}/results/",
        "S3FailurePath": f"{folder}/failures/",
        **({"NotificationConfig": told} if told else {}),
        **({"KmsKeyId": variables.kms_key} if variables.kms_key else {}),
    }


def archive_prefix(cloud: Cloud, name: str) -> S3Uri:
    """Return the beginning of the key of an archive: beside the photos, not among them.

    >>> from scripts.aws.variables import Variables
    >>> str(archive_prefix(Cloud(Variables(bucket="videos")), "face-blur-async-01"))
    's3://videos/people.face-blur-async-01'
    """
    beside = cloud.variables.people_prefix.rstrip("/")
    return S3Uri(cloud.bucket, f"{beside}.{name}")


def delete_versions(cloud: Cloud, endpoint: str, keep: str = "") -> None:
    """Delete the configurations, models and archives of all versions but one.

    Raises:
        CloudError: AWS refuses.
    """
    named = {"NameContains": f"{endpoint}-"}
    configs = cloud.pages("sagemaker", "list_endpoint_configs", "EndpointConfigs", **named)
    for name in _versions(cloud, endpoint, configs, "EndpointConfig", keep):
        cloud.change("sagemaker", "delete_endpoint_config", EndpointConfigName=name)
    models = cloud.pages("sagemaker", "list_models", "Models", **named)
    for name in _versions(cloud, endpoint, models, "Model", keep):
        cloud.change("sagemaker", "delete_model", ModelName=name)
    _delete_archives(cloud, endpoint, keep)


def _versions(
    cloud: Cloud, endpoint: str, listed: Iterable[Mapping[str, Any]], key: str, keep: str
) -> Iterator[str]:
    """Yield the names of those that are versions of the endpoint, and have our tag."""
    is_version = re.compile(re.escape(endpoint) + _VERSION)
    for one in list(listed):
        name = one[f"{key}Name"]
        if name != keep and is_version.fullmatch(name) and _is_ours(cloud, one[f"{key}Arn"]):
            yield name


def _delete_archives(cloud: Cloud, endpoint: str, keep: str) -> None:
    prefix = archive_prefix(cloud, f"{endpoint}-")
    kept = f"{archive_prefix(cloud, keep).key}.tar.gz"
    ours = re.compile(re.escape(archive_prefix(cloud, endpoint).key) + _VERSION + r"\.tar\.gz")
    for item in list_objects(cloud, prefix):
        if ours.fullmatch(item.key) and item.key != kept:
            cloud.change("s3", "delete_object", Bucket=prefix.bucket, Key=item.key)
