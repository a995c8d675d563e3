"""Run the jobs of the first run, and remove what they leave behind."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Any

from scripts.aws.cloud import Cloud, CloudError, JobFailed
from scripts.aws.jobs import ENDED, Job, stop_on_interrupt, watch
from scripts.aws.objects import list_objects
from scripts.aws.probe_facts import find_facts
from scripts.aws.probe_requests import Probe
from scripts.aws.transform import SUFFIX

_STOP_POLL = 2.0


def run_job(
    probe: Probe, kind: str, create: Callable[[], None], poll: float, most: float
) -> dict[str, Any]:
    """Run a job, and return its facts; a failure is among them, as ``fault`` and ``log``.

    Args:
        probe: the run.
        kind: ``transform`` or ``processing``.
        create: creates the job.
        poll: seconds between polls.
        most: seconds after which the job is stopped.

    Raises:
        Interrupted: Ctrl-C or SIGTERM arrived; the job was stopped.
    """
    job, fault = probe.job(kind), ""
    try:
        with _left_ended(probe.cloud, job):
            create()
            if probe.cloud.dry_run:
                return {"fault": ""}
            watch(probe.cloud, job, lambda: _results(probe, kind), 1, poll, most=most)
    except (CloudError, JobFailed) as error:
        fault = probe.hide_names(str(error))
    return find_facts(probe, kind, fault)


@contextmanager
def _left_ended(cloud: Cloud, job: Job) -> Iterator[None]:
    """Stop the job if the block is left while it runs, for whatever reason."""
    with stop_on_interrupt(cloud, job):
        try:
            yield
        except CloudError:
            _stop(cloud, job)
            raise


def _stop(cloud: Cloud, job: Job) -> None:
    """Stop a job that may not exist, and wait for its end."""
    try:
        while (status := job.status(job.describe(cloud))) not in ENDED:
            if status == "InProgress":
                job.stop(cloud)
            time.sleep(_STOP_POLL)
    except CloudError as error:
        cloud.say(f"{job.name} is not known to have ended: {error}")


def _results(probe: Probe, kind: str) -> int:
    """Count the results so far: a video has the size of one."""
    items = list_objects(probe.cloud, probe.place(f"{kind}/"))
    return sum(PurePosixPath(item.key.removesuffix(SUFFIX)).suffix == ".mp4" for item in items)


def clean(probe: Probe) -> list[str]:
    """Delete all objects, unfinished uploads and the model of the run; return what is left."""
    left = []
    for delete in (_delete_objects, _delete_uploads, _delete_model):
        try:
            delete(probe)
        except CloudError as error:
            left.append(str(error))
        except KeyboardInterrupt:
            probe.cloud.say(f"left: objects below {probe.folder}, and maybe the model {probe.name}")
            raise
    return left


def _delete_objects(probe: Probe) -> None:
    if not probe.cloud.blind:
        for item in list_objects(probe.cloud, probe.folder):
            probe.cloud.change("s3", "delete_object", Bucket=probe.folder.bucket, Key=item.key)


def _delete_uploads(probe: Probe) -> None:
    if probe.cloud.blind:
        return
    place = {"Bucket": probe.folder.bucket, "Prefix": probe.folder.key}
    for one in probe.cloud.pages("s3", "list_multipart_uploads", "Uploads", **place):
        request = {"Bucket": place["Bucket"], "Key": one["Key"], "UploadId": one["UploadId"]}
        probe.cloud.change("s3", "abort_multipart_upload", **request)


def _delete_model(probe: Probe) -> None:
    try:
        probe.cloud.change("sagemaker", "delete_model", ModelName=probe.name)
    except CloudError as error:
        # Without a transform job there is none.
        if error.reason not in {"ValidationException", "ResourceNotFound"}:
            raise
