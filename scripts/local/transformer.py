"""Process one object: read it from S3, send it to the container, and store a complete result."""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, TypeAlias

from boto3.exceptions import Boto3Error
from botocore.exceptions import BotoCoreError, ClientError

from app.errors import FaceBlurError
from scripts.local.containers import KILL_AFTER, Container, LogStream
from scripts.local.invocation import BadStatus, IncompleteResponse, Payload, SourceError, invoke
from scripts.local.job import Job, JobObject

Fault: TypeAlias = Literal["ClientError", "AlgorithmError", "InternalServerError"]
S3_ERRORS = (Boto3Error, BotoCoreError, ClientError)

_EXIT_SECONDS = 1.0
"""A process that ends takes milliseconds to free its memory; more on a busy machine."""
_BLOCK = 1 << 20


def is_server_error(status: int | None) -> bool:
    """Retry server errors and missing responses (None); AWS does not document its own rule."""
    return status is None or status >= 500


@dataclass(frozen=True, slots=True)
class Timeouts:
    """The timeouts and retries of SageMaker, in seconds; ``ping`` limits the start of a container.

    ``retried`` returns whether to retry after a status; None stands for no response.
    """

    ping: float = 1800.0
    ping_every: float = 1.0
    ping_timeout: float = 2.0
    kill_after: float = KILL_AFTER
    retried: Callable[[int | None], bool] = is_server_error


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome for an object; only a failed one has a fault and a message."""

    item: JobObject
    state: Literal["done", "failed", "stopped"]
    fault: Fault | None = None
    message: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Context:
    """The state that all instances of a job share. ``stopping`` is set to stop the job."""

    job: Job
    s3: Any
    timeouts: Timeouts
    stopping: threading.Event


class _Failed(FaceBlurError):
    """Processing an object failed."""

    def __init__(self, fault: Fault, status: int | None, *lines: str) -> None:
        super().__init__(": ".join(lines))
        self.fault, self.status, self.lines = fault, status, lines


class Transformer:
    """Processes objects with one container.

    Args:
        context: the job and its clients.
        container: the container, ready.
        payload_mb: maximum size of an object; 0 sends any size in chunks.
        log: log of the service.
        folder: folder for results before they are stored.
    """

    def __init__(
        self,
        context: Context,
        container: Container,
        payload_mb: int,
        log: LogStream,
        folder: Path,
    ) -> None:
        self._context, self._container, self._log = context, container, log
        self._payload, self._folder = payload_mb, folder

    def process(self, item: JobObject) -> Outcome:
        """Process an object with all its retries; failures are part of the outcome."""
        began = time.monotonic()
        for attempt in range(self._context.job.retries + 1):
            try:
                stored = self._try(item)
            except _Failed as failed:
                seconds = time.monotonic() - began
                if self._context.stopping.is_set():
                    return Outcome(item, "stopped", seconds=seconds)
                for line in failed.lines:
                    self._log.service_line(f"{item}: {line}")
                last = attempt == self._context.job.retries
                if last or not self._context.timeouts.retried(failed.status):
                    return Outcome(item, "failed", failed.fault, str(failed), seconds)
            else:
                seconds = time.monotonic() - began
                return Outcome(item, "done" if stored else "stopped", seconds=seconds)
        raise AssertionError("there is at least one attempt")

    def _try(self, item: JobObject) -> bool:
        """Try once; return whether the result was stored, which a stopped job does not do."""
        if self._context.stopping.is_set():
            return False
        if self._payload and item.size > self._payload << 20:
            line = f"ClientError: larger than MaxPayloadInMB={self._payload}"
            raise _Failed("ClientError", 413, line)
        with TemporaryDirectory(dir=self._folder) as folder:
            result = Path(folder) / "result"
            self._invoke(item, result)
            if self._context.stopping.is_set():
                return False
            self._store(result, item)
        return True

    def _invoke(self, item: JobObject, result: Path) -> None:
        job = self._context.job
        if self._container.exit_code() is not None:
            raise _Failed("AlgorithmError", None, "the model container has exited")
        length = item.size if self._payload else None
        blocks = _blocks(self._context.s3, item)
        try:
            payload = Payload(blocks, length, job.headers)
            invoke(self._container.port, payload, job.timeout, result)
        except BadStatus as error:
            raise _bad_status(error) from error
        except IncompleteResponse as error:
            self._wait_for_exit()
            line = f"Unable to get response from algorithm: {error}"
            raise _Failed("AlgorithmError", None, line) from error
        except SourceError as error:
            raise _Failed("InternalServerError", None, str(error)) from error

    def _wait_for_exit(self) -> None:
        """Give a crashed container time to exit: its connections end before it does."""
        end = time.monotonic() + _EXIT_SECONDS
        while self._container.exit_code() is None and time.monotonic() < end:
            time.sleep(_EXIT_SECONDS / 50)

    def _store(self, result: Path, item: JobObject) -> None:
        extra = {}
        if self._context.job.kms_key:
            key = self._context.job.kms_key
            extra = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}
        try:
            self._context.s3.upload_file(
                str(result), item.result.bucket, item.result.key, ExtraArgs=extra
            )
        except S3_ERRORS as error:
            line = f"the result cannot be stored: {type(error).__name__}"
            raise _Failed("InternalServerError", None, line) from error


def _bad_status(error: BadStatus) -> _Failed:
    message = f"Message: {error.message}"
    if 400 <= error.status < 500:
        return _Failed("ClientError", error.status, f"ClientError: {error.status}", message)
    line = f"Bad HTTP status received from algorithm: {error.status}"
    return _Failed("AlgorithmError", error.status, line, message)


def _blocks(s3: Any, item: JobObject) -> Iterator[bytes]:
    body = s3.get_object(Bucket=item.source.bucket, Key=item.source.key)["Body"]
    with body:
        yield from body.iter_chunks(_BLOCK)
