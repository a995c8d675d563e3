"""A container with one fault, or none: python misbehaving.py MODE [ANYTHING]"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

HOUR = 3600.0


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class Handler(BaseHTTPRequestHandler):
    mode: ClassVar[str] = ""
    protocol_version = "HTTP/1.1"
    invocations: ClassVar[list[str]] = []
    both: ClassVar[threading.Barrier] = threading.Barrier(2)
    single: ClassVar[threading.Lock] = threading.Lock()
    began: ClassVar[float] = time.monotonic()

    def do_GET(self) -> None:
        if self.path == "/execution-parameters":
            self._execution_parameters()
        elif self.mode == "never ready" or (
            self.mode == "late" and time.monotonic() - self.began < 0.6
        ):
            time.sleep(HOUR)
        elif self.mode == "unhealthy":
            self._answer(500, b"")
        else:
            self._answer(200, b"")

    def _execution_parameters(self) -> None:
        told = {
            "wishes": b'{"MaxConcurrentTransforms": 2, "MaxPayloadInMB": 1}',
            "bad wishes": b"[1]",
        }
        self._answer(200 if self.mode in told else 404, told.get(self.mode, b""))

    def do_POST(self) -> None:
        self.invocations.append(self.path)
        self.close_connection = True
        if self.mode.startswith("early"):
            self._answer(int(self.mode.split()[1]), b"early")
        elif self.mode == "crash":
            self.rfile.read(10)
            os._exit(9)
        else:
            self._after(b"".join(self._body()))

    def _after(self, body: bytes) -> None:
        """Respond after the whole object has arrived."""
        chunks = b"Transfer-Encoding: chunked\r\n\r\n"
        raw = {
            "broken chunks": chunks + b"4\r\nhalf\r\n",
            "half a chunk": chunks + b"8\r\nhalf",
            "good chunks": chunks + b"4\r\ngood\r\n0\r\n\r\n",
            "short": b"Content-Length: 8\r\n\r\nhalf",
            "empty": b"Content-Length: 0\r\n\r\n",
            "no length": b"Connection: close\r\n\r\nsome bytes",
        }
        if self.mode in {"hang", "stubborn"}:
            time.sleep(HOUR)
        elif self.mode == "drip":
            self._drip()
        elif self.mode in raw:
            self._write(b"HTTP/1.1 200 OK\r\n" + raw[self.mode])
        elif self.mode.startswith("status"):
            self._answer(int(self.mode.split()[1]), b'{"error": {"code": "no"}}')
        elif self.mode == "picky" and body.startswith(b"bad"):
            self._answer(415, b"not this one")
        elif self.mode == "flaky" and len(self.invocations) == 1:
            self._answer(500, b"once")
        elif self.mode in {"pair", "alone"}:
            self._count()
        elif self.mode != "silent":
            self._answer(200, self._told(body))

    def _count(self) -> None:
        """Respond to two requests together, or to one that is alone."""
        if self.mode == "pair":
            self.both.wait(10)
            self._answer(200, b"both are here")
        elif self.single.acquire(blocking=False):
            time.sleep(0.3)
            self.single.release()
            self._answer(200, b"alone")
        else:
            self._answer(500, b"not alone")

    def _drip(self) -> None:
        self._write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(1000):
            self._write(b".")
            time.sleep(0.05)

    def _told(self, body: bytes) -> bytes:
        told = {
            "headers": dict(self.headers),
            "size": len(body),
            "environment": dict(os.environ),
            "pid": os.getpid(),
        }
        return json.dumps(told).encode()

    def _body(self) -> Iterator[bytes]:
        if self.headers.get("Transfer-Encoding") != "chunked":
            yield self.rfile.read(int(self.headers["Content-Length"]))
            return
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self._write(body)

    def _write(self, content: bytes) -> None:
        self.wfile.write(content)
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        say(format % args)


def main() -> None:
    mode = Handler.mode = sys.argv[1]
    if mode == "exit":
        say("no models")
        sys.exit(3)
    if mode == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if mode == "children":
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)", *sys.argv])
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    time.sleep(HOUR)


if __name__ == "__main__":
    main()
