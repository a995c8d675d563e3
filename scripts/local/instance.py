"""One instance of a job: a container from start to stop."""

import tarfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

from app.errors import FaceBlurError
from scripts.local.containers import Container, Launcher
from scripts.local.invocation import IncompleteResponse, execution_parameters, ping
from scripts.local.job import JobObject, Request
from scripts.local.logs import LogStream
from scripts.local.transformer import S3_ERRORS, Context, Fault, Outcome, Transformer

_DEFAULT_CONCURRENT = 1
_DEFAULT_PAYLOAD_MB = 6
_MAX_CONCURRENT_PAYLOAD_MB = 100
_NO_PING = (
    "Model container failed to respond to ping. Please ensure /ping endpoint is implemented and "
    "responds with an HTTP 200 status code"
)
_POLL_SECONDS = 0.05
"""Seconds between checks for a request to stop the job."""


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
        except (*S3_ERRORS, OSError, tarfile.TarError) as error:
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
