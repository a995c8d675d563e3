"""Run the service as its users do: as a process, on a free port of the loopback interface."""

import http.client
import json
import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.processes import children, cpu_ticks, wait_until

ROOT = Path(__file__).parents[2]
TIMEOUT = 30.0
OPTIONS = "X-Amzn-SageMaker-Custom-Attributes"


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A complete response."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return str(self.json["error"]["code"])


def environment(spool: Path, **settings: object) -> dict[str, str]:
    """Return an environment with these settings of Face blur only: one worker by default."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("FACE_BLUR_")}
    ours = {"host": "127.0.0.1", "spool": spool, "workers": 1} | settings
    named = {f"FACE_BLUR_{key.upper()}": str(value) for key, value in ours.items()}
    return kept | {"SAGEMAKER_BIND_TO_PORT": "0", "PYTHONUNBUFFERED": "1"} | named


class RunningService:
    """The process ``serve``; a context manager that ends it."""

    def __init__(
        self,
        spool: Path,
        extra: Mapping[str, str] | None = None,
        command: Sequence[str] = (str(ROOT / "serve"),),
        **settings: object,
    ) -> None:
        self.spool = spool
        self.log: list[dict[str, Any]] = []
        self._lines: queue.Queue[str] = queue.Queue()
        began = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, *command],
            env=environment(spool, **settings) | dict(extra or {}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            listening = self.wait_for_log(lambda line: "Listening" in line["event"])
            self.port = int(re.findall(r":(\d+) ", listening["event"])[0])
            self.wait_for_log(lambda line: line["event"] == "ready")
            assert self.request("GET", "/ping").status == 200
        except BaseException:
            self.close()
            raise
        self.seconds_to_ping = time.monotonic() - began

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.log.append(json.loads(line))

    def wait_for_log(self, matches: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """Wait for a line of the log that matches, and return the first one."""

        def find() -> dict[str, Any] | None:
            assert self.process.poll() is None or not self._reader.is_alive(), self.log
            return next((line for line in tuple(self.log) if matches(line)), None)

        return wait_until(find)

    def request(
        self, method: str, path: str, body: bytes | Iterable[bytes] | None = None, **headers: str
    ) -> HttpResponse:
        """Send a request. A body that is not bytes is sent in chunks."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT)
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        try:
            connection.request(method, path, body, named)
            response = connection.getresponse()
            return HttpResponse(response.status, dict(response.headers), response.read())
        finally:
            connection.close()

    def invoke(
        self, body: bytes | Iterable[bytes], options: str = "", **headers: str
    ) -> HttpResponse:
        return self.request("POST", "/invocations", body, **{OPTIONS: options}, **headers)

    def begin(self, body: bytes, options: str = "", length: int | None = None) -> socket.socket:
        """Send a request without waiting for its response; ``length`` is its Content-Length."""
        connection = socket.create_connection(("127.0.0.1", self.port), TIMEOUT)
        head = f"POST /invocations HTTP/1.1\r\nHost: x\r\n{OPTIONS}: {options}\r\n"
        head += f"Content-Length: {len(body) if length is None else length}\r\n\r\n"
        connection.sendall(head.encode() + body)
        return connection

    def begin_chunks(self) -> socket.socket:
        """Send the head of a request; the caller sends the chunks of its body."""
        connection = socket.create_connection(("127.0.0.1", self.port), TIMEOUT)
        head = b"POST /invocations HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.sendall(head)
        return connection

    def log_line(self, response: HttpResponse) -> dict[str, Any]:
        """Return the line of the log about the request of a response."""
        number = response.headers["X-Request-Id"]
        return self.wait_for_log(lambda line: line.get("request") == number)

    def metric(self, name: str) -> float:
        found = re.search(
            rf"^{re.escape(name)} (\S+)$",
            self.request("GET", "/metrics").body.decode(),
            re.MULTILINE,
        )
        return float(found[1]) if found else 0.0

    def wait_for_work(self) -> None:
        wait_until(lambda: self.metric("face_blur_invocations_working") == 1)

    def wait_for_engine(self) -> None:
        """Wait until the engine computes for the request that has the device."""
        self.wait_for_work()
        engine = self.engine
        before = cpu_ticks(engine)
        wait_until(lambda: cpu_ticks(engine) > before + 10)

    def spooled(self) -> list[Path]:
        """Return the content of the spool."""
        return [path for folder in self.spool.iterdir() for path in folder.iterdir()]

    def wait_until_clean(self) -> None:
        wait_until(lambda: not self.spooled())

    @property
    def worker(self) -> int:
        """The process of gunicorn that answers requests."""
        (worker,) = children(self.process.pid)
        return worker

    @property
    def engine(self) -> int:
        """The process that holds the models and reads the media."""
        (engine,) = children(self.worker)
        return engine

    def stop(self) -> int:
        """Send SIGTERM, and return the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(TIMEOUT)

    def kill_worker(self) -> None:
        """Kill the worker, as the kernel does when memory runs out."""
        os.kill(self.worker, signal.SIGKILL)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(TIMEOUT)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def read_response(connection: socket.socket) -> HttpResponse:
    """Read the response to a request of ``begin``."""
    response = http.client.HTTPResponse(connection)
    response.begin()
    return HttpResponse(response.status, dict(response.headers), response.read())


def form(*parts: tuple[str, str | None, bytes], boundary: str = "xXx") -> bytes:
    """Encode a form of parts: name, file name, content."""
    out = b""
    for name, file, content in parts:
        named = "" if file is None else f'; filename="{file}"'
        out += (
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{named}\r\n\r\n'.encode()
        )
        out += content + b"\r\n"
    return out + f"--{boundary}--\r\n".encode()


FORM = "multipart/form-data; boundary=xXx"
