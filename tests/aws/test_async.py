"""Deploying an asynchronous endpoint: its requests, its changes, and what is left of it."""

import re
from pathlib import Path
from typing import Any

import pytest
from moto.applicationautoscaling.responses import ApplicationAutoScalingResponse
from moto.core.exceptions import JsonRESTError
from moto.core.responses import ActionResult
from moto.sagemaker.responses import SageMakerResponse

from scripts import deploy_async
from scripts.aws.cloud import Cloud, CloudError
from tests.aws_endpoints import NAME, config, endpoint, leftovers, let_pass, teach_moto
from tests.aws_jobs import (
    ACCOUNT,
    BUCKET,
    IMAGE,
    REGION,
    ROLE,
    WHERE,
    Commands,
    backend,
    body,
    fill,
    keys,
    people_archive,
    requests,
)

CPU = (*WHERE, "--compute", "cpu", "--poll", "0")
TAGS = [{"Key": "face-blur:project", "Value": "face-blur"}]
PLACE = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": f"endpoint/{NAME}/variant/main",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}
EVERYONE = ("--blur", "everyone")


@pytest.fixture
def run(
    cloud: Cloud,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Commands:
    teach_moto(monkeypatch)
    fill(cloud, {"input/a.mp4": b"a"})
    return Commands(capsys, tmp_path / "variables.py")


def metric(name: str) -> dict[str, Any]:
    return {
        "MetricName": name,
        "Namespace": "AWS/SageMaker",
        "Dimensions": [{"Name": "EndpointName", "Value": NAME}],
        "Statistic": "Average",
    }


def test_a_dry_run_prints_the_exact_requests(cloud: Cloud, run: Commands) -> None:
    ran = run(deploy_async, *CPU, "--dry-run", "--async-max-instances", "3", "--effect", "solid")
    assert ran.code == 0, ran.err
    made = dict(requests(ran.out))
    assert [name for name, _ in requests(ran.out)] == [
        "sagemaker create_model",
        "sagemaker create_endpoint_config",
        "sagemaker create_endpoint",
        "application-autoscaling register_scalable_target",
        "application-autoscaling put_scaling_policy",
        "application-autoscaling put_scaling_policy",
        "cloudwatch put_metric_alarm",
    ]
    version = made["sagemaker create_model"].pop("ModelName")
    assert re.fullmatch(r"face-blur-async-[0-9a-f]{16}", version)
    assert made["sagemaker create_model"] == {
        "PrimaryContainer": {
            "Image": IMAGE,
            "Environment": {"FACE_BLUR_WORKERS": "1", "FACE_BLUR_EFFECT": "solid"},
        },
        "ExecutionRoleArn": ROLE,
        "EnableNetworkIsolation": True,
        "Tags": TAGS,
    }
    assert made["sagemaker create_endpoint_config"] == {
        "EndpointConfigName": version,
        "ProductionVariants": [
            {
                "VariantName": "main",
                "ModelName": version,
                "InstanceType": "ml.c6i.2xlarge",
                "InitialInstanceCount": 1,
            }
        ],
        "AsyncInferenceConfig": {
            "ClientConfig": {"MaxConcurrentInvocationsPerInstance": 1},
            "OutputConfig": {
                "S3OutputPath": f"s3://{BUCKET}/output/{NAME}/results/",
                "S3FailurePath": f"s3://{BUCKET}/output/{NAME}/failures/",
            },
        },
        "Tags": TAGS,
    }
    assert made["sagemaker create_endpoint"] == {
        "EndpointName": NAME,
        "EndpointConfigName": version,
        "Tags": TAGS,
    }
    assert made["application-autoscaling register_scalable_target"] == {
        **PLACE,
        "MinCapacity": 0,
        "MaxCapacity": 3,
        "Tags": {"face-blur:project": "face-blur"},
    }
    assert leftovers(cloud) == []


def test_it_scales_to_zero_and_from_zero(cloud: Cloud, run: Commands) -> None:
    assert run(deploy_async, *CPU).code == 0
    scaling = cloud.client("application-autoscaling")
    (target,) = scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    assert {key: target[key] for key in PLACE} == PLACE
    assert (target["MinCapacity"], target["MaxCapacity"]) == (0, 1)
    queue, first = scaling.describe_scaling_policies(ServiceNamespace="sagemaker")[
        "ScalingPolicies"
    ]
    assert queue["TargetTrackingScalingPolicyConfiguration"] == {
        "TargetValue": 1.0,
        "CustomizedMetricSpecification": metric("ApproximateBacklogSizePerInstance"),
        "ScaleInCooldown": 300,
        "ScaleOutCooldown": 300,
    }
    assert first["StepScalingPolicyConfiguration"] == {
        "AdjustmentType": "ChangeInCapacity",
        "MetricAggregationType": "Average",
        "Cooldown": 300,
        "StepAdjustments": [{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 1}],
    }
    (alarm,) = cloud.client("cloudwatch").describe_alarms()["MetricAlarms"]
    assert alarm["AlarmActions"] == [first["PolicyARN"]]
    wanted = metric("HasBacklogWithoutCapacity") | {"Threshold": 1.0, "Period": 60}
    wanted |= {"EvaluationPeriods": 2, "DatapointsToAlarm": 2}
    wanted |= {"ComparisonOperator": "GreaterThanOrEqualToThreshold"}
    assert {key: alarm[key] for key in wanted} == wanted


def test_a_gpu_keys_topics_and_people(cloud: Cloud, run: Commands) -> None:
    fill(cloud, {"people.tar.gz": people_archive("alice/1.jpg", "bob.jpg")})
    topics = [cloud.client("sns").create_topic(Name=name)["TopicArn"] for name in ("good", "bad")]
    given = ["--kms-key", "alias/videos", "--success-topic", topics[0], "--error-topic", topics[1]]
    ran = run(deploy_async, *WHERE, "--poll", "0", *given, "--blur", "listed")
    assert ran.code == 0, ran.err
    assert f"hides alice, bob (2 photos in s3://{BUCKET}/people.tar.gz)" in ran.err
    (variant,) = config().production_variants
    assert variant["InstanceType"] == "ml.g4dn.xlarge"
    assert variant["InferenceAmiVersion"] == "al2023-ami-sagemaker-inference-gpu-4-1"
    # This type has a disk of its own, for which a key is refused.
    assert config().kms_key_id is None
    output = config().async_inference_config["OutputConfig"]
    assert output["KmsKeyId"] == "alias/videos"
    assert output["NotificationConfig"] == {"SuccessTopic": topics[0], "ErrorTopic": topics[1]}
    version = endpoint().endpoint_config_name
    container = backend()._models[version].primary_container
    assert container["Environment"] == {
        "FACE_BLUR_WORKERS": "1",
        "FACE_BLUR_DEVICE": "cuda",
        "FACE_BLUR_BLUR": "listed",
    }
    # A copy, so that a later upload does not change whom a new instance hides.
    assert container["ModelDataUrl"] == f"s3://{BUCKET}/people.{version}.tar.gz"
    assert body(cloud, f"people.{version}.tar.gz") == body(cloud, "people.tar.gz")
    assert {tag["Key"] for tag in config().tags} == {"face-blur:project", "face-blur:people"}


def test_a_disk_without_a_key_of_its_own_gets_one(run: Commands) -> None:
    assert run(deploy_async, *CPU, "--kms-key", "alias/videos").code == 0
    assert config().kms_key_id == "alias/videos"


def test_the_bill_and_whom_it_hides_are_said_first(run: Commands) -> None:
    ran = run(
        deploy_async,
        *CPU,
        "--dry-run",
        "--async-max-instances",
        "2",
        "--prices",
        "ml.c6i.2xlarge=2",
    )
    first, second = ran.err.splitlines()[-2:]
    assert first == "hides everyone"
    assert second.startswith(
        "worst case: 48.0 hours of ml.c6i.2xlarge (each day on which requests never end, on 2 "
        "instances), and minutes to start: 96.00 at 2.0 an hour"
    )
    assert "without requests the last one ends" in second


def test_photos_without_a_choice_are_refused(cloud: Cloud, run: Commands) -> None:
    fill(cloud, {"people.tar.gz": people_archive("alice.jpg")})
    ran = run(deploy_async, *CPU)
    assert ran.code == 2
    assert "there are photos of alice" in ran.err
    assert leftovers(cloud) == []
    ran = run(deploy_async, *CPU, *EVERYONE)
    assert ran.code == 0, ran.err
    assert "hides everyone" in ran.err
    assert "people." not in "".join(keys(cloud, "people."))[len("people.tar.gz") :]


def test_photos_that_are_wanted_must_exist(cloud: Cloud, run: Commands) -> None:
    ran = run(deploy_async, *CPU, "--people", "model", "--blur", "listed")
    assert ran.code == 2
    assert "there is no archive of photos" in ran.err
    assert leftovers(cloud) == []


def test_a_wrong_request_creates_nothing(cloud: Cloud, run: Commands) -> None:
    for wrong, message in [
        (["--name", f"face-blur-{'x' * 60}"], "ModelName has 87 characters"),
        (["--name", "other"], "must begin with face-blur-"),
        (["--set", "nothing=1"], "nothing"),
        (["--instance-type", "ml.x9.large"], "'ml.x9.large' is not an allowed value"),
        (
            ["--error-topic", f"arn:aws:sns:{REGION}:{ACCOUNT}:none"],
            f"arn:aws:sns:{REGION}:{ACCOUNT}:none: there is no such topic",
        ),
    ]:
        ran = run(deploy_async, *CPU, *wrong)
        assert (ran.code, message in ran.err) == (2, True), ran.err
    assert leftovers(cloud) == []


def test_an_endpoint_that_does_not_start_leaves_nothing(
    cloud: Cloud, run: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(cloud, {"people.tar.gz": people_archive("alice.jpg")})
    before = keys(cloud)
    seen = let_pass(monkeypatch, ["Creating", "Creating", "Failed"], "no ping")
    ran = run(deploy_async, *CPU, "--blur", "listed")
    assert ran.code == 1
    assert "this version does not start: no ping" in ran.err
    assert seen[:3] == ["Creating", "Creating", "Failed"]
    assert leftovers(cloud) == []
    assert keys(cloud) == before


def test_an_endpoint_that_cannot_scale_leaves_nothing(
    cloud: Cloud, run: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: ApplicationAutoScalingResponse) -> str:
        raise JsonRESTError("AccessDeniedException", "not you")

    monkeypatch.setattr(ApplicationAutoScalingResponse, "put_scaling_policy", refuse)
    ran = run(deploy_async, *CPU)
    assert (ran.code, "AccessDeniedException: not you" in ran.err) == (1, True)
    assert leftovers(cloud) == []


def test_interrupting_a_creation_leaves_nothing(
    cloud: Cloud, run: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[float] = []

    def interrupt(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 1:
            raise KeyboardInterrupt

    let_pass(monkeypatch, ["Creating", "Creating", "Creating", "InService"])
    monkeypatch.setattr("scripts.aws.endpoints.time.sleep", interrupt)
    ran = run(deploy_async, *CPU)
    assert ran.code == 130
    assert f"{NAME} was not created" in ran.err
    assert leftovers(cloud) == []
    # It could not be deleted before it was in service.
    assert len(looks) > 1


def test_a_second_interrupt_leaves_at_once(run: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    let_pass(monkeypatch, ["Creating"])
    monkeypatch.setattr("scripts.aws.endpoints.time.sleep", interrupt)
    ran = run(deploy_async, *CPU)
    assert ran.code == 130
    assert f"left {NAME}: delete it with --delete" in ran.err
    assert NAME in backend().endpoints


def test_a_short_failure_of_the_network_does_not_end_a_creation(
    cloud: Cloud, run: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = Cloud.read
    failed: list[str] = []

    def flaky(self: Cloud, service: str, operation: str, **request: Any) -> dict[str, Any]:
        if operation == "describe_endpoint" and NAME in backend().endpoints and len(failed) < 4:
            failed.append(operation)
            raise CloudError("cannot be reached", "ConnectTimeout")
        return read(self, service, operation, **request)

    monkeypatch.setattr(Cloud, "read", flaky)
    ran = run(deploy_async, *CPU)
    assert (ran.code, len(failed)) == (0, 4), ran.err


def test_interrupting_an_update_that_has_begun_leaves_it(
    run: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(deploy_async, *CPU).code == 0

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        let_pass(patch, ["InService", "InService", "Updating"])
        patch.setattr("scripts.aws.endpoints.time.sleep", interrupt)
        ran = run(deploy_async, *CPU, "--effect", "solid")
    assert (ran.code, "an update cannot be stopped" in ran.err) == (130, True)
    # The next run finishes it.
    let_pass(monkeypatch, ["Updating", "InService"])
    ran = run(deploy_async, *CPU, "--effect", "solid")
    assert (ran.code, "has this version already" in ran.err) == (0, True), ran.err
    assert len(backend().endpoint_configs) == len(backend()._models) == 1


def test_interrupting_before_an_update_changes_nothing(
    cloud: Cloud, run: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(deploy_async, *CPU).code == 0
    before = sorted(leftovers(cloud))
    change = Cloud.change

    def interrupt(self: Cloud, service: str, operation: str, **request: Any) -> dict[str, Any]:
        answer = change(self, service, operation, **request)
        if operation == "create_endpoint_config":
            raise KeyboardInterrupt
        return answer

    monkeypatch.setattr(Cloud, "change", interrupt)
    ran = run(deploy_async, *CPU, "--effect", "solid")
    assert (ran.code, f"{NAME} was not changed" in ran.err) == (130, True)
    assert sorted(leftovers(cloud)) == before


def test_the_same_again_changes_nothing(cloud: Cloud, run: Commands) -> None:
    assert run(deploy_async, *CPU, *EVERYONE).code == 0
    before = sorted(leftovers(cloud))
    ran = run(deploy_async, *CPU, *EVERYONE, "--async-max-instances", "2")
    assert ran.code == 0, ran.err
    assert f"{NAME} has this version already" in ran.err
    assert sorted(leftovers(cloud)) == before
    scaling = cloud.client("application-autoscaling")
    (target,) = scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    assert target["MaxCapacity"] == 2


def test_an_update_switches_and_deletes_the_old_version(cloud: Cloud, run: Commands) -> None:
    fill(cloud, {"people.tar.gz": people_archive("alice.jpg")})
    assert run(deploy_async, *CPU, "--blur", "listed").code == 0
    first = endpoint().endpoint_config_name
    other = people_archive("alice.jpg", "bob.jpg")
    fill(cloud, {"people.tar.gz": other})
    ran = run(deploy_async, *CPU, "--blur", "listed", "--instance-type", "ml.c7i.2xlarge")
    assert ran.code == 0, ran.err
    second = endpoint().endpoint_config_name
    assert second != first
    assert list(backend().endpoint_configs) == list(backend()._models) == [second]
    assert keys(cloud, "people.") == [f"people.{second}.tar.gz", "people.tar.gz"]
    assert body(cloud, f"people.{second}.tar.gz") == other
    assert f"endpoint/{NAME}/variant/main" in leftovers(cloud)


def test_versions_of_other_endpoints_and_untagged_ones_stay(cloud: Cloud, run: Commands) -> None:
    sagemaker = cloud.client("sagemaker")
    untagged = f"{NAME}-0123456789abcdef"
    sagemaker.create_model(ModelName=untagged, ExecutionRoleArn=ROLE)
    assert run(deploy_async, *CPU, "--name", f"{NAME}-two").code == 0
    assert run(deploy_async, *CPU).code == 0
    assert run(deploy_async, *CPU, "--effect", "solid").code == 0
    assert len(backend().endpoint_configs) == 2
    assert run(deploy_async, *CPU, "--delete").code == 0
    assert set(backend().endpoints) == {f"{NAME}-two"}
    assert untagged in backend()._models
    assert len(backend()._models) == 2


def test_a_failed_update_keeps_the_old_version(
    cloud: Cloud, run: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(deploy_async, *CPU).code == 0
    before = sorted(leftovers(cloud))
    # As AWS does it: the old version stays in service if the new one does not start.
    monkeypatch.setattr(
        SageMakerResponse,
        "update_endpoint",
        lambda _: ActionResult({"EndpointArn": endpoint().arn}),
    )
    ran = run(deploy_async, *CPU, "--effect", "solid", "--instance-type", "ml.c7i.xlarge")
    assert ran.code == 1
    assert "this version does not start" in ran.err
    assert sorted(leftovers(cloud)) == before


def test_a_change_that_is_under_way_is_awaited(
    run: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(deploy_async, *CPU).code == 0
    let_pass(monkeypatch, ["Updating", "Updating", "InService"])
    ran = run(deploy_async, *CPU, "--effect", "solid")
    assert ran.code == 0, ran.err
    assert f"{NAME}: Updating" in ran.err


def test_an_endpoint_that_is_being_deleted_is_made_anew(
    run: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(deploy_async, *CPU).code == 0
    gone: list[object] = []
    let_pass(monkeypatch, ["Deleting", "Deleting", "InService"])
    monkeypatch.setattr(
        "scripts.aws.endpoints.time.sleep", lambda _: gone.append(backend().endpoints.pop(NAME))
    )
    ran = run(deploy_async, *CPU, "--effect", "solid")
    assert ran.code == 0, ran.err
    assert len(gone) == 1
    assert endpoint() not in gone
    assert list(backend().endpoint_configs) == [endpoint().endpoint_config_name]


def test_an_unexpected_error_leaves_nothing_either(
    cloud: Cloud, run: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("scripts.deploy_async.set_scaling", fail)
    with pytest.raises(RuntimeError, match="a bug"):
        run(deploy_async, *CPU)
    assert leftovers(cloud) == []


def test_a_failed_endpoint_has_to_be_deleted(
    cloud: Cloud, run: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(deploy_async, *CPU).code == 0
    let_pass(monkeypatch, ["Failed"])
    ran = run(deploy_async, *CPU, "--effect", "solid")
    assert (ran.code, "is Failed; delete it first" in ran.err) == (2, True)
    assert run(deploy_async, *CPU, "--delete").code == 0
    assert leftovers(cloud) == []


def test_deleting(cloud: Cloud, run: Commands) -> None:
    fill(cloud, {"people.tar.gz": people_archive("alice.jpg")})
    assert run(deploy_async, *CPU, "--blur", "listed").code == 0
    assert leftovers(cloud)
    ran = run(deploy_async, *CPU, "--delete", "--dry-run")
    assert [name for name, _ in requests(ran.out)] == [
        "sagemaker delete_endpoint",
        "application-autoscaling delete_scaling_policy",
        "application-autoscaling delete_scaling_policy",
        "application-autoscaling deregister_scalable_target",
        "cloudwatch delete_alarms",
        "sagemaker delete_endpoint_config",
        "sagemaker delete_model",
        "s3 delete_object",
    ]
    ran = run(deploy_async, *CPU, "--delete")
    assert ran.code == 0, ran.err
    assert leftovers(cloud) == []
    assert keys(cloud) == ["input/a.mp4", "people.tar.gz"]
    ran = run(deploy_async, *CPU, "--delete")
    assert (ran.code, f"there is no endpoint {NAME}" in ran.err) == (0, True)


def test_resources_without_our_tag_are_not_touched(cloud: Cloud, run: Commands) -> None:
    sagemaker = cloud.client("sagemaker")
    sagemaker.create_model(ModelName="m", ExecutionRoleArn=ROLE)
    variant = {"VariantName": "main", "ModelName": "m", "InstanceType": "ml.m5.large"}
    sagemaker.create_endpoint_config(EndpointConfigName="c", ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName=NAME, EndpointConfigName="c")
    for more in ([], ["--delete"]):
        ran = run(deploy_async, *CPU, *more)
        assert (ran.code, "does not have the tag of face-blur" in ran.err) == (2, True)
    assert endpoint().endpoint_config_name == "c"


def test_an_alarm_of_others_is_not_overwritten(cloud: Cloud, run: Commands) -> None:
    cloud.client("cloudwatch").put_metric_alarm(
        AlarmName=f"{NAME}-waiting",
        MetricName="CPUUtilization",
        Namespace="AWS/EC2",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        Statistic="Average",
        ComparisonOperator="GreaterThanThreshold",
    )
    ran = run(deploy_async, *CPU)
    assert (ran.code, "exists and is not ours" in ran.err) == (2, True)
    assert leftovers(cloud) == [f"{NAME}-waiting"]
