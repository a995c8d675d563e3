"""Jobs of SageMaker: names, networks and disks for a request; finding, watching and stopping."""

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from app.errors import Interrupted, UsageError
from scripts.aws.cloud import Cloud, CloudError, JobFailed, UntaggedError, has_project_tag
from scripts.aws.limits import has_own_disk
from scripts.aws.variables import Variables

ENDED = frozenset({"Completed", "Failed", "Stopped"})
_ABSENT = frozenset({"ValidationException", "ResourceNotFound"})
_POLL_STOPPING = 2.0
_PATIENCE = 5
"""Looks in a row that may fail: a network that is away for a minute is no reason to give up."""


def unique_name(project: str) -> str:
    """A name for a job: no two jobs of a region may have the same, ended ones included."""
    moment = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    return f"{project}-{moment}-{secrets.token_hex(2)}"


def vpc(variables: Variables) -> dict[str, Any]:
    """The network of a container, if there are subnets."""
    if not variables.subnets:
        return {}
    subnets, groups = list(variables.subnets), list(variables.security_groups)
    return {"VpcConfig": {"Subnets": subnets, "SecurityGroupIds": groups}}


def volume_key(variables: Variables, instance_type: str) -> dict[str, str]:
    """The key of the disks; instances with disks of their own refuse one."""
    if not variables.kms_key or has_own_disk(instance_type):
        return {}
    return {"VolumeKmsKeyId": variables.kms_key}


@dataclass(frozen=True, slots=True)
class Kind:
    """What the API calls the things of a kind of jobs."""

    noun: str
    key: str
    log_group: str

    @property
    def describe(self) -> str:
        """The call that tells about a job."""
        return f"describe_{self.noun}_job"

    @property
    def stop(self) -> str:
        """The call that stops a job."""
        return f"stop_{self.noun}_job"


KINDS = {
    "transform": Kind("transform", "TransformJob", "/aws/sagemaker/TransformJobs"),
    "processing": Kind("processing", "ProcessingJob", "/aws/sagemaker/ProcessingJobs"),
}


@dataclass(frozen=True, slots=True)
class Job:
    """A job by its name."""

    kind: Kind
    name: str

    def describe(self, cloud: Cloud) -> dict[str, Any]:
        """All that the service tells about it.

        Raises:
            CloudError: there is no such job.
        """
        return cloud.read("sagemaker", self.kind.describe, **{f"{self.kind.key}Name": self.name})

    def status(self, told: dict[str, Any]) -> str:
        """Its state, out of what was told: one of ``ENDED``, InProgress or Stopping."""
        return str(told[f"{self.kind.key}Status"])

    def stop(self, cloud: Cloud) -> None:
        """Ask the service to end it."""
        cloud.change("sagemaker", self.kind.stop, **{f"{self.kind.key}Name": self.name})


def find_job(cloud: Cloud, name: str) -> tuple[Job, dict[str, Any]]:
    """The job of a name, of whichever kind, and what the service tells about it.

    Raises:
        CloudError: there is none.
        UntaggedError: it does not carry our tag.
    """
    for kind in KINDS.values():
        job = Job(kind, name)
        try:
            told = job.describe(cloud)
        except CloudError as error:
            if error.reason not in _ABSENT:
                raise
            continue
        tags = cloud.pages("sagemaker", "list_tags", "Tags", ResourceArn=told[f"{kind.key}Arn"])
        if not has_project_tag(tags, cloud.variables.project):
            raise UntaggedError(f"{name}: does not carry the tag of {cloud.variables.project}")
        return job, told
    raise CloudError(f"{name}: there is no such job in {cloud.variables.region}")


@dataclass
class LogTail:
    """What was logged by a job since it was asked last; streams are those of its instances."""

    cloud: Cloud
    job: Job
    _tokens: dict[str, str] = field(default_factory=dict)

    def lines(self) -> Iterator[str]:
        """New lines, each with the end of its stream's name before it.

        Raises:
            CloudError: they cannot be read.
        """
        for stream in self._streams():
            yield from self._new(stream)

    def _streams(self) -> list[str]:
        try:
            found = self.cloud.pages(
                "logs", "describe_log_streams", "logStreams",
                logGroupName=self.job.kind.log_group, logStreamNamePrefix=f"{self.job.name}/",
            )  # fmt: skip
            return [stream["logStreamName"] for stream in found]
        except CloudError as error:
            # The first job of an account makes the group.
            if error.reason == "ResourceNotFoundException":
                return []
            raise

    def _new(self, stream: str) -> Iterator[str]:
        request = {"logGroupName": self.job.kind.log_group, "logStreamName": stream}
        short = stream.removeprefix(f"{self.job.name}/")
        while True:
            token = self._tokens.get(stream)
            further = {"nextToken": token} if token else {}
            answer = self.cloud.read(
                "logs", "get_log_events", startFromHead=True, **request, **further
            )
            yield from (f"[{short}] {event['message'].rstrip()}" for event in answer["events"])
            self._tokens[stream] = answer["nextForwardToken"]
            # The end is where the token stays the same.
            if not answer["events"] or answer["nextForwardToken"] == token:
                return


@contextmanager
def stop_on_interrupt(cloud: Cloud, job: Job) -> Iterator[None]:
    """Work with a job that Ctrl-C stops, also while it is being made.

    Raises:
        Interrupted: it was.
    """
    try:
        yield
    except KeyboardInterrupt:
        _stop(cloud, job)
        raise Interrupted(f"{job.name} was stopped") from None


def _stop(cloud: Cloud, job: Job) -> None:
    cloud.say(f"stopping {job.name}; press Ctrl-C again to leave without waiting for that")
    try:
        job.stop(cloud)
        while job.status(job.describe(cloud)) not in ENDED:
            time.sleep(_POLL_STOPPING)
    except CloudError as error:
        raise Interrupted(
            f"{job.name} may be running still: it could not be stopped: {error}"
        ) from error
    except KeyboardInterrupt:
        raise Interrupted(f"left {job.name}, which may not have stopped yet") from None


def watch(
    cloud: Cloud, job: Job, done: Callable[[], int], expected: int, poll: float
) -> dict[str, Any]:
    """Wait until a job ends, and tell how far it is; returns what the service tells in the end.

    Args:
        cloud: the account.
        job: that was begun.
        done: counts the results that are there.
        expected: how many there will be.
        poll: seconds between looks.

    Raises:
        JobFailed: it failed, or somebody stopped it.
    """
    progress = _Progress(cloud, LogTail(cloud, job), expected, time.monotonic())
    failed = 0
    while True:
        try:
            told = job.describe(cloud)
            progress.show(job.status(told), done)
            failed = 0
        except CloudError as error:
            failed += 1
            if failed == _PATIENCE:
                raise CloudError(f"{job.name} goes on, but cannot be watched: {error}") from error
        else:
            if job.status(told) in ENDED:
                return _ended(job, job.status(told), told)
        time.sleep(poll)


@dataclass
class _Progress:
    """What is shown of a job while it goes on."""

    cloud: Cloud
    tail: LogTail
    expected: int
    began: float
    shown: str = ""

    def show(self, status: str, done: Callable[[], int]) -> None:
        """Show what is new."""
        for line in self.tail.lines():
            self.cloud.say(line)
        line = f"{status}: {done()} of {self.expected} done"
        if line != self.shown:
            self.cloud.say(f"{line}, after {_clock(time.monotonic() - self.began)}")
            self.shown = line


def _ended(job: Job, status: str, told: dict[str, Any]) -> dict[str, Any]:
    if status == "Completed":
        return told
    # ExitMessage is what a container of a processing job has to say.
    reasons = [str(told[key]) for key in ("FailureReason", "ExitMessage") if told.get(key)]
    how = "failed" if status == "Failed" else "was stopped"
    raise JobFailed(": ".join([f"{job.name} {how}", *reasons]))


def _clock(seconds: float) -> str:
    """Hours, minutes and seconds.

    >>> _clock(3725)
    '1:02:05'
    """
    minutes, second = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{second:02}"


def check_ended(job: Job, told: dict[str, Any]) -> None:
    """Whether a job has ended, so that another one may go on with it.

    Raises:
        UsageError: it has not.
    """
    if job.status(told) not in ENDED:
        raise UsageError(f"{job.name} is {job.status(told)}; wait for its end, or stop it")
