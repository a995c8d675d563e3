"""Start an instance: unpack its model, and wait until its container answers ``/ping``."""

import tarfile
import threading
import time
import zlib
from pathlib import Path
from typing import Any

from app.errors import FaceBlurError
from scripts.aws.objects import S3Uri
from scripts.local.containers import Container
from scripts.local.invocation import ping
from scripts.local.transformer import S3_ERRORS, Fault, Timeouts

_UNPACKING_ERRORS = (OSError, EOFError, KeyError, RecursionError, tarfile.TarError, zlib.error)
"""Errors of damaged archives; the third and fourth of links to themselves."""
_NO_PING = (
    "Model container failed to respond to ping. Please ensure /ping endpoint is implemented and "
    "responds with an HTTP 200 status code"
)


class NotStarted(FaceBlurError):
    """An instance failed to start; the message is the FailureReason of the job."""

    def __init__(self, fault: Fault, reason: str) -> None:
        super().__init__(f"{fault}: {reason}")
        self.fault = fault


def unpack_model(s3: Any, place: S3Uri | None, folder: Path) -> Path | None:
    """Unpack the archive of a model below ``folder``, and return where; None without an archive.

    Raises:
        NotStarted: it cannot be unpacked.
    """
    if place is None:
        return None
    archive, model = folder / "model.tar.gz", folder / "model"
    try:
        s3.download_file(place.bucket, place.key, str(archive))
        model.mkdir()
        with tarfile.open(archive) as tar:
            tar.extractall(model, filter="data")
    except (*S3_ERRORS, *_UNPACKING_ERRORS) as error:
        reason = f"the model archive cannot be unpacked: {type(error).__name__}"
        raise NotStarted("ClientError", reason) from error
    return model


def wait_until_ready(container: Container, timeouts: Timeouts, stopping: threading.Event) -> bool:
    """Wait until the container is ready; return False if it was stopped first.

    Raises:
        NotStarted: it exits, or does not become ready in time.
    """
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
