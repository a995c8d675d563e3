import re
from collections.abc import Callable
from typing import Any

import pytest

from scripts.aws.cloud import LimitError
from scripts.aws.limits import ENDPOINT_GPU_IMAGE, GPU_IMAGE, check, has_gpu, has_own_disk

ROLE = "arn:aws:iam::123456789012:role/jobs"
Change = Callable[[dict[str, Any]], object]


def transform(kind: str = "ml.c6i.xlarge") -> dict[str, Any]:
    resources = {"InstanceType": kind, "InstanceCount": 1}
    return {
        "TransformJobName": "job-1",
        "ModelName": "model-1",
        "MaxConcurrentTransforms": 1,
        "MaxPayloadInMB": 0,
        "ModelClientConfig": {"InvocationsTimeoutInSeconds": 3600, "InvocationsMaxRetries": 0},
        "Environment": {"FACE_BLUR_EFFECT": "solid"},
        "TransformInput": {
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://videos/in/"}},
            "SplitType": "None",
        },
        "TransformOutput": {"S3OutputPath": "s3://videos/out/", "AssembleWith": "None"},
        "TransformResources": resources
        | ({"TransformAmiVersion": GPU_IMAGE} if has_gpu(kind) else {}),
    }


def model() -> dict[str, Any]:
    return {
        "ModelName": "model-1",
        "PrimaryContainer": {"Image": "repo@sha256:0", "Environment": {}},
        "ExecutionRoleArn": ROLE,
    }


def processing() -> dict[str, Any]:
    source = {"S3Uri": "s3://videos/in/", "S3DataType": "S3Prefix", "S3InputMode": "File"}
    cluster = {"InstanceCount": 1, "InstanceType": "ml.c6i.xlarge", "VolumeSizeInGB": 10}
    return {
        "ProcessingJobName": "job-1",
        "ProcessingResources": {"ClusterConfig": cluster},
        "AppSpecification": {"ImageUri": "repo@sha256:0"},
        "RoleArn": ROLE,
        "ProcessingInputs": [{"InputName": "videos", "S3Input": source}],
    }


def configuration(kind: str = "ml.c6i.xlarge") -> dict[str, Any]:
    image = {"InferenceAmiVersion": ENDPOINT_GPU_IMAGE} if has_gpu(kind) else {}
    variant = {"VariantName": "main", "ModelName": "m", "InstanceType": kind} | image
    output = {"S3OutputPath": "s3://videos/out/", "S3FailurePath": "s3://videos/bad/"}
    return {
        "EndpointConfigName": "c",
        "ProductionVariants": [variant],
        "AsyncInferenceConfig": {"OutputConfig": output},
    }


def invocation() -> dict[str, Any]:
    return {
        "EndpointName": "e",
        "InputLocation": "s3://videos/in/a.mp4",
        "InferenceId": "0",
        "CustomAttributes": "effect=solid",
        "RequestTTLSeconds": 21600,
        "InvocationTimeoutSeconds": 3600,
    }


def scaling() -> dict[str, Any]:
    return {
        "ServiceNamespace": "sagemaker",
        "ResourceId": "endpoint/e/variant/main",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }


def put(*path: str | int, value: Any) -> Change:
    def change(request: Any) -> None:
        for step in path[:-1]:
            request = request[step]
        request[path[-1]] = value

    return change


OUTPUT = ("AsyncInferenceConfig", "OutputConfig")
CONFIGURATION: list[tuple[Change, str]] = [
    (put(*OUTPUT, "S3OutputPath", value="s3://videos/out"), "with a trailing slash"),
    (put(*OUTPUT, "S3FailurePath", value="s3://videos"), "with a trailing slash"),
    (
        put("ProductionVariants", 0, "InstanceType", value="ml.g5.xlarge"),
        f"ProductionVariants[0].InferenceAmiVersion must be {ENDPOINT_GPU_IMAGE}",
    ),
    (
        put("ProductionVariants", 0, "InferenceAmiVersion", value=ENDPOINT_GPU_IMAGE),
        "must be None",
    ),
    (put("ProductionVariants", 0, "InitialInstanceCount", value=0), "is 0, not at least 1"),
    (put("EndpointConfigName", value="two words"), "does not match"),
]
INVOCATION: list[tuple[Change, str]] = [
    (put("RequestTTLSeconds", value=59), "is 59, not 60 to 21600"),
    (put("InvocationTimeoutSeconds", value=3601), "is 3601, not 1 to 3600"),
    (put("InferenceId", value="i" * 65), "has 65 characters, not 1 to 64"),
    (put("InferenceId", value=" x"), "InferenceId: ' x' does not match"),
    (put("InferenceId", value="x\n"), "does not match"),
    (put("CustomAttributes", value="effect=sölid"), "CustomAttributes: 'effect=sölid' does not"),
    (put("CustomAttributes", value="a" * 1025), "has 1025 characters"),
    (put("InputLocation", value="in/a.mp4"), "InputLocation: 'in/a.mp4' does not match"),
]
SCALING: list[tuple[Change, str]] = [
    (put("ResourceId", value=""), "ResourceId has 0 characters"),
    (put("ResourceId", value="\x00"), "does not match"),
    (put("ScalableDimension", value="instances"), "'instances' is not an allowed value"),
]
S3 = ("TransformInput", "DataSource", "S3DataSource")
TRANSFORM: list[tuple[Change, str]] = [
    (put("TransformJobName", value="a" * 64), "TransformJobName has 64 characters, not 1 to 63"),
    (
        put("TransformJobName", value="bad_name!"),
        "TransformJobName: 'bad_name!' does not match",
    ),
    (put("TransformJobName", value="ends-"), "does not match"),
    (put("ModelName", value="m" * 64), "ModelName has 64 characters"),
    (put("ModelClientConfig", "InvocationsTimeoutInSeconds", value=3601), "3601, not 1 to 3600"),
    (put("ModelClientConfig", "InvocationsTimeoutInSeconds", value=0), "is 0, not 1 to 3600"),
    (put("ModelClientConfig", "InvocationsMaxRetries", value=4), "is 4, not 0 to 3"),
    (put("MaxPayloadInMB", value=101), "times MaxPayloadInMB is 101, not 0 to 100"),
    (put("MaxConcurrentTransforms", value=-1), "is -1, not at least 0"),
    (put("Environment", value={f"K{n}": "v" for n in range(17)}), "has 17 entries, not 0 to 16"),
    (put("Environment", "K", value="v" * 10241), "has 10241 characters, not 0 to 10240"),
    (put("Environment", "1K", value="v"), "Environment 1K: '1K' does not match"),
    (put("TransformResources", "InstanceCount", value=0), "InstanceCount is 0, not at least 1"),
    (put("TransformResources", "InstanceCount", value=101), "is 101, not 1 to 100"),
    (
        put("TransformResources", "InstanceType", value="ml.t3.large"),
        "'ml.t3.large' is not an allowed value",
    ),
    (put("TransformResources", "InstanceType", value="ml.g5.xlarge"), f"must be {GPU_IMAGE}"),
    (put("TransformResources", "TransformAmiVersion", value=GPU_IMAGE), "must be None"),
    (put(*S3, "S3Uri", value="s3://videos/in"), "with a trailing slash"),
    (put(*S3, "S3Uri", value="videos/in/"), "does not match"),
    (put(*S3, "S3DataType", value="Folder"), "'Folder' is not an allowed value"),
    (
        put(*S3, value={"S3DataType": "ManifestFile", "S3Uri": "s3://videos/in/"}),
        "s3://BUCKET/NAME",
    ),
    (put("TransformOutput", "S3OutputPath", value="s3://videos/out"), "with a trailing slash"),
    (put("TransformOutput", "KmsKeyId", value="key with spaces"), "KmsKeyId: 'key with spaces'"),
    (put("TransformInput", "SplitType", value="Frames"), "'Frames' is not an allowed value"),
    (put("Tags", value=[{"Key": "k", "Value": "v" * 257}]), "Tags[0].Value has 257 characters"),
    (put("Retries", value=1), "Retries is unknown"),
]
MODEL: list[tuple[Change, str]] = [
    (put("ModelName", value="two words"), "ModelName: 'two words'"),
    (put("ExecutionRoleArn", value="arn:aws:iam::1:role/x"), "ExecutionRoleArn: "),
    (put("PrimaryContainer", "Image", value="i" * 256), "has 256 characters, not 0 to 255"),
    (
        put("PrimaryContainer", "Environment", value={f"K{n}": "v" for n in range(101)}),
        "has 101 entries, not 0 to 100",
    ),
    (put("PrimaryContainer", "Environment", "K", value="v" * 1025), "has 1025 characters"),
    (
        put("PrimaryContainer", "Environment", value={f"K{n}": "v" * 1024 for n in range(40)}),
        "bytes, not 0 to 32768",
    ),
    (put("PrimaryContainer", "ModelDataUrl", value="s3://videos/people/"), "NAME.tar.gz"),
    (
        put("VpcConfig", value={"Subnets": ["a"], "SecurityGroupIds": []}),
        "has 0 entries, not 1 to 5",
    ),
]
PROCESSING: list[tuple[Change, str]] = [
    (put("ProcessingResources", "ClusterConfig", "VolumeSizeInGB", value=16385), "not 1 to 16384"),
    (put("StoppingCondition", value={"MaxRuntimeInSeconds": 777601}), "not 1 to 777600"),
    (put("Environment", value={"K": "v" * 257}), "has 257 characters, not 0 to 256"),
    (put("AppSpecification", "ContainerArguments", value=[]), "has 0 entries, not 1 to 100"),
    (
        put("ProcessingInputs", 0, "S3Input", "S3Uri", value="s3://videos/in"),
        "with a trailing slash",
    ),
]


@pytest.mark.parametrize(
    ("kind", "fits"),
    [("ml.g4dn.xlarge", 125), ("ml.g4dn.2xlarge", 225), ("ml.g5.48xlarge", 7600)],
)
def test_a_volume_must_fit_on_the_disk_of_the_instance(kind: str, fits: int) -> None:
    request = processing()
    cluster = request["ProcessingResources"]["ClusterConfig"]
    cluster |= {"InstanceType": kind, "VolumeSizeInGB": fits}
    check("CreateProcessingJob", request)
    cluster["VolumeSizeInGB"] = fits + 1
    with pytest.raises(LimitError, match=f"is {fits + 1}, but the disk of {kind} has {fits}"):
        check("CreateProcessingJob", request)
    # Types without local disks get whatever is asked for.
    cluster["InstanceType"] = "ml.c6i.2xlarge"
    check("CreateProcessingJob", request)


@pytest.mark.parametrize("kind", ["ml.c6i.xlarge", "ml.g4dn.xlarge", "ml.g6e.48xlarge"])
def test_our_requests_are_within_the_limits(kind: str) -> None:
    check("CreateTransformJob", transform(kind))
    check("CreateModel", model())
    check("CreateProcessingJob", processing())
    check("CreateEndpointConfig", configuration(kind))
    check("InvokeEndpointAsync", invocation())
    check("RegisterScalableTarget", scaling() | {"ResourceId": "endpoint/😀/variant/m"})


@pytest.mark.parametrize(
    ("operation", "request_", "change", "message"),
    [
        *(("CreateTransformJob", transform(), *case) for case in TRANSFORM),
        *(("CreateModel", model(), *case) for case in MODEL),
        *(("CreateProcessingJob", processing(), *case) for case in PROCESSING),
        *(("CreateEndpointConfig", configuration(), *case) for case in CONFIGURATION),
        *(("InvokeEndpointAsync", invocation(), *case) for case in INVOCATION),
        *(("RegisterScalableTarget", scaling(), *case) for case in SCALING),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_limit(operation: str, request_: dict[str, Any], change: Change, message: str) -> None:
    check(operation, request_)
    change(request_)
    with pytest.raises(LimitError, match=re.escape(message)) as caught:
        check(operation, request_)
    assert str(caught.value).startswith(f"{operation}: ")
    assert "\n" not in str(caught.value)


def test_all_violations_are_reported_at_once() -> None:
    request = transform()
    del request["ModelName"]
    request["TransformJobName"] = ""
    request["ModelClientConfig"]["InvocationsMaxRetries"] = 9
    with pytest.raises(LimitError) as caught:
        check("CreateTransformJob", request)
    for part in ("ModelName is missing", "TransformJobName has 0", "InvocationsMaxRetries is 9"):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "gpu", "disk"),
    [
        ("ml.c6i.2xlarge", False, False),
        ("ml.m5.large", False, False),
        ("ml.m5d.large", False, True),
        ("ml.g4dn.xlarge", True, True),
        ("ml.g6e.xlarge", True, True),
        ("ml.p3.2xlarge", True, False),
        ("ml.inf2.xlarge", False, False),
    ],
)
def test_properties_of_instance_types(kind: str, gpu: bool, disk: bool) -> None:
    assert (has_gpu(kind), has_own_disk(kind)) == (gpu, disk)
