"""What the facts of a first run show otherwise than the documentation of this project assumes."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

from scripts.aws.capacity import cpus_of
from scripts.aws.limits import has_gpu
from scripts.aws.probe_requests import NAME
from scripts.aws.probe_video import Drawing
from scripts.aws.quotas import quota_name
from scripts.aws.transform import SUFFIX
from scripts.aws.variables import Variables

Facts: TypeAlias = Mapping[str, Any]
_CUDA = "CUDAExecutionProvider"
_DRIVER = "535"
"""The driver of the host image that transform jobs ask for."""
_TRANSFORM_DISK = 20e9
"""Free bytes at the least: the disk of a transform job has 30 GB, and the image takes some."""
_VOLUME_SHARE = 0.8
"""Part of ``VOLUME_GB`` that must be free in the output of a Processing job: the system, and blocks
of a file system, take some."""


def find_surprises(variables: Variables, facts: Facts) -> list[str]:
    """Return a line for each assumption that does not hold; the page that has it is in brackets.

    What is not known, such as after a failure, is no surprise.
    """
    found = [f"{kind}: {line}" for kind in _OF for line in _of_job(variables, kind, facts)]
    return [*found, *_of_quotas(variables, facts.get("quotas", {}))]


def _of_job(variables: Variables, kind: str, facts: Facts) -> Iterator[str]:
    job = facts.get(kind)
    if not job or job["fault"] or "ready" not in job:  # without the last in a dry run
        return
    asked = {
        "transform": variables.transform_type,
        "processing": variables.processing_instance_type,
    }[kind]
    if job.get("instance_type") not in {None, asked}:
        yield f"the instance is {job['instance_type']}, not {asked}"
    ready = job["ready"]
    if ready:
        yield from _of_machine(variables, asked, ready)
    else:
        yield "the log has no line ready (docs/service.md)"
    hidden = job.get("work", {}).get("hidden")
    if hidden not in {None, 1}:
        yield f"{hidden} faces were hidden, and the video has one"
    yield from _of_result(job["result"])
    yield from _OF[kind](variables, job)


def _of_machine(variables: Variables, kind: str, ready: Facts) -> Iterator[str]:
    if ready.get("uid") != variables.image_user:
        yield (
            f"the container runs as user {ready.get('uid')}, not {variables.image_user} "
            "(docs/decisions/processing-user.md)"
        )
    if ready.get("spool") != "/tmp":  # noqa: S108 - a comparison
        yield f"temporary files are in {ready.get('spool')}, not in /tmp (docs/processing.md)"
    if ready.get("cpus") != cpus_of(kind):
        yield f"{kind} has {ready.get('cpus')} CPUs, not {cpus_of(kind)} (docs/aws.md)"
    if has_gpu(kind):
        yield from _of_gpu(kind, ready)


def _of_gpu(kind: str, ready: Facts) -> Iterator[str]:
    if ready.get("provider") != _CUDA:
        yield f"the GPU of {kind} is not used: {ready.get('provider')} (docs/image.md)"
    if not str(ready.get("driver")).startswith(_DRIVER):
        yield f"the driver is {ready.get('driver')}, not {_DRIVER} (docs/decisions/gpu.md)"
    if ready.get("encoder") == "nvenc":
        yield "NVENC works (docs/decisions/gpu.md says that it cannot)"


def _of_result(result: Facts) -> Iterator[str]:
    if result.get("fault"):
        yield f"the result is wrong: {result['fault']}"
    elif (result["frames"], result["sounds"]) != (Drawing().frames, 1):
        yield f"the result has {result['frames']} frames and {result['sounds']} sounds"


def _of_transform(_: Variables, job: Facts) -> Iterator[str]:
    name = job["result"].get("name")
    if name is not None and name != f"transform/{NAME}{SUFFIX}":
        yield f"the result is called {name}, not {NAME}{SUFFIX} (docs/transform-local.md)"
    free = job["ready"].get("free_bytes", _TRANSFORM_DISK)
    if free < _TRANSFORM_DISK:
        yield f"{free / 1e9:.0f} GB are free for input and result, of a disk of 30 (docs/aws.md)"


def _of_processing(variables: Variables, job: Facts) -> Iterator[str]:
    doctor = job["doctor"]
    if not doctor:
        yield "there is no doctor.json: the image is older than this checkout"
        return
    yield from doctor["faults"]
    for layout in job["layout"]:
        if layout != "without the prefix":
            yield (
                f"files of a manifest are named by {layout}: {', '.join(job['names_of_inputs'])} "
                "(scripts/local names them without the prefix)"
            )
    output = doctor["folders"].get("output", {})
    if output and not output["writable"]:
        yield "the output cannot be written (docs/decisions/processing-user.md)"
    if output and output["free_bytes"] < variables.volume_gb * 1e9 * _VOLUME_SHARE:
        yield (
            f"{output['free_bytes'] / 1e9:.0f} GB are free in the output, of VOLUME_GB="
            f"{variables.volume_gb} (docs/aws.md)"
        )


_OF: Mapping[str, Callable[[Variables, Facts], Iterator[str]]] = {
    "transform": _of_transform,
    "processing": _of_processing,
}


def _of_quotas(variables: Variables, quotas: Facts) -> Iterator[str]:
    wanted = {
        quota_name(variables.transform_type, "transform"): variables.instance_count,
        quota_name(
            variables.processing_instance_type, "processing"
        ): variables.processing_instance_count,
    }
    for name, count in wanted.items():
        quota = quotas.get(name)
        if isinstance(quota, float) and quota < count:
            yield f"the quota of {name} is {quota:g}, and the variables ask for {count}"
