"""Asynchronous endpoints: finding, describing, awaiting and deleting them."""

import time
from typing import Any

from scripts.aws.cloud import Cloud, CloudError, JobFailed, UntaggedError, has_project_tag
from scripts.aws.scaling import remove_scaling
from scripts.aws.versions import ABSENT

CHANGING = frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"})
"""States in which an endpoint can be neither changed nor deleted."""
_MAX_SECONDS = 3600.0
"""Longest wait for an endpoint: more than AWS gives a container to start."""
_MAX_FAILED_POLLS = 5
"""Failed looks in a row before waiting ends: a short network failure must not end it."""
POLL_SECONDS = 15.0
"""Seconds between two looks: starting takes minutes."""


def find_endpoint(cloud: Cloud, name: str) -> dict[str, Any] | None:
    """Return the description of an endpoint of the project; None if there is none.

    Raises:
        CloudError: it cannot be described.
        UntaggedError: it does not have the tag of the project.
    """
    if cloud.blind:
        return None
    found = _describe(cloud, name)
    if found is None:
        return None
    if not has_project_tag(tags_of(cloud, found["EndpointArn"]), cloud.variables.project):
        raise UntaggedError(f"{name}: does not have the tag of {cloud.variables.project}")
    return found


def _describe(cloud: Cloud, name: str) -> dict[str, Any] | None:
    try:
        return cloud.read("sagemaker", "describe_endpoint", EndpointName=name)
    except CloudError as error:
        if error.reason != ABSENT:
            raise
        return None


def tags_of(cloud: Cloud, arn: str) -> list[dict[str, str]]:
    """Return the tags of an endpoint or a configuration.

    Raises:
        CloudError: they cannot be listed.
    """
    return list(cloud.pages("sagemaker", "list_tags", "Tags", ResourceArn=arn))


def parts_of(cloud: Cloud, description: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the configuration of an endpoint, and its container: image, environment, archive.

    Raises:
        CloudError: they cannot be described.
    """
    name = description["EndpointConfigName"]
    config = cloud.read("sagemaker", "describe_endpoint_config", EndpointConfigName=name)
    model = config["ProductionVariants"][0]["ModelName"]
    found = cloud.read("sagemaker", "describe_model", ModelName=model)
    return config, dict(found["PrimaryContainer"])


def settle(cloud: Cloud, name: str, poll: float) -> dict[str, Any] | None:
    """Wait until an endpoint is in none of the states ``CHANGING``, and return its description.

    It is None if there is no such endpoint.

    Raises:
        CloudError: it takes longer than an hour, or cannot be seen several times in a row.
    """
    began, shown, failed = time.monotonic(), "", 0
    while time.monotonic() - began < _MAX_SECONDS:
        try:
            found = _describe(cloud, name)
        except CloudError:
            failed += 1
            if failed == _MAX_FAILED_POLLS:
                raise
            time.sleep(poll)
            continue
        failed = 0
        state = "" if found is None else str(found["EndpointStatus"])
        if state not in CHANGING:
            return found
        if state != shown:
            cloud.say(f"{name}: {state}")
            shown = state
        time.sleep(poll)
    raise CloudError(f"{name}: is still {shown} after an hour")


def check_serves(description: dict[str, Any] | None, name: str, version: str) -> None:
    """Check that an endpoint is in service with a version.

    Raises:
        JobFailed: it is not; the message has the reason that AWS gives.
    """
    if description is None:
        raise JobFailed(f"{name}: has been deleted meanwhile")
    state = description["EndpointStatus"]
    if state != "InService" or description["EndpointConfigName"] != version:
        reason = description.get("FailureReason") or f"the endpoint is {state}"
        raise JobFailed(f"{name}: this version does not start: {reason}")


def delete_endpoint(cloud: Cloud, name: str, poll: float = POLL_SECONDS) -> None:
    """Delete an endpoint with its scaling, after a change that is under way; wait for its end.

    The endpoint comes first, because it costs.

    Raises:
        CloudError: AWS refuses.
    """
    if (_describe(cloud, name) if cloud.dry_run else settle(cloud, name, poll)) is not None:
        cloud.change("sagemaker", "delete_endpoint", EndpointName=name)
    if not cloud.dry_run:
        settle(cloud, name, poll)
    remove_scaling(cloud, name)
