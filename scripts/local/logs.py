"""The log of a job in CloudWatch, as SageMaker writes it: two streams for each instance."""

import queue
import threading
import time
from datetime import UTC, datetime
from typing import Any, Self

from botocore.exceptions import ClientError

GROUP = "/aws/sagemaker/TransformJobs"
_MAX_LINES = 500
"""Maximum number of lines per call."""


class LogStream:
    """A stream of the log that keeps the order of its lines.

    Args:
        logs: a CloudWatch Logs client.
        name: name of the stream.
    """

    def __init__(self, logs: Any, name: str) -> None:
        self._logs, self._name = logs, name
        self._failure: Exception | None = None
        self._lines: queue.Queue[dict[str, Any] | None] = queue.Queue()
        _make_group(logs)
        logs.create_log_stream(logGroupName=GROUP, logStreamName=name)
        self._writer = threading.Thread(target=self._write, daemon=True)
        self._writer.start()

    def line(self, text: str) -> None:
        """Add a line; empty lines are dropped, as CloudWatch does not accept them."""
        if text:
            self._lines.put({"timestamp": round(time.time() * 1000), "message": text})

    def service_line(self, text: str) -> None:
        """Add a line in the format of SageMaker's own messages."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
        self.line(f"{now}:[sagemaker logs]: {text}")

    def _write(self) -> None:
        ended = False
        while not ended:
            batch = [self._lines.get()]
            while len(batch) < _MAX_LINES and not self._lines.empty():
                batch.append(self._lines.get())
            ended = None in batch
            events = [line for line in batch if line is not None]
            if events and self._failure is None:
                self._put(events)

    def _put(self, events: list[dict[str, Any]]) -> None:
        try:
            self._logs.put_log_events(
                logGroupName=GROUP, logStreamName=self._name, logEvents=events
            )
        except Exception as error:  # noqa: BLE001 - raised when the stream is closed
            self._failure = error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._lines.put(None)
        self._writer.join()
        if self._failure is not None:
            raise self._failure


def _make_group(logs: Any) -> None:
    """Create the group, unless it exists: another instance may just have created it."""
    try:
        logs.create_log_group(logGroupName=GROUP)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceAlreadyExistsException":
            raise
