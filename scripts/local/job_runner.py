"""Run a job: find its objects, distribute them to instances, and combine the outcomes.

An instance is one container, from start to stop.
"""

import tempfile
import threading
import uuid
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from scripts.local.containers import Container, Launcher, LogStream, free_ports
from scripts.local.invocation import IncompleteResponse, execution_parameters
from scripts.local.job import InputError, Job, JobObject, Request, distribute, find_objects
from scripts.local.starting import NotStarted, unpack_model, wait_until_ready
from scripts.local.transformer import Context, Outcome, Timeouts, Transformer

_DEFAULT_CONCURRENT = 1
_DEFAULT_PAYLOAD_MB = 6
_MAX_CONCURRENT_PAYLOAD_MB = 100
_POLL_SECONDS = 0.05
"""Seconds between checks for a request to stop the job."""
State: TypeAlias = Literal["Completed", "Failed", "Stopped"]
_SEE_LOGS = "See job logs for more information"


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
        job, timeouts = self._context.job, self._context.timeouts
        model = unpack_model(self._context.s3, job.model_data, self._folder)
        container = self._launcher.launch(job.environment, model, port, self._printed.line)
        try:
            if not wait_until_ready(container, timeouts, self._context.stopping):
                return [Outcome(item, "stopped") for item in items]
            return self._process(container, items)
        finally:
            container.stop(timeouts.kill_after)

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
