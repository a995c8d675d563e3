"""Endpoints for tests: what moto does not know about them, and endpoints that do not start."""

from collections.abc import Sequence
from typing import Any

import pytest
from moto.core.responses import ActionResult
from moto.sagemaker.models import FakeEndpoint, FakeEndpointConfig
from moto.sagemaker.responses import SageMakerResponse

from scripts.aws.cloud import Cloud
from tests.aws_jobs import backend

NAME = "face-blur-async"


def teach_moto(monkeypatch: pytest.MonkeyPatch) -> None:
    """Add updates of endpoints and recent instance types, which moto lacks."""
    monkeypatch.setattr(FakeEndpointConfig, "validate_instance_type", lambda *_: None)

    def update(self: SageMakerResponse) -> ActionResult:
        endpoint = backend().endpoints[self._get_param("EndpointName")]
        endpoint.endpoint_config_name = self._get_param("EndpointConfigName")
        return ActionResult({"EndpointArn": endpoint.arn})

    monkeypatch.setattr(SageMakerResponse, "update_endpoint", update, raising=False)


def let_pass(
    monkeypatch: pytest.MonkeyPatch, states: Sequence[str], reason: str | None = None
) -> list[str]:
    """Let endpoints pass through states, one for each look; return those that were seen."""
    seen: list[str] = []
    told = vars(FakeEndpoint)["response_object"].fget

    def describe(self: FakeEndpoint) -> Any:
        state = states[min(len(seen), len(states) - 1)]
        failure = reason if state == "Failed" else None
        vars(self).update(endpoint_status=state, failure_reason=failure)
        seen.append(state)
        return told(self)

    monkeypatch.setattr(FakeEndpoint, "response_object", property(describe))
    return seen


def endpoint(name: str = NAME) -> FakeEndpoint:
    found: FakeEndpoint = backend().endpoints[name]
    return found


def config(name: str = NAME) -> FakeEndpointConfig:
    found: FakeEndpointConfig = backend().endpoint_configs[endpoint(name).endpoint_config_name]
    return found


def leftovers(cloud: Cloud) -> list[str]:
    """Return all that a deployment creates."""
    scaling, alarms = cloud.client("application-autoscaling"), cloud.client("cloudwatch")
    found = scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    policies = scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    return [
        *backend().endpoints,
        *backend().endpoint_configs,
        *backend()._models,
        *(one["ResourceId"] for one in found),
        *(one["PolicyName"] for one in policies),
        *(one["AlarmName"] for one in alarms.describe_alarms()["MetricAlarms"]),
    ]
