"""An instance of an asynchronous endpoint: a container that works on one request at a time."""

import json
import queue
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from app.errors import FaceBlurError
from scripts.aws.objects import S3Uri
from scripts.aws.scaling import VARIANT
from scripts.local.containers import Container, Launcher, LogStream, free_ports
from scripts.local.invocation import BadStatus, IncompleteResponse, Payload, SourceError, invoke
from scripts.local.starting import NotStarted, unpack_model, wait_until_ready
from scripts.local.transformer import S3_ERRORS, Timeouts

_POLL_SECONDS = 0.05
"""Seconds between looks whether the instance has to end."""
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Version:
    """A model and a configuration, as an instance needs them."""

    config: str
    environment: Mapping[str, str]
    model_data: S3Uri | None
    output: S3Uri
    failure: S3Uri
    kms_key: str = ""
    success_topic: str = ""
    error_topic: str = ""


@dataclass(frozen=True, slots=True)
class Invocation:
    """A request in the queue; ``timeout`` and ``ttl`` are seconds."""

    name: str
    source: S3Uri
    output: S3Uri
    failure: S3Uri
    headers: Mapping[str, str]
    timeout: float
    ttl: float
    received: float = field(default_factory=time.time)


class _Failed(FaceBlurError):
    """A request has no result; the message is the reason."""


@dataclass(frozen=True, slots=True)
class Account:
    """The clients, the region and the name of the endpoint."""

    endpoint: str
    region: str
    s3: Any
    sns: Any
    logs: Any


class Instance(threading.Thread):
    """An instance of an endpoint; ``ready`` is set when it has started, or has failed to.

    Args:
        version: what it runs.
        waiting: requests that wait; instances take them from here.
        account: the account.
        launcher: starts the container.
        timeouts: the timeouts of SageMaker.
    """

    def __init__(
        self,
        version: Version,
        waiting: "queue.Queue[Invocation]",
        account: Account,
        launcher: Launcher,
        timeouts: Timeouts,
    ) -> None:
        super().__init__(name=f"instance of {account.endpoint}", daemon=True)
        self.version, self._waiting, self._account = version, waiting, account
        self._launcher, self._timeouts = launcher, timeouts
        self._stopping, self._retiring = threading.Event(), threading.Event()
        self.ready, self.failure = threading.Event(), ""

    def retire(self) -> None:
        """End after the present request."""
        self._retiring.set()

    def stop(self) -> None:
        """End now: the present request has no answer."""
        self._stopping.set()

    def run(self) -> None:
        """Start the container, work on requests, and stop the container."""
        name = f"{VARIANT}/i-{uuid4().hex[:17]}"
        group = f"/aws/sagemaker/Endpoints/{self._account.endpoint}"
        with ExitStack() as stack:
            stack.callback(self.ready.set)
            streams = [
                stack.enter_context(LogStream(self._account.logs, one, group))
                for one in (name, f"{name}/data-log")
            ]
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="instance-")))
            try:
                self._run(folder, *streams)
            except NotStarted as error:
                self.failure = str(error)
                streams[1].service_line(self.failure)

    def _run(self, folder: Path, printed: LogStream, log: LogStream) -> None:
        version = self.version
        model = unpack_model(self._account.s3, version.model_data, folder)
        (port,) = free_ports(1)
        container = self._launcher.launch(version.environment, model, port, printed.line)
        ender = threading.Thread(target=self._end, args=(container,), daemon=True)
        ender.start()
        try:
            if not wait_until_ready(container, self._timeouts, self._stopping):
                raise NotStarted("ClientError", "it was stopped")
            self.ready.set()
            self._serve(container, log, folder)
        finally:
            self.stop()
            ender.join()

    def _end(self, container: Container) -> None:
        """Stop the container as soon as that is asked for, also during a request."""
        self._stopping.wait()
        container.stop(self._timeouts.kill_after)

    def _serve(self, container: Container, log: LogStream, folder: Path) -> None:
        while not (self._stopping.is_set() or self._retiring.is_set()):
            try:
                one = self._waiting.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                continue
            result = folder / "result"
            try:
                kind = self._invoke(container, one, result)
                if not self._stopping.is_set():
                    self._store(one, result, kind)
            except _Failed as error:
                if not self._stopping.is_set():
                    log.service_line(f"{one.name}: {error}")
                    self._fail(one, str(error))
            finally:
                result.unlink(missing_ok=True)

    def _invoke(self, container: Container, one: Invocation, result: Path) -> str:
        """Send a request to the container; return the content type of the result."""
        if time.time() - one.received > one.ttl:
            raise _Failed("ClientError: the request expired in the queue")
        if container.exit_code() is not None:
            raise _Failed("AlgorithmError: the model container has exited")
        place = {"Bucket": one.source.bucket, "Key": one.source.key}
        try:
            found = self._account.s3.get_object(**place)
        except S3_ERRORS as error:
            raise _Failed(
                f"ClientError: the input cannot be read: {type(error).__name__}"
            ) from error
        payload = Payload(_blocks(found["Body"]), found["ContentLength"], one.headers)
        try:
            return invoke(container.port, payload, one.timeout, result, strict=True)
        except BadStatus as error:
            kind = "client" if error.status < 500 else "server"
            raise _Failed(
                f"Received {kind} error ({error.status}) from primary with message "
                f'"{error.message}"'
            ) from error
        except (IncompleteResponse, SourceError) as error:
            raise _Failed(f"AlgorithmError: {error}") from error

    def _store(self, one: Invocation, result: Path, kind: str) -> None:
        extra = {"ContentType": kind}
        if self.version.kms_key:
            extra |= {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": self.version.kms_key}
        try:
            self._account.s3.upload_file(
                str(result), one.output.bucket, one.output.key, ExtraArgs=extra
            )
        except S3_ERRORS as error:
            raise _Failed(f"the result cannot be stored: {type(error).__name__}") from error
        told = {"contentType": kind, "outputLocation": str(one.output)}
        facts = {"invocationStatus": "Completed", "responseParameters": told}
        self._tell(self.version.success_topic, one, facts)

    def _fail(self, one: Invocation, reason: str) -> None:
        place = {"Bucket": one.failure.bucket, "Key": one.failure.key}
        self._account.s3.put_object(Body=reason.encode(), **place)
        facts = {"invocationStatus": "Failed", "failureReason": reason}
        self._tell(self.version.error_topic, one, facts)

    def _tell(self, topic: str, one: Invocation, facts: Mapping[str, Any]) -> None:
        """Send a message with the fields that AWS documents."""
        # https://docs.aws.amazon.com/sagemaker/latest/dg/async-inference-check-predictions.html
        if not topic:
            return
        asked = {"endpointName": self._account.endpoint, "inputLocation": str(one.source)}
        message = {
            "awsRegion": self._account.region,
            "eventTime": datetime.now(UTC).isoformat(),
            "receivedTime": datetime.fromtimestamp(one.received, UTC).isoformat(),
            **facts,
            "requestParameters": asked,
            "inferenceId": one.name,
            "eventVersion": "1.0",
            "eventSource": "aws:sagemaker",
            "eventName": "InferenceResult",
        }
        self._account.sns.publish(TopicArn=topic, Message=json.dumps(message))


def _blocks(body: Any) -> Iterator[bytes]:
    with body:
        yield from body.iter_chunks(_BLOCK)
