"""The facts that a job of the first run leaves behind: in its description, log and output."""

import json
import re
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from app.errors import FaceBlurError
from app.verification import check_result
from scripts.aws.cloud import CloudError
from scripts.aws.jobs import Job, LogTail, how_it_ended
from scripts.aws.objects import list_objects, names_of, read_object
from scripts.aws.probe_requests import Probe
from scripts.aws.processing import read_reports
from scripts.aws.transform import SUFFIX

NEVER = "never created"
"""The status of a job that AWS refused."""
_DOCTOR = "doctor.json"
_LOG_SECONDS = 30.0
"""The longest time to wait for the log: CloudWatch shows lines some seconds after their writing."""
_LOG_POLL = 2.0
_LAST_LINES = 8
"""Lines of the log that are shown after a failure."""
_WORK = frozenset({"invocation", "file"})
"""Events of the log about the work on a video, of the service and of the job."""
_STREAM = re.compile(r"^\[[^\]]*\] ")


def find_facts(probe: Probe, kind: str, fault: str) -> dict[str, Any]:
    """Return the facts of a job that has ended, or was never created.

    Args:
        probe: the run.
        kind: ``transform`` or ``processing``.
        fault: why the job failed; empty if it did not.
    """
    job = probe.job(kind)
    described = _description(probe, job)
    lines = [] if described["status"] == NEVER else _log_of(probe, job)
    facts: dict[str, Any] = {"fault": fault, **described}
    facts["ready"] = _event(lines, frozenset({"ready"}))
    facts["work"] = _event(lines, _WORK)
    facts |= _FACTS[kind](probe)
    if fault:
        facts["log"] = [probe.hide_names(line) for line in lines[-_LAST_LINES:]]
    return facts


def _description(probe: Probe, job: Job) -> dict[str, Any]:
    """Return state, instances and times from the description of a job, if there is one."""
    try:
        described = job.describe(probe.cloud)
    except CloudError:
        return {"status": NEVER}
    key = job.kind.key.removesuffix("Job")
    resources = described.get("TransformResources") or described.get("ProcessingResources", {}).get(
        "ClusterConfig", {}
    )
    created = described.get("CreationTime")
    began, ended = described.get(f"{key}StartTime"), described.get(f"{key}EndTime")
    return {
        "status": job.status(described),
        "reason": probe.hide_names(how_it_ended(job, described)),
        "instance_type": resources.get("InstanceType"),
        "instances": resources.get("InstanceCount"),
        "seconds_to_start": _seconds(created, began),
        "seconds_running": _seconds(began, ended),
    }


def _seconds(begin: datetime | None, end: datetime | None) -> float | None:
    return None if begin is None or end is None else round((end - begin).total_seconds(), 1)


def _log_of(probe: Probe, job: Job) -> list[str]:
    """Return the lines of the log, without the names of its streams."""
    end = time.monotonic() + _LOG_SECONDS
    while True:
        try:
            lines = [_STREAM.sub("", line) for line in LogTail(probe.cloud, job).lines()]
        except CloudError as error:
            return [f"the log cannot be read: {error}"]
        if _event(lines, _WORK) or time.monotonic() > end:
            return lines
        time.sleep(_LOG_POLL)


def _event(lines: list[str], names: frozenset[str]) -> dict[str, Any]:
    """Return the fields of the first line of the log about one of these events; maybe empty."""
    for line in lines:
        try:
            fields = json.loads(line)
        except ValueError:
            continue  # of SageMaker, or of a library
        if isinstance(fields, dict) and fields.get("event") in names:
            return fields
    return {}


def _transform_facts(probe: Probe) -> dict[str, Any]:
    """Return the names of the results, and what was found in the result."""
    names = _names(probe, "transform/")
    results = [name for name in names if name.endswith(SUFFIX)]
    return {"objects": names, **_result(probe, [f"transform/{name}" for name in results])}


def _processing_facts(probe: Probe) -> dict[str, Any]:
    """Return the facts of the doctor, the names that the job saw, and those of its results."""
    names, place = _names(probe, "processing/"), probe.place("processing/")
    doctor: dict[str, Any] = {}
    if _DOCTOR in names:
        doctor = json.loads(read_object(probe.cloud, probe.place(f"processing/{_DOCTOR}")))
    lines = read_reports(probe.cloud, place, list_objects(probe.cloud, place))
    results = [line.output for line in lines.values() if line.done]
    return {
        "doctor": doctor,
        "names_of_inputs": [_without_folder(probe, name) for name in lines],
        "layout": [_layout(probe, name) for name in lines],
        "objects": names,
        **_result(probe, [f"processing/{name}" for name in results]),
    }


_FACTS: Mapping[str, Callable[[Probe], dict[str, Any]]] = {
    "transform": _transform_facts,
    "processing": _processing_facts,
}


def _layout(probe: Probe, name: str) -> str:
    """Say how a job named its input.

    The other answers than the first one show that SageMaker keeps more of a key than this project
    assumes.
    """
    (key,) = probe.inputs.keys
    possible = names_of(key, probe.inputs.prefix.key)
    if name not in possible:
        return "another name"
    places = {0: "without the prefix", len(possible) - 1: "whole key"}
    return places.get(possible.index(name), "with a part of the prefix")


def _without_folder(probe: Probe, name: str) -> str:
    return name.replace(probe.folder.key, "PREFIX/")


def _names(probe: Probe, below: str) -> list[str]:
    place = probe.place(below)
    found = (item.key.removeprefix(place.key) for item in list_objects(probe.cloud, place))
    return [_without_folder(probe, name) for name in found]


def _result(probe: Probe, names: list[str]) -> dict[str, Any]:
    """Compare the only result with the video."""
    if len(names) != 1:
        return {"result": {"fault": f"there are {len(names)} results, not one"}}
    place = probe.place(names[0].replace("PREFIX/", probe.folder.key))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "result"
        where = {"Bucket": place.bucket, "Key": place.key, "Filename": str(path)}
        try:
            probe.cloud.read("s3", "download_file", **where)
            match = check_result(path, probe.video)
        except FaceBlurError as error:
            return {"result": {"name": names[0], "fault": probe.hide_names(str(error))}}
    return {"result": {"name": names[0], "frames": match.frames, "sounds": match.sounds}}
