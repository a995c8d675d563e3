"""Tearing down: all tagged resources are deleted, and no others, even with the same names."""

import json
from typing import Any

import pytest
from moto.sagemaker.models import sagemaker_backends

from scripts.aws.cloud import Cloud, CloudError, project_tags
from scripts.aws.scaling import set_scaling
from scripts.aws.variables import Variables
from scripts.infrastructure import KEEP, create_or_update
from scripts.teardown import Resource, find_all
from scripts.teardown import delete as delete_all

ROLE = "arn:aws:iam::123456789012:role/jobs"
OURS, OTHERS = project_tags("face-blur"), project_tags("news")
PLACE = {"LocationConstraint": "eu-north-1"}


def make_models(cloud: Cloud, name: str, tags: list[dict[str, str]]) -> None:
    cloud.client("sagemaker").create_model(ModelName=name, ExecutionRoleArn=ROLE, Tags=tags)


def make_jobs(cloud: Cloud, name: str, tags: list[dict[str, str]], *, running: bool) -> None:
    sagemaker = cloud.client("sagemaker")
    sagemaker.create_transform_job(
        TransformJobName=name,
        ModelName="m",
        Tags=tags,
        TransformInput={
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://b/i/"}}
        },
        TransformOutput={"S3OutputPath": "s3://b/o/"},
        TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 1},
    )
    cluster = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1}
    sagemaker.create_processing_job(
        ProcessingJobName=name,
        RoleArn=ROLE,
        Tags=tags,
        ProcessingResources={"ClusterConfig": cluster},
        AppSpecification={"ImageUri": "i"},
    )
    if running:
        backend = sagemaker_backends["123456789012"]["eu-north-1"]
        backend.transform_jobs[name].transform_job_status = "InProgress"
        backend.processing_jobs[name].processing_job_status = "InProgress"


def make_endpoint(cloud: Cloud, name: str, tags: list[dict[str, str]]) -> None:
    """An endpoint with its scaling, and an alarm that an earlier one has left."""
    sagemaker = cloud.client("sagemaker")
    variant = {"VariantName": "main", "ModelName": name, "InstanceType": "ml.m5.large"}
    sagemaker.create_endpoint_config(
        EndpointConfigName=name, ProductionVariants=[variant], Tags=tags
    )
    sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name, Tags=tags)
    own = Cloud(Variables(project=tags[0]["Value"] if tags else "nobody"))
    set_scaling(own, name, 1)
    set_scaling(own, f"{name}-left", 1)


def make_repository(cloud: Cloud, name: str, tags: list[dict[str, str]]) -> None:
    cloud.client("ecr").create_repository(repositoryName=name, tags=tags)
    put_image(cloud, name)


def put_image(cloud: Cloud, repository: str) -> None:
    manifest = {
        "schemaVersion": 2,
        "config": {"digest": "sha256:" + "0" * 64, "size": 1},
        "layers": [],
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
    }
    cloud.client("ecr").put_image(
        repositoryName=repository, imageManifest=json.dumps(manifest), imageTag="one"
    )


def make_bucket(cloud: Cloud, name: str, tags: list[dict[str, str]]) -> None:
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration=PLACE)
    if tags:
        s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": tags})
    s3.put_object(Bucket=name, Key="input/a.mp4", Body=b"x" * 2_000_000)


@pytest.fixture
def stoppable(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let moto stop transform jobs, which it does not support; yield the names of stopped jobs."""
    stopped: list[str] = []
    change = Cloud.change

    def stop(self: Cloud, service: str, operation: str, **request: Any) -> dict[str, Any]:
        if operation == "stop_transform_job" and not self.dry_run:
            name = request["TransformJobName"]
            stopped.append(name)
            backend = sagemaker_backends["123456789012"]["eu-north-1"]
            backend.transform_jobs[name].transform_job_status = "Stopped"
            return {}
        return change(self, service, operation, **request)

    monkeypatch.setattr(Cloud, "change", stop)
    return stopped


def test_only_tagged_resources_are_deleted(cloud: Cloud, stoppable: list[str]) -> None:
    bucket = create_or_update(cloud, dict.fromkeys(KEEP))["Bucket"]
    cloud.client("s3").put_object(Bucket=bucket, Key="input/a.mp4", Body=b"film")
    put_image(cloud, "face-blur")
    make_bucket(cloud, "left-of-an-earlier-stack", OURS)
    cloud.client("s3").create_multipart_upload(Bucket="left-of-an-earlier-stack", Key="cut-off")
    make_models(cloud, "ours", OURS)
    make_endpoint(cloud, "ours", OURS)
    make_jobs(cloud, "ours", OURS, running=True)
    make_jobs(cloud, "ours-and-over", OURS, running=False)
    make_repository(cloud, "ours-besides", OURS)
    for name, tags in (("face-blur-a", []), ("face-blur-b", OTHERS)):
        make_bucket(cloud, name, tags)
        make_models(cloud, name, tags)
        make_endpoint(cloud, name, tags)
        make_jobs(cloud, name, tags, running=True)
        make_repository(cloud, name, tags)
    found = find_all(cloud)
    assert [(one.kind, one.name) for one in found] == [
        ("transform job", "ours"),
        ("processing job", "ours"),
        ("endpoint", "ours"),
        ("endpoint configuration", "ours"),
        ("model", "ours"),
        ("images", "face-blur"),
        ("images", "ours-besides"),
        ("stack", "face-blur"),
        ("repository", "face-blur"),
        ("repository", "ours-besides"),
        *sorted([("bucket", bucket), ("bucket", "left-of-an-earlier-stack")]),
    ]
    assert found[5].detail == found[6].detail == "1 images"
    assert Resource("bucket", "left-of-an-earlier-stack", "1 objects, 2.0 MB") in found
    delete_all(cloud, found)
    assert find_all(cloud) == []
    assert stoppable == ["ours"]
    sagemaker = cloud.client("sagemaker")
    processing = sagemaker.describe_processing_job(ProcessingJobName="ours")
    assert processing["ProcessingJobStatus"] == "Stopped"
    decoys = ["face-blur-a", "face-blur-b"]
    buckets = cloud.read("s3", "list_buckets")["Buckets"]
    assert [one["Name"] for one in buckets] == decoys
    assert cloud.read("s3", "head_object", Bucket="face-blur-a", Key="input/a.mp4")
    assert sorted(one["ModelName"] for one in sagemaker.list_models()["Models"]) == decoys
    endpoints = sagemaker.list_endpoints()["Endpoints"]
    assert sorted(one["EndpointName"] for one in endpoints) == decoys
    configs = sagemaker.list_endpoint_configs()["EndpointConfigs"]
    assert sorted(one["EndpointConfigName"] for one in configs) == decoys
    repositories = cloud.read("ecr", "describe_repositories")["repositories"]
    assert sorted(one["repositoryName"] for one in repositories) == decoys
    assert cloud.read("ecr", "list_images", repositoryName="face-blur-a")["imageIds"]
    for name in decoys:
        job = sagemaker.describe_transform_job(TransformJobName=name)
        assert job["TransformJobStatus"] == "InProgress"
        other = sagemaker.describe_processing_job(ProcessingJobName=name)
        assert other["ProcessingJobStatus"] == "InProgress"


def test_scaling_is_deleted_with_its_endpoint_and_alarms_that_were_left(cloud: Cloud) -> None:
    for name, tags in (("face-blur-ours", OURS), ("face-blur-theirs", OTHERS)):
        make_models(cloud, name, tags)
        make_endpoint(cloud, name, tags)
    found = find_all(cloud)
    alarms = {one.name for one in found if one.kind == "alarm"}
    assert alarms == {"face-blur-ours-left-waiting", "face-blur-ours-waiting"}
    delete_all(cloud, found)
    left = cloud.client("cloudwatch").describe_alarms()["MetricAlarms"]
    assert {one["AlarmName"] for one in left} == {
        "face-blur-theirs-waiting",
        "face-blur-theirs-left-waiting",
    }
    scaling = cloud.client("application-autoscaling")
    targets = scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    assert "endpoint/face-blur-ours/variant/main" not in [one["ResourceId"] for one in targets]
    assert "endpoint/face-blur-theirs/variant/main" in [one["ResourceId"] for one in targets]


def test_executions_are_stopped_before_the_jobs_that_they_would_start_again(
    cloud: Cloud, stoppable: list[str]
) -> None:
    ours = Cloud(Variables(image_uri="1" * 12 + ".dkr.ecr.eu-north-1.amazonaws.com/face-blur:a"))
    machine = create_or_update(ours, dict.fromkeys(KEEP), "on")["PipelineMachine"]
    states = cloud.client("stepfunctions")
    arn = states.start_execution(stateMachineArn=machine, name="one", input="{}")["executionArn"]
    make_jobs(cloud, "face-blur-one-hide-0", OURS, running=True)
    found = find_all(cloud)
    assert [one.kind for one in found[:3]] == ["execution", "transform job", "processing job"]
    assert found[0].name == arn
    delete_all(cloud, found[:1])
    assert states.describe_execution(executionArn=arn)["status"] == "ABORTED"
    assert find_all(cloud) == found[1:]


def test_a_stack_with_our_name_but_without_our_tag_stays(cloud: Cloud) -> None:
    body = json.dumps({"Resources": {"Bucket": {"Type": "AWS::S3::Bucket"}}})
    cloud.client("cloudformation").create_stack(StackName="face-blur", TemplateBody=body)
    assert find_all(cloud) == []


def test_versions_and_delete_markers_are_deleted_too(cloud: Cloud) -> None:
    make_bucket(cloud, "videos", OURS)
    s3 = cloud.client("s3")
    s3.put_bucket_versioning(Bucket="videos", VersioningConfiguration={"Status": "Enabled"})
    s3.put_object(Bucket="videos", Key="input/a.mp4", Body=b"again")
    s3.delete_object(Bucket="videos", Key="input/a.mp4")
    (found,) = find_all(cloud)
    assert found.detail.startswith("3 objects")
    delete_all(cloud, [found])
    assert cloud.read("s3", "list_buckets")["Buckets"] == []


def test_a_bucket_deleted_with_its_stack_is_not_an_error(cloud: Cloud) -> None:
    make_bucket(cloud, "videos", OURS)
    delete_all(cloud, [Resource("bucket", "gone")])
    assert [one["Name"] for one in cloud.read("s3", "list_buckets")["Buckets"]] == ["videos"]


def test_an_unreadable_resource_is_an_error(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    make_bucket(cloud, "videos", OURS)
    read = cloud.read

    def throttled(service: str, operation: str, **request: Any) -> dict[str, Any]:
        if operation == "get_bucket_tagging":
            raise CloudError("s3 get_bucket_tagging: SlowDown: later", "SlowDown")
        return read(service, operation, **request)

    monkeypatch.setattr(cloud, "read", throttled)
    with pytest.raises(CloudError, match="SlowDown"):
        find_all(cloud)


def test_the_command_asks(cloud: Cloud, run_command: Any) -> None:
    nothing = run_command("teardown")
    assert (nothing.code, nothing.out) == (0, "")
    assert "no resource in eu-north-1 has the tag of face-blur" in nothing.err
    make_bucket(cloud, "videos", OURS)
    for answer in ("", "yes\n"):
        refused = run_command("teardown", stdin=answer)
        assert refused.code == 2
        assert "bucket videos (1 objects, 2.0 MB)" in refused.err
        assert refused.err.endswith("error: nothing was deleted\n")
    dry = run_command("teardown", "--dry-run")
    assert dry.code == 0, dry.err
    asked = [json.loads(line) for line in dry.out.splitlines()]
    assert [(one["operation"], one["request"]["Bucket"]) for one in asked] == [
        ("delete_objects", "videos"),
        ("delete_bucket", "videos"),
    ]
    assert [one["Key"] for one in asked[0]["request"]["Delete"]["Objects"]] == ["input/a.mp4"]
    assert cloud.read("s3", "list_buckets")["Buckets"]
    done = run_command("teardown", stdin="face-blur\n")
    assert done.code == 0, done.err
    assert cloud.read("s3", "list_buckets")["Buckets"] == []


def test_resources_of_another_project_stay(cloud: Cloud) -> None:
    make_bucket(cloud, "videos", OURS)
    assert find_all(Cloud(Variables(project="news"))) == []
