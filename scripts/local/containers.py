"""What serves: the program of the image, started as SageMaker starts it."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Protocol
from uuid import uuid4

ROOT = Path(__file__).resolve().parents[2]
KILL_AFTER = 30.0
"""Seconds between the request to end and the end by force."""
_KEPT = ("HOME", "LANG", "LD_LIBRARY_PATH", "TMPDIR", "XDG_CACHE_HOME")
"""What programs of this machine need; all else of its environment is none of a container's."""

Line = Callable[[str], None]
"""Takes a line of what a container prints."""


class Container(Protocol):
    """Something that serves, or has served."""

    port: int

    def exit_code(self) -> int | None:
        """Its exit code; None while it runs."""

    def stop(self, grace: float = KILL_AFTER) -> None:
        """Ask it to end, and end it after ``grace`` seconds; nothing of it is left."""


class Launcher(Protocol):
    """Starts containers."""

    def launch(
        self, environment: Mapping[str, str], model: Path | None, port: int, line: Line
    ) -> Container:
        """Start one; ``model`` is the folder that SageMaker would put at /opt/ml/model."""


def free_ports(count: int) -> list[int]:
    """Ports of the loopback that nobody listens at, all of them different."""
    with ExitStack() as stack:
        found = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in found]


class Program:
    """A process and all that it has started, in a session of their own."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], port: int, line: Line
    ) -> None:
        self.port = port
        self._lock = threading.Lock()
        self._process = subprocess.Popen(  # noqa: S603 - the command is ours or the user's
            command, env=dict(environment), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, start_new_session=True, text=True, errors="replace",
        )  # fmt: skip
        self._reader = threading.Thread(target=self._read, args=(line,), daemon=True)
        self._reader.start()

    def _read(self, line: Line) -> None:
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
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
            with suppress(ProcessLookupError):  # nothing of it may be left
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._reader.join()


class ProgramLauncher:
    """Starts the program of the image without an image.

    Args:
        spool: a folder for what it writes.
        command: what is started; by default the entry point of the image.
    """

    def __init__(self, spool: Path, command: Sequence[str] | None = None) -> None:
        self._spool = spool
        self._command = command or (str(ROOT / "scripts" / "entrypoint.sh"), "serve")

    def launch(
        self, environment: Mapping[str, str], model: Path | None, port: int, line: Line
    ) -> Program:
        """See ``Launcher``. /opt/ml/model is not ours to make, so settings point at the folder."""
        told = {key: os.environ[key] for key in _KEPT if key in os.environ}
        programs = str(Path(sys.executable).parent)
        told["PATH"] = os.pathsep.join([programs, os.environ.get("PATH", os.defpath)])
        told |= {"FACE_BLUR_HOST": "127.0.0.1", "FACE_BLUR_SPOOL": str(self._spool)}
        told |= _settings_of(model) | dict(environment)
        told["SAGEMAKER_BIND_TO_PORT"] = str(port)
        return Program(self._command, told, port, line)


def _settings_of(model: Path | None) -> dict[str, str]:
    """What makes the service look into a folder as it looks into /opt/ml/model."""
    if model is None:
        return {}
    found = {}
    if (model / "people").is_dir():
        found["FACE_BLUR_PEOPLE"] = str(model / "people")
    if any(model.glob("*/pack.toml")):
        found["FACE_BLUR_MODELS_ROOT"] = str(model)
    return found


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
            subprocess.run(  # noqa: S603 - the arguments are ours
                [self._engine, *command, self._name], capture_output=True, check=False
            )
        self._program.stop(grace)


class ImageLauncher:
    """Starts an image as SageMaker does: ``docker run IMAGE serve``.

    Args:
        image: its name.
        engine: the program that runs it.
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
        # By name only: values are not to be seen in a list of processes.
        for key in environment:
            command += ["--env", key]
        program = Program([*command, self._image, "serve"], os.environ | environment, port, line)
        return ImageContainer(self._engine, name, program)
