"""An HTTP server for one file that fails in various ways."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Script:
    """The served data, and how to answer each request; the last of ``ways`` is repeated.

    A way is ``whole``, an HTTP status, ``redirect``, ``corrupt``, ``truncated``, ``stalls``,
    ``no ranges`` or ``no length``.
    """

    data: bytes
    ways: list[str] = field(default_factory=lambda: ["whole"])
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    """The path and the range of every request."""
    released: threading.Event = field(default_factory=threading.Event)
    """Set at the end, so that stalling answers finish."""


class _Handler(BaseHTTPRequestHandler):
    """Answers each request in the next way."""

    server: "_Server"

    def do_GET(self) -> None:
        script = self.server.script
        script.asked.append((self.path, self.headers.get("Range")))
        way = script.ways.pop(0) if len(script.ways) > 1 else script.ways[0]
        if way.isdigit():
            self.send_error(int(way))
        elif way == "redirect":
            self.send_response(302)
            self.send_header("Location", "/moved")
            self.end_headers()
        else:
            self._answer(way, script)

    def _answer(self, way: str, script: Script) -> None:
        data = b"x" * len(script.data) if way == "corrupt" else script.data
        start = int((self.headers.get("Range") or "bytes=0-").removeprefix("bytes=").rstrip("-"))
        start = 0 if way == "no ranges" else start
        if start and start >= len(data):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        if way != "no length":
            self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        half = start + (len(data) - start) // 2
        if way in {"truncated", "stalls"}:
            self.wfile.write(data[start:half])
            self.wfile.flush()
        if way == "stalls":
            script.released.wait(30)
        elif way != "truncated":
            self.wfile.write(data[start:])
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Do not log."""


class _Server(ThreadingHTTPServer):
    def __init__(self, script: Script) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script = script


@contextmanager
def serving(script: Script) -> Iterator[str]:
    """Run a server that follows a script; yield its URL."""
    server = _Server(script)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/weights.onnx"
    finally:
        script.released.set()
        server.shutdown()
        thread.join()
        server.server_close()
