"""Requests of a Processing job: for films of any length, and results that keep their names."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from scripts.aws.cloud import Cloud
from scripts.aws.deployed import image_uri, volume_key, vpc
from scripts.aws.errors import CloudError
from scripts.aws.limits import check, has_gpu
from scripts.aws.objects import Inputs, Item, Place, listed, read_object
from scripts.aws.options import check_settings
from scripts.aws.tags import our_tags

ROOT = PurePosixPath("/opt/ml/processing")
"""Where the container finds its input, the photos of people, and where it puts the output."""
REPORTS = "reports/"
_ARGUMENTS = ["process"]


@dataclass(frozen=True, slots=True)
class Line:
    """What a report says of a file: its name, its result, and the hashes of both."""

    file: str
    status: str
    code: str
    message: str
    output: str
    source_sha256: str
    result_sha256: str
    plan: str

    @property
    def done(self) -> bool:
        """Whether there is a result."""
        return self.status == "done"


def environment_of(cloud: Cloud, settings: Mapping[str, str], *, people: bool) -> dict[str, str]:
    """Variables of the container.

    Raises:
        ConfigError: the container would not start with them.
    """
    out = {**cloud.variables.options, **settings}
    if has_gpu(cloud.variables.processing_instance_type):
        out = {"FACE_BLUR_DEVICE": "cuda"} | out
    check_settings(out, people=people)
    return out


def job_request(
    cloud: Cloud,
    name: str,
    *,
    source: Mapping[str, str],
    output: Place,
    count: int,
    people: Place | None,
    environment: Mapping[str, str],
) -> dict[str, Any]:
    """The request that begins a job.

    Args:
        cloud: the account.
        name: of the job.
        source: where the videos are, as ``objects.source_of`` gives it.
        output: where results, plans and reports go, each as soon as it is there.
        count: number of videos; more instances would have nothing to do.
        people: the prefix of the photos, if there are any.
        environment: variables of the container.

    Raises:
        LimitError: it is beyond a limit of the API.
    """
    variables = cloud.variables
    inputs = [_input("input", source, "ShardedByS3Key")]
    if people is not None:
        photos = {"S3DataType": "S3Prefix", "S3Uri": str(people)}
        inputs.append(_input("people", photos, "FullyReplicated"))
    request = {
        "ProcessingJobName": name,
        "RoleArn": cloud.role_arn,
        "AppSpecification": {"ImageUri": image_uri(cloud), "ContainerArguments": _ARGUMENTS},
        "ProcessingInputs": inputs,
        "ProcessingOutputConfig": _output(cloud, output),
        "ProcessingResources": {"ClusterConfig": _cluster(cloud, count)},
        "StoppingCondition": {"MaxRuntimeInSeconds": variables.max_runtime_seconds},
        "NetworkConfig": {"EnableNetworkIsolation": variables.network_isolation, **vpc(variables)},
        "Environment": dict(environment),
        "Tags": our_tags(variables.project),
    }
    check("CreateProcessingJob", request)
    return request


def _input(name: str, source: Mapping[str, str], distribution: str) -> dict[str, Any]:
    return {
        "InputName": name,
        "S3Input": {
            **source,
            "LocalPath": str(ROOT / name),
            "S3InputMode": "File",
            "S3DataDistributionType": distribution,
            "S3CompressionType": "None",
        },
    }


def _output(cloud: Cloud, place: Place) -> dict[str, Any]:
    key = cloud.variables.kms_key
    target = {"S3Uri": str(place), "LocalPath": str(ROOT / "output"), "S3UploadMode": "Continuous"}
    output = {"OutputName": "output", "S3Output": target}
    return {"Outputs": [output], **({"KmsKeyId": key} if key else {})}


def _cluster(cloud: Cloud, count: int) -> dict[str, Any]:
    variables = cloud.variables
    kind = variables.processing_instance_type
    return {
        "InstanceType": kind,
        "InstanceCount": min(variables.processing_instance_count, count),
        "VolumeSizeInGB": variables.volume_gb,
        **volume_key(variables, kind),
    }


def output_of(told: Mapping[str, Any]) -> Place:
    """Where the results of a job go, as the service tells it."""
    (output,) = told["ProcessingOutputConfig"]["Outputs"]
    return Place.of(output["S3Output"]["S3Uri"])


def source_told(told: Mapping[str, Any]) -> dict[str, str]:
    """Where the videos of a job are, as ``objects.source_of`` gives it."""
    (source,) = (one["S3Input"] for one in told["ProcessingInputs"] if one["InputName"] == "input")
    return {key: source[key] for key in ("S3DataType", "S3Uri")}


def resumed_environment(told: Mapping[str, Any]) -> dict[str, str]:
    """The variables of a job that has to be gone on with.

    Raises:
        CloudError: the service does not tell them; other settings would hide others.
    """
    if not isinstance(told.get("Environment"), dict):
        raise CloudError(f"the settings of {told['ProcessingJobName']} are not known any more")
    return dict(told["Environment"])


def read_reports(cloud: Cloud, output: Place, items: Iterable[Item]) -> dict[str, Line]:
    """What the reports of a job say, by the names of files; of several lines the last counts.

    Raises:
        CloudError: one of them cannot be read.
    """
    lines: dict[str, Line] = {}
    for item in items:
        name = item.key.removeprefix(output.key)
        if name.startswith(REPORTS) and name.endswith(".jsonl"):
            text = read_object(cloud, Place(output.bucket, item.key)).decode(errors="replace")
            lines |= {line.file: line for line in _lines(text)}
    return lines


def _lines(text: str) -> Iterator[Line]:
    for row in text.splitlines():
        try:
            found = json.loads(row)
        except ValueError:
            continue  # cut off: an upload goes on while the file grows
        if isinstance(found, dict) and found.get("file"):
            yield Line(**{key: str(found.get(key, "")) for key in Line.__slots__})


def finished(cloud: Cloud, output: Place) -> set[str]:
    """The names of the files that a job has finished, whose results are there.

    Raises:
        CloudError: the output cannot be read.
    """
    items = listed(cloud, output)
    there = {item.key.removeprefix(output.key) for item in items}
    lines = read_reports(cloud, output, items).values()
    return {line.file for line in lines if line.done and {line.output, line.plan} <= there}


def without(inputs: Inputs, names: Iterable[str]) -> Inputs:
    """The inputs but those of these names."""
    done = set(names)
    pairs = zip(inputs.keys, inputs.names, strict=True)
    return Inputs(inputs.prefix, tuple(key for key, name in pairs if name not in done))
