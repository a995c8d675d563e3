"""Show and delete all AWS resources of Face blur, including videos and results.

    python -m scripts.teardown [--yes] [--dry-run]

It deletes every resource with the tag face-blur:project of this project: it stops executions of the
pipeline and running jobs, and deletes endpoints with their scaling, models, images, the stack, and
the bucket with its contents.
Ended jobs cannot be deleted, and SageMaker's log groups are shared within the account; both stay.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from app.errors import UsageError
from scripts.aws.cloud import Cloud, CloudError, UntaggedError, has_project_tag
from scripts.aws.command import main, make_parser
from scripts.aws.endpoints import delete_endpoint
from scripts.aws.scaling import delete_alarm, tagged_alarms
from scripts.infrastructure import find_stack, outputs_of

_BATCH = 1000
_IMAGES = 100
"""Images that one request may delete."""
_RUNNING = ("InProgress", "Stopping")
_UNTAGGED = frozenset({"NoSuchTagSet", "NoSuchBucket", "AccessDenied"})


@dataclass(frozen=True, slots=True)
class Resource:
    """A tagged resource; ``kind`` is a key of ``KINDS``."""

    kind: str
    name: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}" + (f" ({self.detail})" if self.detail else "")


def find_all(cloud: Cloud) -> list[Resource]:
    """Find all resources with the tag of the project, in the order of deletion.

    Raises:
        CloudError: a resource cannot be listed.
    """
    return list(chain(*(find(cloud) for find, _ in KINDS.values())))


def delete(cloud: Cloud, resources: Sequence[Resource]) -> None:
    """Delete resources in order; in a dry run print the requests.

    Raises:
        CloudError: AWS refuses; the remaining resources are kept.
    """
    for one in resources:
        cloud.say(f"deleting {one}")
        KINDS[one.kind][1](cloud, one.name)


def _our_stack(cloud: Cloud) -> dict[str, Any] | None:
    try:
        return find_stack(cloud)
    except UntaggedError:
        return None


def _find_executions(cloud: Cloud) -> Iterator[Resource]:
    machine = outputs_of(_our_stack(cloud) or {}).get("PipelineMachine")
    if machine is not None:
        request = {"stateMachineArn": machine, "statusFilter": "RUNNING"}
        for one in cloud.pages("stepfunctions", "list_executions", "executions", **request):
            yield Resource("execution", one["executionArn"])


def _stop_execution(cloud: Cloud, arn: str) -> None:
    cloud.change("stepfunctions", "stop_execution", executionArn=arn)


def _tagged(cloud: Cloud, arn: str) -> bool:
    tags = cloud.pages("sagemaker", "list_tags", "Tags", ResourceArn=arn)
    return has_project_tag(tags, cloud.variables.project)


def _jobs(cloud: Cloud, kind: str) -> Iterator[tuple[str, str]]:
    """Yield names and states of unfinished jobs; finished jobs cannot be deleted."""
    operation, key = f"list_{kind.lower()}_jobs", f"{kind}JobSummaries"
    for status in _RUNNING:
        for job in cloud.pages("sagemaker", operation, key, StatusEquals=status):
            # moto ignores the filter.
            if job[f"{kind}JobStatus"] == status and _tagged(cloud, job[f"{kind}JobArn"]):
                yield job[f"{kind}JobName"], status


def _find_transforms(cloud: Cloud) -> Iterator[Resource]:
    return (Resource("transform job", *job) for job in _jobs(cloud, "Transform"))


def _find_processings(cloud: Cloud) -> Iterator[Resource]:
    return (Resource("processing job", *job) for job in _jobs(cloud, "Processing"))


def _stop(cloud: Cloud, kind: str, name: str) -> None:
    request: dict[str, Any] = {f"{kind}JobName": name}
    state = f"{kind}JobStatus"
    description = cloud.read("sagemaker", f"describe_{kind.lower()}_job", **request)
    if description[state] == "InProgress":
        cloud.change("sagemaker", f"stop_{kind.lower()}_job", **request)
    # A running job would write objects into the emptied bucket.
    try:
        cloud.wait("sagemaker", f"{kind.lower()}_job_completed_or_stopped", **request)
    except CloudError:
        description = cloud.read("sagemaker", f"describe_{kind.lower()}_job", **request)
        if description[state] != "Failed":
            raise


def _stop_transform(cloud: Cloud, name: str) -> None:
    _stop(cloud, "Transform", name)


def _stop_processing(cloud: Cloud, name: str) -> None:
    _stop(cloud, "Processing", name)


def _find_endpoints(cloud: Cloud) -> Iterator[Resource]:
    for one in cloud.pages("sagemaker", "list_endpoints", "Endpoints"):
        if _tagged(cloud, one["EndpointArn"]):
            yield Resource("endpoint", one["EndpointName"], one["EndpointStatus"])


def _find_configs(cloud: Cloud) -> Iterator[Resource]:
    for one in cloud.pages("sagemaker", "list_endpoint_configs", "EndpointConfigs"):
        if _tagged(cloud, one["EndpointConfigArn"]):
            yield Resource("endpoint configuration", one["EndpointConfigName"])


def _delete_config(cloud: Cloud, name: str) -> None:
    cloud.change("sagemaker", "delete_endpoint_config", EndpointConfigName=name)


def _find_alarms(cloud: Cloud) -> Iterator[Resource]:
    return (Resource("alarm", name) for name in tagged_alarms(cloud, cloud.variables.project))


def _find_models(cloud: Cloud) -> Iterator[Resource]:
    for model in cloud.pages("sagemaker", "list_models", "Models"):
        if _tagged(cloud, model["ModelArn"]):
            yield Resource("model", model["ModelName"])


def _delete_model(cloud: Cloud, name: str) -> None:
    cloud.change("sagemaker", "delete_model", ModelName=name)


def _repositories(cloud: Cloud) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """Yield the names of our repositories, and their images."""
    for one in cloud.pages("ecr", "describe_repositories", "repositories"):
        arn, name = one["repositoryArn"], one["repositoryName"]
        tags = cloud.read("ecr", "list_tags_for_resource", resourceArn=arn).get("tags", ())
        if has_project_tag(tags, cloud.variables.project):
            yield name, list(cloud.pages("ecr", "list_images", "imageIds", repositoryName=name))


def _find_images(cloud: Cloud) -> Iterator[Resource]:
    for name, images in _repositories(cloud):
        if images:
            yield Resource("images", name, f"{len(images)} images")


def _delete_images(cloud: Cloud, name: str) -> None:
    ids = list(cloud.pages("ecr", "list_images", "imageIds", repositoryName=name))
    for begin in range(0, len(ids), _IMAGES):
        batch = ids[begin : begin + _IMAGES]
        cloud.change("ecr", "batch_delete_image", repositoryName=name, imageIds=batch)


def _find_repositories(cloud: Cloud) -> Iterator[Resource]:
    return (Resource("repository", name) for name, _ in _repositories(cloud))


def _delete_repository(cloud: Cloud, name: str) -> None:
    try:
        cloud.change("ecr", "delete_repository", repositoryName=name, force=True)
    except CloudError as error:
        # The repository of the stack is deleted with the stack.
        if error.reason != "RepositoryNotFoundException":
            raise


def _find_stacks(cloud: Cloud) -> Iterator[Resource]:
    stack = _our_stack(cloud)
    if stack is not None:
        yield Resource("stack", stack["StackName"], stack["StackStatus"])


def _delete_stack(cloud: Cloud, name: str) -> None:
    cloud.change("cloudformation", "delete_stack", StackName=name)
    cloud.wait("cloudformation", "stack_delete_complete", StackName=name)


def _find_buckets(cloud: Cloud) -> Iterator[Resource]:
    for bucket in cloud.read("s3", "list_buckets").get("Buckets", ()):
        name = bucket["Name"]
        try:
            tags = cloud.read("s3", "get_bucket_tagging", Bucket=name)["TagSet"]
        except CloudError as error:
            # A bucket without read permission is not ours; other errors could hide one that is.
            if error.reason in _UNTAGGED:
                continue
            raise
        if has_project_tag(tags, cloud.variables.project):
            sizes = [item.get("Size", 0) for item in _objects(cloud, name)]
            yield Resource("bucket", name, f"{len(sizes)} objects, {sum(sizes) / 1e6:.1f} MB")


def _objects(cloud: Cloud, bucket: str) -> Iterator[dict[str, Any]]:
    """Yield objects, and also versions and delete markers, in case versioning was switched on."""
    for key in ("Versions", "DeleteMarkers"):
        yield from cloud.pages("s3", "list_object_versions", key, Bucket=bucket)


def _delete_bucket(cloud: Cloud, name: str) -> None:
    if not _is_there(cloud, name):
        return
    for upload in cloud.pages("s3", "list_multipart_uploads", "Uploads", Bucket=name):
        request = {"Bucket": name, "Key": upload["Key"], "UploadId": upload["UploadId"]}
        cloud.change("s3", "abort_multipart_upload", **request)
    ids = [{"Key": item["Key"], "VersionId": item["VersionId"]} for item in _objects(cloud, name)]
    for begin in range(0, len(ids), _BATCH):
        batch = {"Objects": ids[begin : begin + _BATCH], "Quiet": True}
        failed = cloud.change("s3", "delete_objects", Bucket=name, Delete=batch).get("Errors", ())
        if failed:
            raise CloudError(f"{failed[0]['Key']}: cannot be deleted: {failed[0].get('Message')}")
    cloud.change("s3", "delete_bucket", Bucket=name)


def _is_there(cloud: Cloud, bucket: str) -> bool:
    """Return whether the bucket exists; an empty one may have been deleted with its stack."""
    try:
        cloud.read("s3", "get_bucket_tagging", Bucket=bucket)
    except CloudError as error:
        if error.reason == "NoSuchBucket":
            return False
        raise
    return True


KINDS: dict[str, tuple[Callable[[Cloud], Iterator[Resource]], Callable[[Cloud, str], None]]] = {
    "execution": (_find_executions, _stop_execution),
    "transform job": (_find_transforms, _stop_transform),
    "processing job": (_find_processings, _stop_processing),
    "endpoint": (_find_endpoints, delete_endpoint),
    "alarm": (_find_alarms, delete_alarm),
    "endpoint configuration": (_find_configs, _delete_config),
    "model": (_find_models, _delete_model),
    "images": (_find_images, _delete_images),
    "stack": (_find_stacks, _delete_stack),
    "repository": (_find_repositories, _delete_repository),
    "bucket": (_find_buckets, _delete_bucket),
}
"""How to find and delete each kind. Writers are deleted before the places they write to, executions
before the jobs that they would start again, and images before the stack, whose deletion fails at a
repository that is not empty."""


def parser() -> argparse.ArgumentParser:
    """Return the options of the command."""
    out = make_parser("Delete all resources with the project's tag, including videos and results.")
    out.add_argument("--yes", action="store_true", help="do not ask")
    return out


def run(cloud: Cloud, args: argparse.Namespace) -> None:
    """Show the resources, ask, and delete them."""
    project = cloud.variables.project
    resources = find_all(cloud)
    if not resources:
        cloud.say(f"no resource in {cloud.variables.region} has the tag of {project}")
        return
    for one in resources:
        cloud.say(str(one))
    if not (args.yes or cloud.dry_run):
        _confirm(project)
    delete(cloud, resources)
    cloud.say("log groups /aws/sagemaker/... are shared with other jobs of the account and stay")


def _confirm(project: str) -> None:
    print(f"Type {project} to delete all of it: ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip() != project:
        raise UsageError("nothing was deleted")


if __name__ == "__main__":
    sys.exit(main(parser(), run))
