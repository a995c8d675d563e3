"""Requests and reports of Processing jobs, for videos of any length."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from app.errors import UsageError
from scripts.aws.cloud import Cloud, CloudError, project_tags
from scripts.aws.command import check_settings
from scripts.aws.jobs import image_uri, volume_key, vpc
from scripts.aws.limits import check, has_gpu
from scripts.aws.objects import Inputs, S3Object, S3Uri, list_objects, read_object, results_by_key
from scripts.aws.people import People

ROOT = PurePosixPath("/opt/ml/processing")
"""Folder in the container with the input, the photos of people, and the output."""
REPORTS = "reports/"
_ARGUMENTS = ["process"]


@dataclass(frozen=True, slots=True)
class ReportLine:
    """One line of a report: a file, its result, and the hashes of both."""

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
    """Return the environment of the container.

    Raises:
        ConfigError: the container would not start with it.
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
    people: People | None,
    environment: Mapping[str, str],
) -> dict[str, Any]:
    """Return the request that creates a job.

    Args:
        cloud: the account.
        name: name of the job.
        source: the videos, as returned by ``objects.data_source``.
        output: where results, plans and reports go, each as soon as it is ready.
        count: number of videos; more instances than that would be idle.
        people: the photos, if there are any.
        environment: environment of the container.

    Raises:
        LimitError: the request violates a limit of the API.
    """
    variables = cloud.variables
    inputs = [input_request("input", source, "ShardedByS3Key")]
    if people is not None:
        photos = {"S3DataType": "S3Prefix", "S3Uri": str(people.place)}
        inputs.append(input_request("people", photos))
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
        "Tags": project_tags(variables.project) + (people.tags if people else []),
    }
    check("CreateProcessingJob", request)
    return request


def input_request(
    name: str, source: Mapping[str, str], distribution: str = "FullyReplicated"
) -> dict[str, Any]:
    """Return an input, which is mounted below ``ROOT`` by its name."""
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


def output_of_job(description: Mapping[str, Any]) -> S3Uri:
    """Return where the results of a job go, from its description.

    Raises:
        UsageError: it is not a job of these commands.
    """
    outputs = (description.get("ProcessingOutputConfig") or {}).get("Outputs") or ()
    places = [one["S3Output"]["S3Uri"] for one in outputs if one.get("S3Output")]
    if len(places) != 1:
        raise _foreign(description)
    return S3Uri.parse(places[0])


def source_of_job(description: Mapping[str, Any]) -> dict[str, str]:
    """Return the data source of a job, from its description.

    Raises:
        UsageError: it is not a job of these commands.
    """
    for one in description.get("ProcessingInputs") or ():
        if one["InputName"] == "input" and one.get("S3Input"):
            return {key: one["S3Input"][key] for key in ("S3DataType", "S3Uri")}
    raise _foreign(description)


def has_people(description: Mapping[str, Any]) -> bool:
    """Return whether a job gets photos, from its description."""
    return any(one["InputName"] == "people" for one in description.get("ProcessingInputs") or ())


def _foreign(description: Mapping[str, Any]) -> UsageError:
    return UsageError(
        f"{description['ProcessingJobName']}: does not have the inputs and outputs of a job of "
        "scripts/run_processing.py"
    )


def resumed_environment(description: Mapping[str, Any]) -> dict[str, str]:
    """Return the environment of a job, for a job that resumes it.

    Raises:
        CloudError: the description lacks it; other settings could hide other people.
    """
    if not isinstance(description.get("Environment"), dict):
        raise CloudError(f"the settings of {description['ProcessingJobName']} are no longer known")
    return dict(description["Environment"])


def read_reports(cloud: Cloud, output: S3Uri, items: Iterable[S3Object]) -> dict[str, ReportLine]:
    """Return the reports of a job by file name; the last line about a file counts.

    Raises:
        CloudError: a report cannot be read.
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
            line = json.loads(row)
        except ValueError:
            continue  # incomplete: reports are uploaded while they grow
        if isinstance(line, dict) and line.get("file"):
            yield ReportLine(**{key: str(line.get(key, "")) for key in ReportLine.__slots__})


def lines_by_key(inputs: Inputs, lines: Mapping[str, ReportLine]) -> dict[str, ReportLine]:
    """Return the lines of a report by the keys of the inputs.

    The files in a container are named after their keys, in full or without the prefix: SageMaker
    does not document which for a manifest.
    """
    return {key: lines[name] for key, name in results_by_key(inputs, list(lines)).items()}


def finished_keys(cloud: Cloud, inputs: Inputs, output: S3Uri) -> set[str]:
    """Return the keys of the inputs whose reported results exist.

    Raises:
        CloudError: the output cannot be read.
    """
    items = list_objects(cloud, output)
    existing = {item.key.removeprefix(output.key) for item in items}
    lines = lines_by_key(inputs, read_reports(cloud, output, items))
    return {
        key for key, line in lines.items() if line.done and {line.output, line.plan} <= existing
    }


def exclude(inputs: Inputs, keys: Iterable[str]) -> Inputs:
    """Return the inputs without those with the given keys."""
    done = set(keys)
    return Inputs(inputs.prefix, tuple(key for key in inputs.keys if key not in done))
