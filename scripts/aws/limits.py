"""The limits of the APIs of SageMaker and its neighbours, checked before a call.

boto3 checks only types and missing values, and SageMaker would refuse the request only after a
long upload. Lengths, ranges, patterns and enumerations come from boto3's own description of the
service; limits that only the documentation has are below.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import botocore.session
from botocore.model import ListShape, MapShape, Shape, StructureShape

from scripts.aws.cloud import LimitError

GPU_IMAGE = "al2-ami-sagemaker-batch-gpu-535"
"""The host image of transform jobs with a driver for CUDA 12; the default has one for CUDA 11."""
ENDPOINT_GPU_IMAGE = "al2023-ami-sagemaker-inference-gpu-4-1"
"""The host image of endpoints on a GPU: its driver, 580, is the only one that is recent enough for
NVENC (570), and runs CUDA 12 too."""
_GPU = re.compile(r"ml\.(g\d|p\d)")
_OWN_DISK = re.compile(r"ml\.(g4dn|g5|g6e?|g7e?|p4de?|p5e?n?|[a-z]\d+[a-z]*d[a-z]*)\.")
_XLARGE = ("", "2", "4", "8", "12", "16", "24", "48")
_DISKS_GB = {
    "ml.g4dn": (125, 225, 225, 900, 900, 900),
    "ml.g5": (250, 450, 600, 900, 3800, 1900, 3800, 7600),
    "ml.g6": (250, 450, 600, 900, 3760, 1880, 3760, 7520),
}
"""GB of the local disks of the types with a GPU, in the order of ``_XLARGE``: a job there gets no
other disk, and a larger one is refused when the job starts."""
_MAX_PAYLOAD_MB = 100
_MAX_MODEL_ENVIRONMENT = 32 * 1024
_MAX_INSTANCES = 100
_S3_FOLDER = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/(?:[^/\s][^\s]*/)?")
_S3_FILE = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/[^/].*[^/]")


def has_gpu(instance_type: str) -> bool:
    """Return whether an instance type has an NVIDIA GPU.

    >>> has_gpu("ml.g4dn.xlarge"), has_gpu("ml.c6i.xlarge")
    (True, False)
    """
    return _GPU.match(instance_type) is not None


def has_own_disk(instance_type: str) -> bool:
    """Return whether an instance type has local disks, which it encrypts itself.

    >>> has_own_disk("ml.g5.xlarge"), has_own_disk("ml.c6i.xlarge"), has_own_disk("ml.m5d.large")
    (True, False, True)
    """
    return _OWN_DISK.match(instance_type) is not None


def disk_of(instance_type: str) -> int | None:
    """Return the GB of the local disks of an instance type; None if they are not known.

    >>> disk_of("ml.g4dn.xlarge"), disk_of("ml.c6i.xlarge")
    (125, None)
    """
    family, _, size = instance_type.rpartition(".")
    sizes = dict(zip(_XLARGE, _DISKS_GB.get(family, ()), strict=False))
    return sizes.get(size.removesuffix("xlarge"))


def check(operation: str, request: Mapping[str, Any]) -> None:
    """Check a request against the limits.

    Args:
        operation: name of the call in the API, such as ``CreateTransformJob``.
        request: arguments for boto3.

    Raises:
        LimitError: the request violates limits; the message lists all of them in one line.
    """
    shape = _service(_SERVICES.get(operation, "sagemaker")).operation_model(operation).input_shape
    assert shape is not None, operation
    faults = [*_faults(shape, request, ""), *_EXTRA_CHECKS.get(operation, _nothing)(request)]
    if faults:
        raise LimitError(f"{operation}: {'; '.join(faults)}")


@cache
def _service(name: str) -> Any:
    return botocore.session.get_session().get_service_model(name)


def _faults(shape: Shape, value: Any, where: str) -> Iterator[str]:
    """Yield all violations in a value of a shape, recursively."""
    if isinstance(shape, StructureShape):
        yield from _members(shape, value, where)
    elif isinstance(shape, ListShape):
        yield from _range(shape, len(value), where, "entries")
        for number, item in enumerate(value):
            yield from _faults(shape.member, item, f"{where}[{number}]")
    elif isinstance(shape, MapShape):
        yield from _range(shape, len(value), where, "entries")
        for key, item in value.items():
            yield from _faults(shape.key, key, f"{where} {key}")
            yield from _faults(shape.value, item, f"{where} {key}")
    elif isinstance(value, str):
        yield from _text(shape, value, where)
    else:
        yield from _range(shape, value, where, "")


def _members(shape: StructureShape, value: Mapping[str, Any], where: str) -> Iterator[str]:
    for name in shape.required_members:
        if name not in value:
            yield f"{where}.{name} is missing".lstrip(".")
    for name, item in value.items():
        path = f"{where}.{name}".lstrip(".")
        if name not in shape.members:
            yield f"{path} is unknown"
        else:
            yield from _faults(shape.members[name], item, path)


def _range(shape: Shape, number: Any, where: str, of: str) -> Iterator[str]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if (low is not None and number < low) or (high is not None and number > high):
        bounds = f"{low or 0} to {high}" if high is not None else f"at least {low}"
        yield (
            f"{where} has {number} {of}, not {bounds}"
            if of
            else f"{where} is {number}, not {bounds}"
        )


def _text(shape: Shape, value: str, where: str) -> Iterator[str]:
    yield from _range(shape, len(value), where, "characters")
    # A shape has an enumeration or a pattern, not both.
    values: Sequence[str] = getattr(shape, "enum", ())
    if values and value not in values:
        yield f"{where}: {value!r} is not an allowed value"
    pattern = shape.metadata.get("pattern")
    if pattern and not re.fullmatch(_python_pattern(pattern), value):
        yield f"{where}: {value!r} does not match {pattern}"


def _python_pattern(pattern: str) -> str:
    """Translate what Python's ``re`` does not know: classes, anchors, and pairs of surrogates."""
    for theirs, ours in _OTHER_SYNTAX:
        pattern = pattern.replace(theirs, ours)
    return pattern


def _nothing(_: Mapping[str, Any]) -> Iterator[str]:
    return iter(())


def _model(request: Mapping[str, Any]) -> Iterator[str]:
    environment: Mapping[str, str] = request.get("PrimaryContainer", {}).get("Environment", {})
    size = sum(len(key.encode()) + len(value.encode()) for key, value in environment.items())
    if size > _MAX_MODEL_ENVIRONMENT:
        yield f"PrimaryContainer.Environment has {size} bytes, not 0 to {_MAX_MODEL_ENVIRONMENT}"
    data = request.get("PrimaryContainer", {}).get("ModelDataUrl", "s3://aaa/a.tar.gz")
    if not (_S3_FILE.fullmatch(data) and data.endswith(".tar.gz")):
        yield f"PrimaryContainer.ModelDataUrl: {data!r} is not s3://BUCKET/NAME.tar.gz"


def _transform(request: Mapping[str, Any]) -> Iterator[str]:
    payload = request.get("MaxPayloadInMB", 6) * request.get("MaxConcurrentTransforms", 1)
    if payload > _MAX_PAYLOAD_MB:
        yield (
            f"MaxConcurrentTransforms times MaxPayloadInMB is {payload}, not 0 to {_MAX_PAYLOAD_MB}"
        )
    source = request["TransformInput"]["DataSource"]["S3DataSource"]
    yield from _source(source, "TransformInput.DataSource.S3DataSource.S3Uri")
    yield from _folder(request["TransformOutput"]["S3OutputPath"], "TransformOutput.S3OutputPath")
    resources = request["TransformResources"]
    if resources["InstanceCount"] > _MAX_INSTANCES:
        yield (
            f"TransformResources.InstanceCount is {resources['InstanceCount']}, "
            f"not 1 to {_MAX_INSTANCES}"
        )
    expected = GPU_IMAGE if has_gpu(resources["InstanceType"]) else None
    if resources.get("TransformAmiVersion") != expected:
        yield f"TransformResources.TransformAmiVersion must be {expected} for this type"


def _processing(request: Mapping[str, Any]) -> Iterator[str]:
    for number, one in enumerate(request.get("ProcessingInputs", ())):
        yield from _source(one["S3Input"], f"ProcessingInputs[{number}].S3Input.S3Uri")
    for number, one in enumerate(request.get("ProcessingOutputConfig", {}).get("Outputs", ())):
        where = f"ProcessingOutputConfig.Outputs[{number}].S3Output.S3Uri"
        yield from _folder(one["S3Output"]["S3Uri"], where)
    cluster = request["ProcessingResources"]["ClusterConfig"]
    size, disk = cluster["VolumeSizeInGB"], disk_of(cluster["InstanceType"])
    if disk is not None and size > disk:
        yield (
            f"ProcessingResources.ClusterConfig.VolumeSizeInGB is {size}, but the disk of "
            f"{cluster['InstanceType']} has {disk}"
        )


def _endpoint_config(request: Mapping[str, Any]) -> Iterator[str]:
    output = request["AsyncInferenceConfig"]["OutputConfig"]
    for name in ("S3OutputPath", "S3FailurePath"):
        yield from _folder(output[name], f"AsyncInferenceConfig.OutputConfig.{name}")
    for number, variant in enumerate(request["ProductionVariants"]):
        expected = ENDPOINT_GPU_IMAGE if has_gpu(variant["InstanceType"]) else None
        if variant.get("InferenceAmiVersion") != expected:
            yield f"ProductionVariants[{number}].InferenceAmiVersion must be {expected}"


def _source(source: Mapping[str, str], where: str) -> Iterator[str]:
    if source["S3DataType"] != "ManifestFile":
        # Prefixes match as text: s3://b/in would match s3://b/input2/ too.
        yield from _folder(source["S3Uri"], where)
    elif not _S3_FILE.fullmatch(source["S3Uri"]):
        yield f"{where}: {source['S3Uri']!r} is not s3://BUCKET/NAME"


def _folder(uri: str, where: str) -> Iterator[str]:
    if not _S3_FOLDER.fullmatch(uri):
        yield f"{where}: {uri!r} is not s3://BUCKET/PREFIX/ (with a trailing slash)"


_EXTRA_CHECKS: dict[str, Callable[[Mapping[str, Any]], Iterator[str]]] = {
    "CreateModel": _model,
    "CreateTransformJob": _transform,
    "CreateProcessingJob": _processing,
    "CreateEndpointConfig": _endpoint_config,
}
_SERVICES = {
    "InvokeEndpointAsync": "sagemaker-runtime",
    "RegisterScalableTarget": "application-autoscaling",
    "PutScalingPolicy": "application-autoscaling",
    "PutMetricAlarm": "cloudwatch",
}
"""Services of the calls that are not SageMaker's."""
_OTHER_SYNTAX = (
    (r"\p{L}", r"\w"),
    (r"\p{N}", r"\d"),
    (r"\p{Z}", r"\s"),
    (r"[\p{Print}]", "[ -~]"),
    (r"\p{Print}", "[ -~]"),
    (r"\p{ASCII}", r"[\x00-\x7f]"),
    (r"\z", r"\Z"),
    (r"\uD800\uDC00-\uDBFF\uDFFF", r"\U00010000-\U0010FFFF"),
)
