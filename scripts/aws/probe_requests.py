"""The first run: its place in the bucket, and the requests of its jobs."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scripts.aws.cloud import Cloud
from scripts.aws.jobs import KINDS, Job
from scripts.aws.objects import Inputs, S3Uri, manifest_source, write_manifest
from scripts.aws.processing import job_request as processing_request
from scripts.aws.processing import make_environment
from scripts.aws.transform import JobOptions, environments, make_model, model_request
from scripts.aws.transform import job_request as transform_request

INPUT, NAME = "input/", "folder/probe.mp4"
"""The video lies in a folder below the prefix of the inputs: that shows how names are made."""
_SHORT = {"transform": "transform", "processing": "process"}
"""Ends of the names of the jobs: longer ones would not fit behind a long name of a project."""
_EVERYONE = {"FACE_BLUR_BLUR": "everyone"}
_TRANSFORM_SECONDS = 600
"""Two seconds of video take seconds; a service that hangs must not cost an hour."""
_PROCESSING_SECONDS = 1800
"""The same with loading, and with the download and upload of the files."""


@dataclass(frozen=True, slots=True)
class Probe:
    """A first run: an account, and the folder in its bucket with everything that the run writes.

    Args:
        cloud: the account, with variables that bound the costs.
        name: beginning of the names of the jobs, and the name of the model.
        video: the video.
    """

    cloud: Cloud
    name: str
    video: Path

    @property
    def folder(self) -> S3Uri:
        """The prefix of all objects: the role of jobs may write below ``OUTPUT_PREFIX`` only."""
        return S3Uri(self.cloud.bucket, f"{self.cloud.variables.output_prefix}{self.name}/")

    def place(self, name: str) -> S3Uri:
        """Return a place below the folder."""
        return S3Uri(self.folder.bucket, self.folder.key + name)

    @property
    def inputs(self) -> Inputs:
        """The only input of the jobs."""
        return Inputs(self.place(INPUT), (self.place(INPUT + NAME).key,))

    def job(self, kind: str) -> Job:
        """Return the job of a kind."""
        return Job(KINDS[kind], f"{self.name}-{_SHORT[kind]}")

    def hide_names(self, text: str) -> str:
        """Replace the names of bucket, folder and account in a text."""
        text = text.replace(self.folder.key, "").replace(self.folder.bucket, "BUCKET")
        return re.sub(r"\b\d{12}\b", "ACCOUNT", text)


def bounded(cloud: Cloud) -> Cloud:
    """Return the account with variables that bound the costs of the run."""
    variables = cloud.variables
    bounds = {
        "instance_count": 1,
        "processing_instance_count": 1,
        "timeout_seconds": min(variables.timeout_seconds, _TRANSFORM_SECONDS),
        "max_runtime_seconds": min(variables.max_runtime_seconds, _PROCESSING_SECONDS),
    }
    return Cloud(variables.model_copy(update=bounds), dry_run=cloud.dry_run)


def prepare_transform(probe: Probe) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the requests that create the model and the transform job.

    Raises:
        FaceBlurError: the settings or a request are not possible.
    """
    cloud = probe.cloud
    options = JobOptions(_EVERYONE, "none")
    for_model, for_job = environments(cloud, options)
    # A name of its own, so that no other job uses a model that this run deletes.
    model = model_request(cloud, options, None, for_model) | {"ModelName": probe.name}
    request = transform_request(
        cloud.variables,
        probe.job("transform").name,
        probe.name,
        source=manifest_source(probe.place("manifest.json")),
        output=probe.place("transform/"),
        count=1,
        options=options,
        environment=for_job,
    )
    return model, request


def prepare_processing(probe: Probe) -> dict[str, Any]:
    """Return the request that creates the Processing job.

    Raises:
        FaceBlurError: the settings or the request are not possible.
    """
    request = processing_request(
        probe.cloud,
        probe.job("processing").name,
        source=manifest_source(probe.place("manifest.json")),
        output=probe.place("processing/"),
        count=1,
        people=None,
        environment=make_environment(probe.cloud, _EVERYONE, people=False),
    )
    arguments = [*request["AppSpecification"]["ContainerArguments"], "--doctor"]
    return request | {
        "AppSpecification": request["AppSpecification"] | {"ContainerArguments": arguments}
    }


def create_transform(probe: Probe, requests: tuple[dict[str, Any], dict[str, Any]]) -> None:
    """Create the model and the transform job."""
    model, request = requests
    write_manifest(probe.cloud, probe.inputs, probe.place("manifest.json"))
    make_model(probe.cloud, model)
    probe.cloud.change("sagemaker", "create_transform_job", **request)


def create_processing(probe: Probe, request: dict[str, Any]) -> None:
    """Create the Processing job."""
    write_manifest(probe.cloud, probe.inputs, probe.place("manifest.json"))
    probe.cloud.change("sagemaker", "create_processing_job", **request)
