"""The connections of the service: gunicorn's threaded worker, safe from slow clients.

The loop of the main thread collects the head of each request, so that only complete heads take a
thread, and closes connections whose head does not arrive in time. It also waits for clients to
close their end. ``/ping`` has threads of its own, and is answered while all others work.
"""

import errno
import json
import logging
import selectors
import socket
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any

from gunicorn import http, util  # type: ignore[import-untyped]
from gunicorn.http.errors import (  # type: ignore[import-untyped]
    ExpectationFailed,
    LimitRequestHeaders,
    LimitRequestLine,
    ParseException,
    UnsupportedTransferCoding,
)
from gunicorn.workers.gthread import TConn, ThreadWorker  # type: ignore[import-untyped]

from app.logs import LOGGER, describe_exception

HEAD_SECONDS = 10.0
"""Time for the head of a request. It fits in one packet; the slowest clients need some seconds for
a retransmission."""
_LINGER_SECONDS = 2.0
"""Time for a client to read a response and close, before the connection is closed here."""
_MAX_HEAD_BYTES = 1 << 16
"""gunicorn accepts 100 fields of 8 KiB; no client of this service sends 64 KiB."""
_HEAD_END = b"\r\n\r\n"
_READ_BYTES = 1 << 16
_PING_THREADS = 2
_SWEEP_SECONDS = 0.25
_DRAIN_SECONDS = 0.2
"""Time for the rest of a body that nobody reads, for example of a request that is refused."""
_RATE_AFTER_SECONDS = 20.0
"""Time spent in waiting for a body from which its rate counts; networks pause for some seconds."""
_PING = (b"GET /ping ", b"HEAD /ping ", b"GET /ping?")
_STATUSES = {
    ExpectationFailed: (417, "Expectation Failed"),
    LimitRequestHeaders: (431, "Request Header Fields Too Large"),
    LimitRequestLine: (414, "URI Too Long"),
    UnsupportedTransferCoding: (501, "Not Implemented"),
}
"""Statuses of malformed requests; all others are 400."""


class SlowClient(OSError):
    """A client sends its body more slowly than allowed."""


class MeteredSocket:
    """The bytes of a client for gunicorn's parser, with a least average rate.

    Only time spent in waiting for the client counts. The rate begins again with ``restart``.
    """

    def __init__(self, connection: socket.socket, rate: float) -> None:
        self._connection, self._rate = connection, rate
        self._waited, self._bytes = 0.0, 0

    def restart(self) -> None:
        """Begin the measurement of a request."""
        self._waited, self._bytes = 0.0, 0

    def gettimeout(self) -> float | None:
        """Return the time limit of the connection."""
        return self._connection.gettimeout()

    def settimeout(self, seconds: float | None) -> None:
        """Set the time limit of the connection."""
        self._connection.settimeout(seconds)

    def recv(self, size: int) -> bytes:
        """Return the next bytes.

        Raises:
            SlowClient: the average rate is too low.
            OSError: the connection is cut, or nothing arrives in its time limit.
        """
        began = time.monotonic()
        block = self._connection.recv(size)
        self._waited += time.monotonic() - began
        self._bytes += len(block)
        if self._waited > _RATE_AFTER_SECONDS and self._bytes < self._rate * self._waited:
            raise SlowClient(errno.ETIMEDOUT, "the body arrives too slowly")
        return block


class Connection(TConn):  # type: ignore[misc]
    """One connection, with the bytes of a head that is not complete."""

    sock: socket.socket

    def __init__(self, cfg: Any, sock: socket.socket, client: Any, server: Any, rate: float):
        super().__init__(cfg, sock, client, server)
        self.head = bytearray()
        self.deadline = 0.0
        self.metered = MeteredSocket(sock, rate)
        self.parser = http.get_parser(cfg, self.metered, client)
        # Marks the parser as made, so that no thread waits for the first byte.
        self.initialized = True

    def give_head(self) -> None:
        """Give the complete head to the parser."""
        self.metered.restart()
        self.parser.unreader.unread(bytes(self.head))
        self.head.clear()


class PatientWorker(ThreadWorker):  # type: ignore[misc]
    """gunicorn's threaded worker with the changes that the module describes.

    It replaces the methods of gunicorn 27 that accept, finish and close connections.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._open: dict[Connection, None] = {}
        """Connections that the loop of the main thread waits for."""
        self._pings = ThreadPoolExecutor(_PING_THREADS, "ping")
        self._swept = 0.0

    @property
    def upload_rate(self) -> float:
        """The least average rate of a body, in bytes per second."""
        return 0.0

    def accept(self, listener: socket.socket) -> None:
        """Accept a connection; at the limit of connections, the oldest idle one makes place."""
        try:
            client, address = listener.accept()
        except OSError as error:
            if error.errno in {errno.EMFILE, errno.ENFILE}:
                self._close_oldest()
            elif error.errno not in {errno.EAGAIN, errno.ECONNABORTED}:
                raise
            return
        self.nr_conns += 1
        if self.nr_conns >= self.worker_connections:
            self._close_oldest()
        connection = Connection(self.cfg, client, address, listener.getsockname(), self.upload_rate)
        self._collect_head(connection, HEAD_SECONDS)

    def _collect_head(self, connection: Connection, seconds: float) -> None:
        """Wait in the main loop for the rest of a head."""
        connection.sock.setblocking(False)
        self._watch(connection, seconds, self._on_head)
        self._dispatch_complete(connection)

    def _watch(
        self, connection: Connection, seconds: float, on_readable: Callable[..., None]
    ) -> None:
        connection.deadline = time.monotonic() + seconds
        self._open[connection] = None
        self.poller.register(
            connection.sock, selectors.EVENT_READ, partial(on_readable, connection)
        )

    def _on_head(self, connection: Connection, _: object) -> None:
        block = self._read(connection)
        if not block:
            self._drop(connection)
            return
        if not connection.head:
            connection.deadline = time.monotonic() + HEAD_SECONDS
        connection.head += block
        self._dispatch_complete(connection)

    def _dispatch_complete(self, connection: Connection) -> None:
        """Give the connection to a thread if its head is complete, refuse it if it is too long."""
        if _HEAD_END in connection.head:
            self._release(connection)
            is_ping = bytes(connection.head[:12]).startswith(_PING)
            connection.give_head()
            self._handle_in(self._pings if is_ping else self.tpool, connection)
        elif len(connection.head) > _MAX_HEAD_BYTES:
            self._release(connection)
            self._handle_in(self._pings, connection, self._refuse_head)

    def _handle_in(
        self,
        pool: ThreadPoolExecutor,
        connection: Connection,
        handle: Callable[[Connection], bool] | None = None,
    ) -> None:
        future = pool.submit(handle or self.handle, connection)
        future.add_done_callback(
            lambda done: self.method_queue.defer(self.finish_request, connection, done)
        )

    def _keepalive_after(self, conn: Connection, keepalive: bool) -> bool:
        """Keep a connection if the rest of its body arrives at once: a thread must not wait."""
        until = time.monotonic() + _DRAIN_SECONDS
        return keepalive and bool(conn.parser.finish_body(deadline=until))

    def _refuse_head(self, connection: Connection) -> bool:
        connection.sock.setblocking(True)
        self.handle_error(None, connection.sock, connection.client, LimitRequestHeaders("long"))
        return False

    @staticmethod
    def _read(connection: Connection) -> bytes:
        try:
            return connection.sock.recv(_READ_BYTES)
        except OSError:
            return b""

    def finish_request(self, conn: Connection, fs: "Future[bool]") -> None:
        """Wait for the next request of a connection, or for the client to close it."""
        keep = not fs.cancelled() and fs.exception() is None and fs.result()
        if keep and self.alive:
            conn.head += conn.parser.unreader.take_buffered()
            self._collect_head(conn, self.cfg.keepalive)
            return
        try:
            conn.sock.setblocking(False)
            conn.sock.shutdown(socket.SHUT_WR)
            self._watch(conn, _LINGER_SECONDS, self._on_lingering)
        except OSError:  # closed by the client, or by the thread
            self._drop(conn)

    def _on_lingering(self, connection: Connection, _: object) -> None:
        """Discard what the client still sends: closing now would cut off the response."""
        if not self._read(connection):
            self._drop(connection)

    def _release(self, connection: Connection) -> None:
        """Stop waiting for a connection in the main loop."""
        self._open.pop(connection, None)
        with suppress(OSError, KeyError, ValueError):  # not registered
            self.poller.unregister(connection.sock)

    def _drop(self, connection: Connection) -> None:
        self._release(connection)
        self.nr_conns -= 1
        connection.close()

    def _close_oldest(self) -> None:
        oldest = min(self._open, key=lambda one: one.deadline, default=None)
        if oldest is not None:
            self._drop(oldest)

    def murder_pending(self) -> None:
        """Close the connections whose time is over; called in each turn of the main loop."""
        now = time.monotonic()
        if now - self._swept < _SWEEP_SECONDS and self.alive:
            return
        self._swept = now
        for connection in [one for one in self._open if one.deadline < now]:
            self._drop(connection)

    def _cap_keepalive(self, deadline: float) -> None:
        """Close all connections without a complete request by ``deadline``: the worker stops."""
        for connection in self._open:
            connection.deadline = min(connection.deadline, deadline)

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: Exception) -> None:  # noqa: ARG002 - a method of gunicorn
        """Answer a malformed request as JSON; neither the answer nor the log has its contents."""
        if isinstance(exc, ParseException):
            status, reason = _STATUSES.get(type(exc), (400, "Bad Request"))
            level, fields = logging.WARNING, {"error": type(exc).__name__}
        else:
            status, reason = 500, "Internal Server Error"
            level, fields = logging.ERROR, describe_exception(exc)
        LOGGER.log(level, "malformed request", extra={"fields": {"status": status} | fields})
        with suppress(OSError):  # the client has gone
            client.settimeout(_LINGER_SECONDS)
            util.write_nonblock(client, _error_page(status, reason))


def _error_page(status: int, reason: str) -> bytes:
    code = reason.lower().replace(" ", "_")
    message = f"{reason}: the request is not valid HTTP; see the documentation of the service"
    content = json.dumps({"error": {"code": code, "message": message}}) + "\n"
    return (
        f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\n\r\n{content}"
    ).encode()
