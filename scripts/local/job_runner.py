"""Run a job: find its objects, distribute them to instances, and combine the outcomes.

An instance is one container, from start to stop.
"""

import tarfile
import tempfile
import threading
import time
import uuid
import zlib
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from app.errors import FaceBlurError
from scripts.local.containers import Container, Launcher, LogStream, free_ports
from scripts.local.invocation import IncompleteResponse, execution_parameters, ping
from scripts.local.job import InputError, Job, JobObject, Request, distribute, find_objects
from scripts.local.transformer import S3_ERRORS, Context, Fault, Outcome, Timeouts, Transformer

_UNPACKING_ERRORS = (OSError, EOFError, KeyError, RecursionError, tarfile.TarError, zlib.error)
"""Errors of damaged archives; the third and fourth of links to themselves."""

_DEFAULT_CONCURRENT = 1
_DEFAULT_PAYLOAD_MB = 6
_MAX_CONCURRENT_PAYLOAD_MB = 100
_NO_PING = (
    "Model container failed to respond to ping. Please ensure /ping endpoint is implemented and "
    "responds with an HTTP 200 status code"
)
_POLL_SECONDS = 0.05
"""Seconds between checks for a request to stop the job."""
State: TypeAlias = Literal["Completed", "Failed", "Stopped"]
_SEE_LOGS = "See job logs for more information"


class NotStarted(FaceBlurError):
    """An instance failed to start; the message is the FailureReason of the job."""

    def __init__(self, fault: Fault, reason: str) -> None:
        super().__init__(f"{fault}: {reason}")
        self.fault = fault


class Instance:
    """An instance.

    Args:
        context: the job and its clients.
        launcher: starts the container.
        printed: log of the container.
        log: log of the service.
        folder: folder for temporary files.
    """

    def __init__(
        self,
        context: Context,
        launcher: Launcher,
        printed: LogStream,
        log: LogStream,
        folder: Path,
    ) -> None:
        self._context, self._launcher, self._folder = context, launcher, folder
        self._printed, self._log = printed, log

    def run(self, items: Sequence[JobObject], port: int) -> list[Outcome]:
        """Start the container, process the objects, and stop the container.

        Raises:
            NotStarted: the model archive cannot be unpacked, or the container does not become
                ready.
        """
        job, grace = self._context.job, self._context.timeouts.kill_after
        model = self._unpack_model()
        container = self._launcher.launch(job.environment, model, port, self._printed.line)
        try:
            if not self._wait_until_ready(container):
                return [Outcome(item, "stopped") for item in items]
            return self._process(container, items)
        finally:
            container.stop(grace)

    def _unpack_model(self) -> Path | None:
        place = self._context.job.model_data
        if place is None:
            return None
        archive, folder = self._folder / "model.tar.gz", self._folder / "model"
        try:
            self._context.s3.download_file(place.bucket, place.key, str(archive))
            folder.mkdir()
            with tarfile.open(archive) as tar:
                tar.extractall(folder, filter="data")
        except (*S3_ERRORS, *_UNPACKING_ERRORS) as error:
            reason = f"the model archive cannot be unpacked: {type(error).__name__}"
            raise NotStarted("ClientError", reason) from error
        return folder

    def _wait_until_ready(self, container: Container) -> bool:
        """Wait until the container is ready; return False if the job was stopped first."""
        timeouts, stopping = self._context.timeouts, self._context.stopping
        end = time.monotonic() + timeouts.ping
        while not stopping.is_set():
            began = time.monotonic()
            if (code := container.exit_code()) is not None:
                reason = f"Model container exited with code {code} before it was ready"
                raise NotStarted("AlgorithmError", reason)
            if began >= end:
                raise NotStarted("AlgorithmError", _NO_PING)
            if ping(container.port, min(timeouts.ping_timeout, end - began)):
                return True
            until = min(end, began + timeouts.ping_every)
            stopping.wait(max(0.0, until - time.monotonic()))
        return False

    def _process(self, container: Container, items: Sequence[JobObject]) -> list[Outcome]:
        concurrent, payload = self._limits(container)
        self._log.service_line(f"MaxConcurrentTransforms={concurrent}, MaxPayloadInMB={payload}")
        work = Transformer(self._context, container, payload, self._log, self._folder)
        outcomes: list[Outcome] = []
        with ThreadPoolExecutor(concurrent) as pool:
            running = {pool.submit(work.process, item) for item in items}
            while running and not self._context.stopping.is_set():
                done, running = wait(running, _POLL_SECONDS)
                outcomes += [future.result() for future in done]
            if running:
                container.stop(self._context.timeouts.kill_after)
            return outcomes + [future.result() for future in running]

    def _limits(self, container: Container) -> tuple[int, int]:
        """Return concurrent invocations and payload in MB: of the job, or else of the container."""
        job, preferred = self._context.job, self._preferred(container)
        concurrent = _choose(
            job.concurrent, preferred, "MaxConcurrentTransforms", _DEFAULT_CONCURRENT
        )
        payload = _choose(job.payload_mb, preferred, "MaxPayloadInMB", _DEFAULT_PAYLOAD_MB)
        if concurrent < 1 or not 0 <= concurrent * payload <= _MAX_CONCURRENT_PAYLOAD_MB:
            reason = f"MaxConcurrentTransforms={concurrent} with MaxPayloadInMB={payload}"
            raise NotStarted("AlgorithmError", f"not allowed: {reason}")
        return concurrent, payload

    def _preferred(self, container: Container) -> Request:
        try:
            return execution_parameters(container.port, self._context.timeouts.ping_timeout)
        except IncompleteResponse as error:
            raise NotStarted("AlgorithmError", str(error)) from error


def _choose(value: int | None, preferred: Request, name: str, default: int) -> int:
    if value is not None:
        return value
    chosen: Any = preferred.get(name, default)
    if not isinstance(chosen, int) or isinstance(chosen, bool):
        reason = f"/execution-parameters: {name} is not an integer"
        raise NotStarted("AlgorithmError", reason)
    return chosen


@dataclass(frozen=True, slots=True)
class JobResult:
    """How a job ended; ``reason`` is its FailureReason. Results of finished objects are kept."""

    state: State
    reason: str
    outcomes: tuple[Outcome, ...]


class JobRun:
    """A run of one job.

    Args:
        job: the job.
        s3: an S3 client.
        logs: a CloudWatch Logs client.
        launcher: starts the containers.
        timeouts: the timeouts of SageMaker.
    """

    def __init__(
        self, job: Job, s3: Any, logs: Any, launcher: Launcher, timeouts: Timeouts | None = None
    ) -> None:
        self._logs, self._launcher = logs, launcher
        self._stopping = threading.Event()
        self._context = Context(job, s3, timeouts or Timeouts(), self._stopping)

    def stop(self) -> None:
        """Stop soon: containers are stopped, and results of unfinished objects are not stored."""
        self._stopping.set()

    def run(self) -> JobResult:
        """Run the job; its errors are part of the result."""
        job = self._context.job
        try:
            items = find_objects(self._context.s3, job)
        except InputError as error:
            return JobResult("Failed", f"ClientError: {error}", ())
        shares = [share for share in distribute(items, job.instances) if share]
        with ThreadPoolExecutor(len(shares)) as pool:
            ports = free_ports(len(shares))
            running = [
                (share, pool.submit(self._instance, share, port))
                for share, port in zip(shares, ports, strict=True)
            ]
        return self._ended(running)

    def _instance(self, items: Sequence[JobObject], port: int) -> list[Outcome]:
        name = f"{self._context.job.name}/i-{uuid.uuid4().hex[:17]}"
        with ExitStack() as stack:
            printed = stack.enter_context(LogStream(self._logs, name))
            log = stack.enter_context(LogStream(self._logs, f"{name}/data-log"))
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="instance-"))
            instance = Instance(self._context, self._launcher, printed, log, Path(folder))
            try:
                return instance.run(items, port)
            except NotStarted as error:
                log.service_line(str(error))
                raise

    def _ended(self, running: Sequence[tuple[list[JobObject], Future[list[Outcome]]]]) -> JobResult:
        outcomes: list[Outcome] = []
        reasons: list[str] = []
        for items, future in running:
            try:
                outcomes += future.result()
            except NotStarted as error:
                reasons.append(str(error))
                outcomes += [Outcome(item, "failed", error.fault, str(error)) for item in items]
        outcomes.sort(key=lambda outcome: outcome.item.source.key)
        faults = [outcome.fault for outcome in outcomes if outcome.fault is not None]
        reasons += [f"{fault}: {_SEE_LOGS}" for fault in sorted(set(faults))]
        if self._stopping.is_set():
            return JobResult("Stopped", "", tuple(outcomes))
        return JobResult("Failed" if faults else "Completed", (reasons or [""])[0], tuple(outcomes))
