"""Create or update the AWS resources of Face blur: bucket, image repository and role.

    python -m scripts.infrastructure [--keep-days 30] [--keep-rest-days 365] [--dry-run]
    python -m scripts.infrastructure --pipeline on --parameter Hide=listed

Running it again is safe. scripts/infrastructure.yaml lists the resources.
"""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from botocore.exceptions import WaiterError

from scripts.aws.cloud import (
    Cloud,
    CloudError,
    UntaggedError,
    has_project_tag,
    is_missing_stack,
    project_tags,
    translate_errors,
)
from scripts.aws.command import main, make_parser
from scripts.aws.jobs import KINDS, unique_name
from scripts.aws.pipeline import CHOICES, parse_choices, pipeline_parameters
from scripts.aws.variables import Variables

TEMPLATE = Path(__file__).resolve().parent / "infrastructure.yaml"
KEEP = {"KeepDays": 30, "KeepRestDays": 365}
"""Default days, if neither the command nor the stack has other ones."""
_IN_PROGRESS = "_IN_PROGRESS"
_NO_UPDATE = "No updates are to be performed"
_NO_CHANGES = (_NO_UPDATE, "didn't contain changes")
"""What CloudFormation says of a change set without changes."""
_LOGS = "/aws/sagemaker/"
LOG_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731)
"""Days that CloudWatch accepts for logs; longer times are left out."""


def create_or_update(
    cloud: Cloud,
    keep: Mapping[str, int | None],
    pipeline: str | None = None,
    choices: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, str]:
    """Create or update the stack; return its outputs (in a dry run: the present ones).

    Args:
        cloud: the account.
        keep: days for the parameters in ``KEEP``; None keeps the value of the stack, or takes that
            of ``KEEP`` for a new one.
        pipeline: ``on`` or ``off``; None leaves the pipeline as it is.
        choices: parameters of the pipeline.

    Raises:
        CloudError: AWS refuses, or the stack could not be created; the message has the reasons.
        UntaggedError: a stack of this name exists, without the tag of the project.
    """
    stack = find_stack(cloud)
    has = _parameters_of(stack or {})
    values = _parameters(cloud, keep, has) | pipeline_parameters(cloud, pipeline, choices, has)
    request = {
        "StackName": cloud.variables.project,
        "TemplateBody": template_body(),
        "Parameters": [
            {"ParameterKey": name, "ParameterValue": value} for name, value in values.items()
        ],
        "Capabilities": ["CAPABILITY_IAM"],
        "Tags": project_tags(cloud.variables.project),
    }
    if stack is None:
        _create(cloud, request)
    else:
        _update(cloud, request)
    found = stack if cloud.dry_run else find_stack(cloud)
    return outputs_of(found or {})


def template_body() -> str:
    """Return the template without its comments: CloudFormation takes 51,200 bytes in a request."""
    lines = TEMPLATE.read_text(encoding="utf-8").splitlines()
    return "\n".join([line for line in lines if line.strip()[:1] not in {"", "#"}] + [""])


def find_stack(cloud: Cloud) -> dict[str, Any] | None:
    """Return the stack of the project, or None if it does not exist.

    Raises:
        UntaggedError: the stack does not have the tag of the project.
    """
    name = cloud.variables.project
    if cloud.blind:
        return None
    try:
        (stack,) = cloud.read("cloudformation", "describe_stacks", StackName=name)["Stacks"]
    except CloudError as error:
        if is_missing_stack(error):
            return None
        raise
    if not has_project_tag(stack.get("Tags", ()), name):
        raise UntaggedError(
            f"the stack {name} does not have the tag of this project; choose another PROJECT"
        )
    return dict(stack)


def outputs_of(stack: Mapping[str, Any]) -> dict[str, str]:
    """Return the outputs of a stack: ``Bucket``, ``Repository``, ``RepositoryUri``, ``RoleArn``."""
    return {item["OutputKey"]: item["OutputValue"] for item in stack.get("Outputs", ())}


def _parameters_of(stack: Mapping[str, Any]) -> dict[str, str]:
    return {item["ParameterKey"]: item["ParameterValue"] for item in stack.get("Parameters", ())}


def _parameters(
    cloud: Cloud, keep: Mapping[str, int | None], has: Mapping[str, str]
) -> dict[str, str]:
    variables = cloud.variables
    values = {
        "Project": variables.project,
        "InputPrefix": variables.input_prefix,
        "OutputPrefix": variables.output_prefix,
        "KmsKeyArn": _key_arn(cloud, variables),
        "UseNetwork": "true" if variables.subnets else "false",
        "BoundaryArn": variables.boundary_arn,
        "AlarmEmail": variables.alarm_email,
    }
    return values | {name: str(keep[name] or has.get(name, KEEP[name])) for name in KEEP}


def _key_arn(cloud: Cloud, variables: Variables) -> str:
    """Return the ARN of the key: a policy does not accept an alias."""
    if not variables.kms_key or ":key/" in variables.kms_key or cloud.blind:
        return variables.kms_key
    answer = cloud.read("kms", "describe_key", KeyId=variables.kms_key)
    return str(answer["KeyMetadata"]["Arn"])


def _create(cloud: Cloud, request: Mapping[str, Any]) -> None:
    # A partly created stack could only be deleted by hand.
    created = cloud.change("cloudformation", "create_stack", OnFailure="DELETE", **request)
    _wait(cloud, "stack_create_complete", str(created.get("StackId", request["StackName"])))


def _update(cloud: Cloud, request: Mapping[str, Any]) -> None:
    name = str(request["StackName"])
    stack = find_stack(cloud) or {}
    status = str(stack.get("StackStatus", ""))
    if status.endswith(_IN_PROGRESS):
        raise CloudError(f"the stack {name} is being changed ({status}); try again later")
    if cloud.dry_run:
        _show_changes(cloud, request)
        return
    try:
        cloud.change("cloudformation", "update_stack", **request)
    except CloudError as error:
        if _NO_UPDATE not in str(error):
            raise
        cloud.say(f"the stack {name} is up to date")
        return
    _wait(cloud, "stack_update_complete", str(stack.get("StackId", name)))


def _show_changes(cloud: Cloud, request: Mapping[str, Any]) -> None:
    """Print what an update would change, as a change set lists it; the set is deleted."""
    client = cloud.client("cloudformation")
    name, stack = unique_name(str(request["StackName"])), str(request["StackName"])
    place = {"StackName": stack, "ChangeSetName": name}
    with translate_errors("cloudformation change set"):
        client.create_change_set(ChangeSetType="UPDATE", ChangeSetName=name, **request)
        try:
            found = _compare(client, place)
        finally:
            client.delete_change_set(**place)
    shown = {"StackName": stack, "Parameters": request["Parameters"], "Changes": found}
    cloud.show("cloudformation", "update_stack", shown)


def _compare(client: Any, place: Mapping[str, str]) -> list[dict[str, str]]:
    """Return the changes of a change set; none if CloudFormation finds nothing to change."""
    try:
        client.get_waiter("change_set_create_complete").wait(**place)
    except WaiterError:
        told = client.describe_change_set(**place)
        if not any(text in told.get("StatusReason", "") for text in _NO_CHANGES):
            raise
    pages = client.get_paginator("describe_change_set").paginate(**place)
    changes = [one["ResourceChange"] for page in pages for one in page.get("Changes", ())]
    return [
        {"action": one["Action"], "resource": one["LogicalResourceId"], "type": one["ResourceType"]}
        | ({"replacement": one["Replacement"]} if "Replacement" in one else {})
        for one in changes
    ]


def expire_logs(cloud: Cloud, days: int | None) -> None:
    """Let the logs of jobs expire after some days; None changes nothing, and says if they never do.

    The groups belong to all jobs of the account, so they are changed only on request.

    Raises:
        CloudError: a group cannot be read or changed.
    """
    if cloud.blind:
        return
    found = {
        one["logGroupName"]: one.get("retentionInDays")
        for one in cloud.pages("logs", "describe_log_groups", "logGroups", logGroupNamePrefix=_LOGS)
    }
    groups = [kind.log_group for kind in KINDS.values()]
    if days is None:
        if any(name in found and found[name] is None for name in groups):
            cloud.say("logs never expire in this account; --keep-log-days changes that")
        return
    for name in groups:
        if name not in found:
            cloud.change("logs", "create_log_group", logGroupName=name)
        cloud.change("logs", "put_retention_policy", logGroupName=name, retentionInDays=days)


def _wait(cloud: Cloud, waiter: str, stack: str) -> None:
    if not cloud.dry_run:
        cloud.say("waiting for CloudFormation; this takes a minute or two")
    try:
        cloud.wait("cloudformation", waiter, StackName=stack)
    except CloudError as error:
        reasons = _reasons(cloud, stack)
        if not reasons:
            raise
        raise CloudError(f"the stack could not be created: {'; '.join(reasons)}") from error


def _reasons(cloud: Cloud, stack: str) -> list[str]:
    """Return the reasons of the first failures; later events were only cancelled."""
    events = cloud.pages("cloudformation", "describe_stack_events", "StackEvents", StackName=stack)
    failed = [event for event in events if event["ResourceStatus"].endswith("_FAILED")]
    reasons = [
        f"{event['LogicalResourceId']}: {event['ResourceStatusReason']}"
        for event in reversed(failed)
        if event.get("ResourceStatusReason")
    ]
    return [text for text in reasons if "cancelled" not in text] or reasons


def parser() -> argparse.ArgumentParser:
    """Return the options of the command."""
    out = make_parser("Create or update the bucket, the image repository and the role.")
    out.add_argument(
        "--keep-days",
        type=_days,
        metavar="DAYS",
        help="delete videos and results after this many days "
        f"(default: unchanged, at first {KEEP['KeepDays']})",
    )
    out.add_argument(
        "--keep-rest-days",
        type=_days,
        metavar="DAYS",
        help="delete everything else, such as photos, after this many days "
        f"(default: unchanged, at first {KEEP['KeepRestDays']})",
    )
    out.add_argument(
        "--keep-log-days",
        type=int,
        choices=LOG_DAYS,
        metavar="DAYS",
        help="delete logs of all SageMaker jobs of the account after this many days, as CloudWatch "
        f"allows: {', '.join(map(str, LOG_DAYS))} (default: unchanged)",
    )
    out.add_argument(
        "--pipeline",
        choices=("on", "off"),
        help="process videos as soon as they are uploaded (default: unchanged, at first off)",
    )
    out.add_argument(
        "--parameter",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help=f"parameter of the pipeline (default: unchanged): {', '.join(CHOICES)}",
    )
    return out


def _days(text: str) -> int:
    days = int(text)
    if not 1 <= days <= 36500:
        raise ValueError
    return days


def run(cloud: Cloud, args: argparse.Namespace) -> None:
    """Create or update the stack, and print its outputs."""
    keep = {"KeepDays": args.keep_days, "KeepRestDays": args.keep_rest_days}
    outputs = create_or_update(cloud, keep, args.pipeline, parse_choices(args.parameter))
    expire_logs(cloud, args.keep_log_days)
    if not cloud.dry_run:
        print("\n".join(f"{name}: {value}" for name, value in outputs.items()))


if __name__ == "__main__":
    sys.exit(main(parser(), run))
