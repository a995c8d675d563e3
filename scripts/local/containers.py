"""Start the service as SageMaker does, and write its log.

The service runs in a container, or as a program of this machine. The log is that of the job in
CloudWatch: two streams for each instance.
"""

import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, Self
from uuid import uuid4

from botocore.exceptions import ClientError

ROOT = Path(__file__).resolve().parents[2]
KILL_AFTER = 30.0
"""Seconds between the request to stop and the kill."""
PASSED_ON = ("HOME", "LANG", "LD_LIBRARY_PATH", "TMPDIR", "XDG_CACHE_HOME")
"""Environment variables that programs need; a container gets no other ones of the user."""

Line = Callable[[str], None]
"""Receives one line of a container's output."""
GROUP = "/aws/sagemaker/TransformJobs"
_MAX_LINES = 500
"""Maximum number of lines per call."""


class Container(Protocol):
    """A container that runs or has run."""

    port: int

    def exit_code(self) -> int | None:
        """Return the exit code; None while it runs."""

    def stop(self, grace: float = KILL_AFTER) -> None:
        """Stop the container; kill it and all its processes after ``grace`` seconds."""


class Launcher(Protocol):
    """Starts containers."""

    def launch(
        self, environment: Mapping[str, str], model: Path | None, port: int, line: Line
    ) -> Container:
        """Start a container; ``model`` is the folder for /opt/ml/model."""


def free_ports(count: int) -> list[int]:
    """Return different free ports of the loopback interface."""
    with ExitStack() as stack:
        servers = [
            stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)
        ]
        return [one.getsockname()[1] for one in servers]


class Program:
    """A process and its descendants, in their own session."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], port: int, line: Line
    ) -> None:
        self.port = port
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            command,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            text=True,
            errors="replace",
        )
        self._reader = threading.Thread(target=self._read, args=(line,), daemon=True)
        self._reader.start()

    def _read(self, line: Line) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for text in lines:
                line(text.rstrip("\n"))

    def exit_code(self) -> int | None:
        """See ``Container``."""
        return self._process.poll()

    def stop(self, grace: float = KILL_AFTER) -> None:
        """See ``Container``."""
        with self._lock:
            if self._process.poll() is None:
                self._process.terminate()
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(grace)
            with suppress(ProcessLookupError):  # descendants may still run
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._reader.join()


class ProgramLauncher:
    """Starts the program of the image without an image.

    Args:
        spool: folder for temporary files.
        command: the program (default: the entry point of the image).
    """

    def __init__(self, spool: Path, command: Sequence[str] | None = None) -> None:
        self._spool = spool
        self._command = command or (str(ROOT / "scripts" / "entrypoint.sh"), "serve")

    def launch(
        self, environment: Mapping[str, str], model: Path | None, port: int, line: Line
    ) -> Program:
        """See ``Launcher``. Settings replace /opt/ml/model, which cannot be created here."""
        variables = {key: os.environ[key] for key in PASSED_ON if key in os.environ}
        programs = str(Path(sys.executable).parent)
        variables["PATH"] = os.pathsep.join([programs, os.environ.get("PATH", os.defpath)])
        variables |= {"FACE_BLUR_HOST": "127.0.0.1", "FACE_BLUR_SPOOL": str(self._spool)}
        variables |= _settings_of(model) | dict(environment)
        variables["SAGEMAKER_BIND_TO_PORT"] = str(port)
        return Program(self._command, variables, port, line)


def _settings_of(model: Path | None) -> dict[str, str]:
    """Return the settings that make the service read a folder as it reads /opt/ml/model."""
    if model is None:
        return {}
    settings = {}
    if (model / "people").is_dir():
        settings["FACE_BLUR_PEOPLE"] = str(model / "people")
    if any(model.glob("*/pack.toml")):
        settings["FACE_BLUR_MODELS_ROOT"] = str(model)
    return settings


class ImageContainer:
    """A container of a Docker engine."""

    def __init__(self, engine: str, name: str, program: Program) -> None:
        self._engine, self._name, self._program = engine, name, program
        self.port = program.port

    def exit_code(self) -> int | None:
        """See ``Container``."""
        return self._program.exit_code()

    def stop(self, grace: float = KILL_AFTER) -> None:
        """See ``Container``; the engine counts whole seconds."""
        for command in (("stop", "--time", str(round(grace))), ("rm", "--force")):
            subprocess.run([self._engine, *command, self._name], capture_output=True, check=False)
        self._program.stop(grace)


class ImageLauncher:
    """Starts an image as SageMaker does: ``docker run IMAGE serve``.

    Args:
        image: name of the image.
        engine: program that runs it.
    """

    def __init__(self, image: str, engine: str = "docker") -> None:
        self._image, self._engine = image, engine

    def launch(
        self, environment: Mapping[str, str], model: Path | None, port: int, line: Line
    ) -> ImageContainer:
        """See ``Launcher``."""
        name = f"face-blur-{uuid4().hex[:12]}"
        command = [self._engine, "run", "--rm", "--name", name]
        command += ["--publish", f"127.0.0.1:{port}:8080"]
        if model is not None:
            command += ["--volume", f"{model}:/opt/ml/model:ro"]
        # Names only: values would be visible in the list of processes.
        for key in environment:
            command += ["--env", key]
        program = Program([*command, self._image, "serve"], os.environ | environment, port, line)
        return ImageContainer(self._engine, name, program)


class LogStream:
    """A stream of the log that keeps the order of its lines.

    Args:
        logs: a CloudWatch Logs client.
        name: name of the stream.
        group: name of its group.
    """

    def __init__(self, logs: Any, name: str, group: str = GROUP) -> None:
        self._logs, self._name, self._group = logs, name, group
        self._failure: Exception | None = None
        self._lines: queue.Queue[dict[str, Any] | None] = queue.Queue()
        _make_group(logs, group)
        logs.create_log_stream(logGroupName=group, logStreamName=name)
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
                logGroupName=self._group, logStreamName=self._name, logEvents=events
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


def _make_group(logs: Any, group: str) -> None:
    """Create the group, unless it exists: another instance may just have created it."""
    try:
        logs.create_log_group(logGroupName=group)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceAlreadyExistsException":
            raise
