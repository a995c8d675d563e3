"""SageMaker jobs: what their requests need, and finding, watching and stopping them."""

import math
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
_NOT_FOUND = frozenset({"ValidationException", "ResourceNotFound"})
_NO_IMAGE = frozenset({"ImageNotFoundException", "RepositoryNotFoundException"})
_ACCOUNT = "ACCOUNT"
"""Stands for the number of the account in a dry run without credentials."""
_POLL_STOPPING = 2.0
_MAX_FAILED_POLLS = 5
"""Failed polls in a row before watching stops: a short network failure must not end it."""


def unique_name(project: str) -> str:
    """Return a new job name: names are unique in a region, including those of ended jobs."""
    moment = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    return f"{project}-{moment}-{secrets.token_hex(2)}"


def vpc(variables: Variables) -> dict[str, Any]:
    """Return the network of a container; empty without subnets."""
    if not variables.subnets:
        return {}
    subnets, groups = list(variables.subnets), list(variables.security_groups)
    return {"VpcConfig": {"Subnets": subnets, "SecurityGroupIds": groups}}


def volume_key(variables: Variables, instance_type: str) -> dict[str, str]:
    """Return the key of the disks; instance types with local disks refuse one."""
    if not variables.kms_key or has_own_disk(instance_type):
        return {}
    return {"VolumeKmsKeyId": variables.kms_key}


def image_uri(cloud: Cloud) -> str:
    """Return the image to run, by digest: a job must not run another image than the one it names.

    Raises:
        CloudError: no image has this tag.
    """
    variables = cloud.variables
    if variables.image_uri:
        return variables.image_uri
    try:
        return f"{repository_uri(cloud)}@{describe_image(cloud)['imageDigest']}"
    except CloudError as error:
        if error.reason not in _NO_IMAGE:
            raise
        raise CloudError(
            f"{error}; push an image with scripts/push_image.py, or set IMAGE_TAG or IMAGE_URI",
            error.reason,
        ) from error


def repository_uri(cloud: Cloud) -> str:
    """Return the repository as ``REGISTRY/NAME``.

    Raises:
        CloudError: there is no such repository.
    """
    name = cloud.repository
    if cloud.blind:
        return f"{_ACCOUNT}.dkr.ecr.{cloud.variables.region}.amazonaws.com/{name}"
    found = cloud.read("ecr", "describe_repositories", repositoryNames=[name])
    (repository,) = found["repositories"]
    return str(repository["repositoryUri"])


def describe_image(cloud: Cloud) -> dict[str, Any]:
    """Describe the image with the tag of the variables."""
    image = {"imageTag": cloud.variables.tag}
    found = cloud.read("ecr", "describe_images", repositoryName=cloud.repository, imageIds=[image])
    (described,) = found["imageDetails"]
    return dict(described)


@dataclass(frozen=True, slots=True)
class JobKind:
    """The names that the API uses for a kind of job."""

    noun: str
    key: str
    log_group: str

    @property
    def describe(self) -> str:
        """The client method that describes a job."""
        return f"describe_{self.noun}_job"

    @property
    def stop(self) -> str:
        """The client method that stops a job."""
        return f"stop_{self.noun}_job"


KINDS = {
    "transform": JobKind("transform", "TransformJob", "/aws/sagemaker/TransformJobs"),
    "processing": JobKind("processing", "ProcessingJob", "/aws/sagemaker/ProcessingJobs"),
}


@dataclass(frozen=True, slots=True)
class Job:
    """A job, identified by its name."""

    kind: JobKind
    name: str

    def describe(self, cloud: Cloud) -> dict[str, Any]:
        """Return the description of the job.

        Raises:
            CloudError: the job does not exist.
        """
        return cloud.read("sagemaker", self.kind.describe, **{f"{self.kind.key}Name": self.name})

    def status(self, description: dict[str, Any]) -> str:
        """Return the state from a description: one of ``ENDED``, InProgress or Stopping."""
        return str(description[f"{self.kind.key}Status"])

    def stop(self, cloud: Cloud) -> None:
        """Request that the job stops."""
        cloud.change("sagemaker", self.kind.stop, **{f"{self.kind.key}Name": self.name})


def tags_of(cloud: Cloud, kind: JobKind, description: dict[str, Any]) -> list[dict[str, str]]:
    """Return the tags of a job.

    Raises:
        CloudError: they cannot be listed.
    """
    arn = description[f"{kind.key}Arn"]
    return list(cloud.pages("sagemaker", "list_tags", "Tags", ResourceArn=arn))


def find_job(cloud: Cloud, name: str) -> tuple[Job, dict[str, Any]]:
    """Find a job of either kind by its name; return it with its description.

    Raises:
        CloudError: the job does not exist.
        UntaggedError: the job does not have the tag of the project.
    """
    for kind in KINDS.values():
        job = Job(kind, name)
        try:
            description = job.describe(cloud)
        except CloudError as error:
            if error.reason not in _NOT_FOUND:
                raise
            continue
        if not has_project_tag(tags_of(cloud, kind, description), cloud.variables.project):
            raise UntaggedError(f"{name}: does not have the tag of {cloud.variables.project}")
        return job, description
    raise CloudError(f"{name}: no such job in {cloud.variables.region}")


@dataclass
class LogTail:
    """The log of a job, read incrementally; each instance has its own streams."""

    cloud: Cloud
    job: Job
    _tokens: dict[str, str] = field(default_factory=dict)

    def lines(self) -> Iterator[str]:
        """Yield the new lines, each prefixed with the short name of its stream.

        Raises:
            CloudError: the log cannot be read.
        """
        for stream in self._streams():
            yield from self._new(stream)

    def _streams(self) -> list[str]:
        try:
            found = self.cloud.pages(
                "logs",
                "describe_log_streams",
                "logStreams",
                logGroupName=self.job.kind.log_group,
                logStreamNamePrefix=f"{self.job.name}/",
            )
            return [stream["logStreamName"] for stream in found]
        except CloudError as error:
            # The log group does not exist before the first job of an account.
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
            # An unchanged token marks the end.
            if not answer["events"] or answer["nextForwardToken"] == token:
                return


@contextmanager
def stop_on_interrupt(cloud: Cloud, job: Job) -> Iterator[None]:
    """Stop the job on Ctrl-C and SIGTERM, even while it is being created.

    Raises:
        Interrupted: one of them arrived.
    """
    try:
        yield
    except KeyboardInterrupt:
        _stop(cloud, job)
        raise Interrupted(f"{job.name} was stopped") from None


def _stop(cloud: Cloud, job: Job) -> None:
    cloud.say(f"stopping {job.name}; press Ctrl-C again to leave without waiting")
    try:
        job.stop(cloud)
        while job.status(job.describe(cloud)) not in ENDED:
            time.sleep(_POLL_STOPPING)
    except CloudError as error:
        raise Interrupted(
            f"{job.name} may still be running: it could not be stopped: {error}"
        ) from error
    except KeyboardInterrupt:
        raise Interrupted(f"left {job.name}, which may not have stopped yet") from None


def watch(
    cloud: Cloud,
    job: Job,
    done: Callable[[], int],
    expected: int,
    poll: float,
    *,
    most: float = math.inf,
) -> dict[str, Any]:
    """Wait until a job ends, reporting its progress; return its last description.

    Args:
        cloud: the account.
        job: the job, already created.
        done: counts the results so far.
        expected: number of results at the end.
        poll: seconds between polls.
        most: the longest time to wait, in seconds.

    Raises:
        JobFailed: the job failed or was stopped.
        CloudError: the job could not be polled several times in a row, or has not ended in time.
    """
    progress = _Progress(cloud, LogTail(cloud, job), expected, time.monotonic())
    failed = 0
    while True:
        try:
            description = job.describe(cloud)
            progress.show(job.status(description), done)
            failed = 0
        except CloudError as error:
            failed += 1
            if failed == _MAX_FAILED_POLLS:
                raise CloudError(f"{job.name} continues, but cannot be watched: {error}") from error
        else:
            if job.status(description) in ENDED:
                return _ended(job, description)
            if time.monotonic() - progress.began > most:
                raise CloudError(f"{job.name} has not ended after {_clock(most)}")
        time.sleep(poll)


@dataclass
class _Progress:
    """The progress report of a job."""

    cloud: Cloud
    tail: LogTail
    expected: int
    began: float
    shown: str = ""

    def show(self, status: str, done: Callable[[], int]) -> None:
        """Print new log lines, and the state if it changed."""
        for line in self.tail.lines():
            self.cloud.say(line)
        line = f"{status}: {done()} of {self.expected} done"
        if line != self.shown:
            self.cloud.say(f"{line}, after {_clock(time.monotonic() - self.began)}")
            self.shown = line


def _ended(job: Job, description: dict[str, Any]) -> dict[str, Any]:
    if job.status(description) == "Completed":
        return description
    raise JobFailed(how_it_ended(job, description))


def how_it_ended(job: Job, description: dict[str, Any]) -> str:
    """Return how a job ended, with the reasons that AWS and its container give; empty for success.

    >>> job = Job(KINDS["transform"], "one")
    >>> how_it_ended(job, {"TransformJobStatus": "Failed", "FailureReason": "AlgorithmError: 1"})
    'one failed: AlgorithmError: 1'
    """
    status = job.status(description)
    if status == "Completed":
        return ""
    # ExitMessage is the message of a processing job's container.
    reasons = [
        str(description[key]) for key in ("FailureReason", "ExitMessage") if description.get(key)
    ]
    how = "failed" if status == "Failed" else "was stopped"
    return ": ".join([f"{job.name} {how}", *reasons])


def check_complete(job: Job, done: int, expected: int) -> None:
    """Check that a job that ended without an error has all its results.

    Raises:
        JobFailed: it has not.
    """
    if done < expected:
        raise JobFailed(f"{job.name} completed, but has {done} of {expected} results")


def _clock(seconds: float) -> str:
    """Format seconds as hours, minutes and seconds.

    >>> _clock(3725)
    '1:02:05'
    """
    minutes, second = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{second:02}"


def check_ended(job: Job, description: dict[str, Any]) -> None:
    """Check that a job has ended, so that another job can resume it.

    Raises:
        UsageError: the job is still active.
    """
    if job.status(description) not in ENDED:
        raise UsageError(f"{job.name} is {job.status(description)}; wait until it ends, or stop it")
