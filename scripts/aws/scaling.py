"""The number of instances of an asynchronous endpoint: from zero to a maximum, and back.

Two policies are needed: the first follows the queue, but it divides by the number of instances, so
it cannot start the first one. The second one does, when an alarm says that requests wait for
nobody. Both are as AWS describes them:
https://docs.aws.amazon.com/sagemaker/latest/dg/async-inference-autoscale.html
"""

from collections.abc import Iterator
from typing import Any

from scripts.aws.cloud import Cloud, CloudError, UntaggedError, has_project_tag, project_tags
from scripts.aws.limits import check

VARIANT = "main"
"""Name of the only production variant."""
_REQUESTS_PER_INSTANCE = 1.0
"""Requests in the queue, those in work included, for each instance: an instance works on one at a
time, so a second one is a reason for another instance. Below it, so only at zero if there is one
instance, an instance is given back."""
_COOL_SECONDS = 300
"""Time between two changes: an instance takes minutes to start, and is no help before."""
_PERIOD = 60
"""Seconds of a data point: SageMaker publishes one each minute."""
_POINTS = 2
"""Data points until the alarm goes off, as in AWS's description."""
_DRY_POLICY = "POLICY"
"""Stands for the policy that a dry run did not make."""


def set_scaling(cloud: Cloud, endpoint: str, most: int) -> None:
    """Let an endpoint have zero to ``most`` instances; what exists is changed.

    Raises:
        CloudError: AWS refuses.
        LimitError: a request violates a limit of the API.
        UntaggedError: another alarm has the name of ours.
    """
    place = _place(endpoint)
    target = {
        **place,
        "MinCapacity": 0,
        "MaxCapacity": most,
        "Tags": {one["Key"]: one["Value"] for one in project_tags(cloud.variables.project)},
    }
    check("RegisterScalableTarget", target)
    check_alarm(cloud, endpoint)
    cloud.change("application-autoscaling", "register_scalable_target", **target)
    _put_policy(cloud, _follow_the_queue(endpoint))
    _put_alarm(cloud, endpoint, _put_policy(cloud, _first_instance(endpoint)))


def remove_scaling(cloud: Cloud, endpoint: str) -> None:
    """Delete policies, target and alarm of an endpoint; what does not exist is left out.

    Raises:
        CloudError: AWS refuses.
    """
    place = _place(endpoint)
    for policy in cloud.pages(
        "application-autoscaling", "describe_scaling_policies", "ScalingPolicies", **place
    ):
        cloud.change(
            "application-autoscaling",
            "delete_scaling_policy",
            PolicyName=policy["PolicyName"],
            **place,
        )
    if _targets(cloud, endpoint):
        cloud.change("application-autoscaling", "deregister_scalable_target", **place)
    if alarm_name(endpoint) in tagged_alarms(cloud, alarm_name(endpoint)):
        delete_alarm(cloud, alarm_name(endpoint))


def alarm_name(endpoint: str) -> str:
    """Return the name of the alarm that starts the first instance."""
    return f"{endpoint}-waiting"


def tagged_alarms(cloud: Cloud, prefix: str) -> Iterator[str]:
    """Yield the names of the project's alarms that begin with ``prefix``.

    Raises:
        CloudError: they cannot be listed.
    """
    found = cloud.pages("cloudwatch", "describe_alarms", "MetricAlarms", AlarmNamePrefix=prefix)
    for alarm in found:
        tags = cloud.read("cloudwatch", "list_tags_for_resource", ResourceARN=alarm["AlarmArn"])
        if has_project_tag(tags["Tags"], cloud.variables.project):
            yield alarm["AlarmName"]


def check_alarm(cloud: Cloud, endpoint: str) -> None:
    """Check that no other alarm has the name of an endpoint's one, and would be overwritten.

    Raises:
        CloudError: alarms cannot be listed.
        UntaggedError: another one has it.
    """
    if cloud.blind:
        return
    name = alarm_name(endpoint)
    found = cloud.read("cloudwatch", "describe_alarms", AlarmNames=[name])["MetricAlarms"]
    if found and name not in tagged_alarms(cloud, name):
        raise UntaggedError(f"the alarm {name} exists and is not ours; delete it")


def delete_alarm(cloud: Cloud, name: str) -> None:
    """Delete an alarm; it is no error if it is gone."""
    try:
        cloud.change("cloudwatch", "delete_alarms", AlarmNames=[name])
    except CloudError as error:
        if error.reason != "ResourceNotFound":
            raise


def _place(endpoint: str) -> dict[str, str]:
    return {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{endpoint}/variant/{VARIANT}",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }


def _metric(endpoint: str, name: str) -> dict[str, Any]:
    return {
        "MetricName": name,
        "Namespace": "AWS/SageMaker",
        "Dimensions": [{"Name": "EndpointName", "Value": endpoint}],
        "Statistic": "Average",
    }


def _follow_the_queue(endpoint: str) -> dict[str, Any]:
    return {
        **_place(endpoint),
        "PolicyName": f"{endpoint}-queue",
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": {
            "TargetValue": _REQUESTS_PER_INSTANCE,
            "CustomizedMetricSpecification": _metric(endpoint, "ApproximateBacklogSizePerInstance"),
            "ScaleInCooldown": _COOL_SECONDS,
            "ScaleOutCooldown": _COOL_SECONDS,
        },
    }


def _first_instance(endpoint: str) -> dict[str, Any]:
    return {
        **_place(endpoint),
        "PolicyName": alarm_name(endpoint),
        "PolicyType": "StepScaling",
        "StepScalingPolicyConfiguration": {
            "AdjustmentType": "ChangeInCapacity",
            "MetricAggregationType": "Average",
            "Cooldown": _COOL_SECONDS,
            "StepAdjustments": [{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 1}],
        },
    }


def _put_policy(cloud: Cloud, policy: dict[str, Any]) -> str:
    check("PutScalingPolicy", policy)
    made = cloud.change("application-autoscaling", "put_scaling_policy", **policy)
    return str(made.get("PolicyARN", _DRY_POLICY))


def _put_alarm(cloud: Cloud, endpoint: str, policy: str) -> None:
    alarm = {
        "AlarmName": alarm_name(endpoint),
        "AlarmDescription": "Requests wait, and there is no instance: starts one.",
        "AlarmActions": [policy],
        **_metric(endpoint, "HasBacklogWithoutCapacity"),
        "Period": _PERIOD,
        "EvaluationPeriods": _POINTS,
        "DatapointsToAlarm": _POINTS,
        "Threshold": 1.0,
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        # An endpoint that has never had a request publishes nothing.
        "TreatMissingData": "missing",
        "Tags": project_tags(cloud.variables.project),
    }
    check("PutMetricAlarm", alarm)
    cloud.change("cloudwatch", "put_metric_alarm", **alarm)


def _targets(cloud: Cloud, endpoint: str) -> list[Any]:
    place = _place(endpoint)
    ids = [place.pop("ResourceId")]
    found = cloud.pages(
        "application-autoscaling",
        "describe_scalable_targets",
        "ScalableTargets",
        ResourceIds=ids,
        **place,
    )
    return list(found)
