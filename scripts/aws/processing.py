"""Requests of a Processing job: for films of any length, and results that keep their names."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from scripts.aws.cloud import Cloud, CloudError, project_tags
from scripts.aws.command import check_settings
from scripts.aws.images import image_uri
from scripts.aws.jobs import volume_key, vpc
from scripts.aws.limits import check, has_gpu
from scripts.aws.objects import Inputs, S3Object, S3Uri, list_objects, read_object

ROOT = PurePosixPath("/opt/ml/processing")
"""Where the container finds its input, the photos of people, and where it puts the output."""
REPORTS = "reports/"
_ARGUMENTS = ["process"]


@dataclass(frozen=True, slots=True)
class ReportLine:
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


def make_environment(cloud: Cloud, settings: Mapping[str, str], *, people: bool) -> dict[str, str]:
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
    output: S3Uri,
    count: int,
    people: S3Uri | None,
    environment: Mapping[str, str],
) -> dict[str, Any]:
    """The request that begins a job.

    Args:
        cloud: the account.
        name: of the job.
        source: where the videos are, as ``objects.data_source`` gives it.
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
        "Tags": project_tags(variables.project),
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


def _output(cloud: Cloud, place: S3Uri) -> dict[str, Any]:
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


def output_of_job(told: Mapping[str, Any]) -> S3Uri:
    """Where the results of a job go, as the service tells it."""
    (output,) = told["ProcessingOutputConfig"]["Outputs"]
    return S3Uri.parse(output["S3Output"]["S3Uri"])


def source_of_job(told: Mapping[str, Any]) -> dict[str, str]:
    """Where the videos of a job are, as ``objects.data_source`` gives it."""
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


def read_reports(cloud: Cloud, output: S3Uri, items: Iterable[S3Object]) -> dict[str, ReportLine]:
    """What the reports of a job say, by the names of files; of several lines the last counts.

    Raises:
        CloudError: one of them cannot be read.
    """
    lines: dict[str, ReportLine] = {}
    for item in items:
        name = item.key.removeprefix(output.key)
        if name.startswith(REPORTS) and name.endswith(".jsonl"):
            text = read_object(cloud, S3Uri(output.bucket, item.key)).decode(errors="replace")
            lines |= {line.file: line for line in _lines(text)}
    return lines


def _lines(text: str) -> Iterator[ReportLine]:
    for row in text.splitlines():
        try:
            found = json.loads(row)
        except ValueError:
            continue  # cut off: an upload goes on while the file grows
        if isinstance(found, dict) and found.get("file"):
            yield ReportLine(**{key: str(found.get(key, "")) for key in ReportLine.__slots__})


def finished_names(cloud: Cloud, output: S3Uri) -> set[str]:
    """The names of the files that a job has finished_names, whose results are there.

    Raises:
        CloudError: the output cannot be read.
    """
    items = list_objects(cloud, output)
    there = {item.key.removeprefix(output.key) for item in items}
    lines = read_reports(cloud, output, items).values()
    return {line.file for line in lines if line.done and {line.output, line.plan} <= there}


def exclude(inputs: Inputs, names: Iterable[str]) -> Inputs:
    """The inputs but those of these names."""
    done = set(names)
    pairs = zip(inputs.keys, inputs.names, strict=True)
    return Inputs(inputs.prefix, tuple(key for key, name in pairs if name not in done))
