"""The command ``serve``: gunicorn with one worker.

The only worker has a pool of child processes that work on media; ``app.workers`` decides on their
number. Its other threads answer pings during the work. The models are loaded in the children,
because the state of CUDA does not survive a fork. Until then the socket accepts connections without
answering, and SageMaker retries.
"""

import os
import resource
import shutil
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]

from app.config import ServiceSettings, Settings
from app.errors import ConfigError, FaceBlurError, reason_of
from app.isolation import Limits, Pool
from app.logs import LOGGER, LOGGING_CONFIG, configure_logging, redact
from app.temporary import make_folder, place_facts
from app.web.connections import PatientWorker
from app.workers import Shares

if TYPE_CHECKING:
    from flask import Flask

_SPARE_THREADS = 4
"""Threads for pings, and for responses that the service is busy."""
_GRACEFUL_SECONDS = 25
"""SageMaker kills the container 30 s after SIGTERM."""
_ENGINE = "app.web.engine"
"""The module that the child processes run."""
_BOOT_ERROR = 3
"""gunicorn's exit code of a worker that cannot start; gunicorn then ends and does not retry."""
_CONNECTIONS = 8192
"""Open connections, most of them idle: each needs 3 KB. The oldest idle one is closed for a new one
at this limit."""
_OTHER_FILES = 128
"""Files that the service itself opens, with a large margin."""
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - only for gunicorn's heartbeat

MODEL_PEOPLE = Path("/opt/ml/model/people")
"""The folder of people in SageMaker's unpacked model archive."""


class Worker(PatientWorker):
    """A worker that also stops the running request when it stops."""

    wsgi: "Flask | None"

    @property
    def upload_rate(self) -> float:
        """The least average rate of an upload, in bytes per second."""
        return float(self.app.limits.min_rate)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """SIGTERM: let the running request continue for ``stop_seconds``."""
        self._stop(None)
        super().handle_exit(sig, frame)

    def handle_quit(self, sig: int, frame: FrameType | None) -> None:
        """SIGINT and SIGQUIT: stop the running request at once."""
        self._stop(0)
        super().handle_quit(sig, frame)

    def _stop(self, grace: float | None) -> None:
        app = getattr(self, "wsgi", None)
        if app is not None:
            service = app.extensions["face_blur"]
            service.stop(service.limits.stop_seconds if grace is None else grace)


class Server(BaseApplication):  # type: ignore[misc]
    """gunicorn, configured for one service."""

    def __init__(
        self, settings: Settings, limits: ServiceSettings, people: str | None, port: int
    ) -> None:
        self.limits = limits
        self._shares = Shares.of_machine(
            limits.workers, memory=limits.max_memory, threads=settings.threads
        )
        threads = self._shares.threads
        self._settings = settings if threads is None else settings.changed(threads=threads)
        self._people, self._port = people, port
        self._spool = _make_spool(limits.spool)
        super().__init__()

    def load_config(self) -> None:
        """Set the options of gunicorn."""
        options = {
            "bind": f"{_in_url(self.limits.host)}:{self._port}",
            "worker_class": f"{__name__}.{Worker.__name__}",
            "workers": 1,
            "threads": self._shares.workers + self.limits.queue + _SPARE_THREADS,
            "worker_connections": _connections(),
            "timeout": 120,
            "graceful_timeout": _GRACEFUL_SECONDS,
            "control_socket_disable": True,
            "worker_tmp_dir": _heartbeat_folder(),
            "logconfig_dict": LOGGING_CONFIG,
            "on_exit": lambda _: shutil.rmtree(self._spool, ignore_errors=True),
        }
        for key, value in options.items():
            self.cfg.set(key, value)

    def load(self) -> "Flask":
        """Load models and people in the children; on failure log the reason and exit."""
        for leftover in self._spool.iterdir():
            shutil.rmtree(leftover, ignore_errors=True)
        engines = self._launch_engines()
        # Imported while a child loads, and in the worker only, so that its parent stays small.
        from app.web.routes import make_app
        from app.web.service import load_service

        try:
            service, facts = load_service(engines, self._settings, self.limits, self._spool)
        except FaceBlurError as error:
            _log_failed_start(error)
            sys.exit(_BOOT_ERROR)
        # Without the folder's own name: the log shows which disk has the requests.
        fields = facts | {"workers": len(engines)} | place_facts(self._spool.parent)
        LOGGER.info("ready", extra={"fields": fields})
        return make_app(service)

    def _launch_engines(self) -> Pool:
        """Start the first of the child processes that work on media."""
        start = {
            "settings": self._settings.model_dump(mode="json", exclude_unset=True),
            # The children answer no requests, so they need no token.
            "limits": self.limits.model_dump(mode="json", exclude_unset=True, exclude={"token"}),
            "people": self._people,
            "spool": str(self._spool),
        }
        bounds = Limits(self._shares.memory, self.limits.stall_seconds)
        engines = Pool(_ENGINE, start, bounds, self._shares.workers)
        engines.launch(fork=threading.active_count() == 1)
        return engines


def main(environment: Mapping[str, str] = os.environ) -> int:
    """Serve until a signal arrives; return the exit code."""
    configure_logging()
    try:
        people = find_people(environment)
        settings = Settings.load(**({} if people is None else {"people": Path(people)}))
        server = Server(settings, ServiceSettings.load(), people, _port(environment))
    except FaceBlurError as error:
        _log_failed_start(error)
        return error.exit_code
    server.run()
    return 0


def find_people(environment: Mapping[str, str], default: Path = MODEL_PEOPLE) -> str | None:
    """Return the folder or ``s3://`` prefix of the photos, or None if there are none."""
    people = environment.get("FACE_BLUR_PEOPLE")
    if people:
        return people
    return str(default) if default.is_dir() else None


def _log_failed_start(error: FaceBlurError) -> None:
    fields = {"code": error.code, "message": redact(str(error))}
    LOGGER.critical("start failed", extra={"fields": fields})


def _port(environment: Mapping[str, str]) -> int:
    text = environment.get("SAGEMAKER_BIND_TO_PORT") or "8080"
    if not (text.isascii() and text.isdigit() and int(text) < 2**16):
        raise ConfigError("SAGEMAKER_BIND_TO_PORT: is not a port number")
    return int(text)


def _in_url(host: str) -> str:
    """Return an address as it is in a URL: that of IPv6 in brackets.

    >>> _in_url("::1"), _in_url("127.0.0.1")
    ('[::1]', '127.0.0.1')
    """
    return f"[{host}]" if ":" in host else host


def _make_spool(folder: Path | None) -> Path:
    """Create a folder that only this process uses.

    Raises:
        ConfigError: it cannot be created.
    """
    try:
        return make_folder(folder or Path(tempfile.gettempdir()), "face-blur-")
    except OSError as error:
        raise ConfigError(f"spool: no folder can be created there: {reason_of(error)}") from error


def _connections() -> int:
    """Raise the limit of open files, and return the number of connections that it allows."""
    soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _CONNECTIONS + _OTHER_FILES
    if soft < wanted:
        soft = wanted if most == resource.RLIM_INFINITY else min(wanted, most)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, most))
    return max(_OTHER_FILES, min(_CONNECTIONS, soft - _OTHER_FILES))


def _heartbeat_folder() -> str | None:
    """Return a folder in memory if there is one: a heartbeat on a busy disk may be too late."""
    return str(_SHARED_MEMORY) if os.access(_SHARED_MEMORY, os.W_OK | os.X_OK) else None
