"""gunicorn with one worker: what ``serve`` runs.

One worker holds the models once and has the device for itself; its threads answer pings while one
of them works. The models are loaded in the worker: what CUDA sets up does not survive a fork.
Until they are loaded the socket listens, and nobody answers; SageMaker asks again.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from gunicorn.app.base import BaseApplication  # type: ignore[import-untyped]
from gunicorn.workers.gthread import ThreadWorker  # type: ignore[import-untyped]

from app.config import ServiceSettings, Settings
from app.errors import ConfigError, FaceBlurError
from app.logs import LOGGER, LOGGING, public, start_logging

if TYPE_CHECKING:
    from flask import Flask

_SPARE_THREADS = 4
"""For pings, and for telling others that the service is busy."""
_GRACEFUL_SECONDS = 25
"""SageMaker kills 30 s after it has asked to stop."""
_BOOT_ERROR = 3
"""gunicorn's own code for a worker that cannot start: it ends then instead of trying again."""
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - no file of ours is there, gunicorn's heartbeat is


MODEL_PEOPLE = Path("/opt/ml/model/people")
"""Where SageMaker unpacks what the model brings with it."""


class Worker(ThreadWorker):  # type: ignore[misc]
    """A worker that also stops the work in progress when it has to stop."""

    wsgi: "Flask | None"

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """SIGTERM: running work may go on for a while."""
        self._stop(None)
        super().handle_exit(sig, frame)

    def handle_quit(self, sig: int, frame: FrameType | None) -> None:
        """SIGINT and SIGQUIT: stop at once."""
        self._stop(0)
        super().handle_quit(sig, frame)

    def _stop(self, grace: float | None) -> None:
        app = getattr(self, "wsgi", None)
        if app is not None:
            service = app.extensions["face_blur"]
            service.stop(service.limits.stop_seconds if grace is None else grace)


class Server(BaseApplication):  # type: ignore[misc]
    """gunicorn, set up for one service."""

    def __init__(
        self, settings: Settings, limits: ServiceSettings, people: str | None, port: int
    ) -> None:
        self._settings, self._limits, self._people, self._port = settings, limits, people, port
        self._spool = _make_spool(limits.spool)
        super().__init__()

    def load_config(self) -> None:
        """Everything that gunicorn is told."""
        options = {
            "bind": f"{self._limits.host}:{self._port}",
            "worker_class": f"{__name__}.{Worker.__name__}",
            "workers": 1,
            "threads": 1 + self._limits.queue + _SPARE_THREADS,
            "timeout": 120,
            "graceful_timeout": _GRACEFUL_SECONDS,
            "control_socket_disable": True,
            "worker_tmp_dir": _heartbeat_folder(),
            "logconfig_dict": LOGGING,
            "on_exit": lambda _: shutil.rmtree(self._spool, ignore_errors=True),
        }
        for key, value in options.items():
            self.cfg.set(key, value)

    def load(self) -> "Flask":
        """Load models and people, in the worker; on failure say why, and end."""
        # Models and media libraries belong to the worker; the process above it stays small.
        from app.pipeline import share_one_heap
        from app.web.routes import make_app
        from app.web.service import load_service

        share_one_heap()
        try:
            service = load_service(self._settings, self._limits, self._people, self._spool)
        except FaceBlurError as error:
            _say_why(error)
            sys.exit(_BOOT_ERROR)
        LOGGER.info("ready", extra={"fields": {"people": len(service.face_blur.gallery.people)}})
        return make_app(service)


def main(environment: Mapping[str, str] = os.environ) -> int:
    """Serve until a signal comes; returns an exit code where nothing could be started."""
    start_logging()
    try:
        people = people_place(environment)
        settings = Settings.load(**({} if people is None else {"people": Path(people)}))
        server = Server(settings, ServiceSettings.load(), people, _port(environment))
    except FaceBlurError as error:
        _say_why(error)
        return error.exit_code
    server.run()
    return 0


def people_place(environment: Mapping[str, str], usual: Path = MODEL_PEOPLE) -> str | None:
    """The folder or ``s3://`` prefix of the photos, None where there are none."""
    given = environment.get("FACE_BLUR_PEOPLE")
    if given:
        return given
    return str(usual) if usual.is_dir() else None


def _say_why(error: FaceBlurError) -> None:
    fields = {"code": error.code, "message": public(str(error))}
    LOGGER.critical("not started", extra={"fields": fields})


def _port(environment: Mapping[str, str]) -> int:
    text = environment.get("SAGEMAKER_BIND_TO_PORT") or "8080"
    if not (text.isascii() and text.isdigit() and int(text) < 2**16):
        raise ConfigError("SAGEMAKER_BIND_TO_PORT: is not the number of a port")
    return int(text)


def _make_spool(folder: Path | None) -> Path:
    """A folder of this process alone.

    Raises:
        ConfigError: it cannot be made.
    """
    try:
        return Path(tempfile.mkdtemp(dir=folder, prefix="face-blur-"))
    except OSError as error:
        raise ConfigError(f"spool: no folder can be made there: {error.strerror}") from error


def _heartbeat_folder() -> str | None:
    """Memory, where there is some: a heartbeat on a busy disk may come too late."""
    return str(_SHARED_MEMORY) if os.access(_SHARED_MEMORY, os.W_OK | os.X_OK) else None
