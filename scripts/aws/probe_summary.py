"""The facts of a first run as lines for people."""

from collections.abc import Iterator, Mapping
from typing import Any


def summary(facts: Mapping[str, Any]) -> list[str]:
    """Return the facts as lines for people."""
    lines = [f"face-blur {facts['version']} in {facts['region']}, image {facts['image']}"]
    for kind in ("transform", "processing"):
        if kind in facts:
            lines += [f"{kind}: {line}" for line in _lines(facts[kind])]
    lines += [f"quota of {name}: {value}" for name, value in facts["quotas"].items()]
    surprises = facts["surprises"]
    return [*lines, *(f"surprise: {one}" for one in surprises or ("none",))]


def _lines(job: Mapping[str, Any]) -> list[str]:
    lines = [
        (
            f"{job.get('status')} on {job.get('instance_type')}; {job.get('seconds_to_start')} s to"
            f" start, {job.get('seconds_running')} s running"
        ),
        *_of_machine(job.get("ready", {})),
    ]
    fault = nvenc_fault(job)
    if fault is not None:
        lines.append(f"NVENC: {fault or 'works'}")
    for name, layout in zip(job.get("names_of_inputs", ()), job.get("layout", ()), strict=True):
        lines.append(f"the input is called {name} in the container ({layout})")
    result = job.get("result", {})
    content = f"{result.get('frames', 0)} frames, {result.get('sounds', 0)} sounds"
    return [*lines, f"result {result.get('name', 'missing')}: {result.get('fault') or content}"]


def _of_machine(ready: Mapping[str, Any]) -> Iterator[str]:
    if ready:
        memory, free = (ready.get(name, 0) / 1e9 for name in ("memory_bytes", "free_bytes"))
        yield (
            f"user {ready.get('uid')}, {ready.get('cpus')} CPUs, {memory:.1f} GB of memory, "
            f"{free:.1f} GB free in {ready.get('spool')}"
        )
        yield (
            f"{ready.get('device')} with {ready.get('provider')}, driver {ready.get('driver')},"
            f" encoder {ready.get('encoder')}"
        )


def nvenc_fault(job: Mapping[str, Any]) -> str | None:
    """Return why NVENC does not work in a job; empty if it does, None if that is not known."""
    ready = job.get("ready", {})
    if ready.get("encoder") == "nvenc":
        return ""
    if "encoder_fault" in ready:
        return str(ready["encoder_fault"])
    tried = job.get("doctor", {}).get("encoders", {}).get("h264_nvenc")
    return None if tried is None else str(tried).removeprefix("works")
