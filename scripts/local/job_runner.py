"""Run a job: find its objects, distribute them to instances, and combine the outcomes."""

import tempfile
import threading
import uuid
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from scripts.local.containers import Launcher, free_ports
from scripts.local.instance import Instance, NotStarted
from scripts.local.job import InputError, Job, JobObject, distribute, find_objects
from scripts.local.logs import LogStream
from scripts.local.transformer import Context, Outcome, Timeouts

State: TypeAlias = Literal["Completed", "Failed", "Stopped"]
_SEE_LOGS = "See job logs for more information"


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
