"""The server of the review: on this machine only, until it is interrupted."""

import threading
import webbrowser
from typing import TYPE_CHECKING

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from app.errors import OutputError, reason_of
from app.review.desk import Desk
from app.review.guard import Guard, new_token
from app.review.routes import make_app

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

HOST = "127.0.0.1"
"""The only address: the pictures of a review leave this machine on no way."""


class _QuietHandler(WSGIRequestHandler):
    """Logs no requests: their addresses hold the token, and names of people."""

    protocol_version = "HTTP/1.1"
    timeout = 60
    """Seconds after which an idle connection is closed."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log nothing."""

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - of the base
        """Log nothing: a browser that goes away is no error."""


class ReviewServer:
    """Serves the page of a desk.

    Args:
        desk: the videos.
        port: the port; 0 is any.
        token: the token of the address; default: a new one.

    Raises:
        OutputError: the port cannot be used.
    """

    def __init__(self, desk: Desk, port: int = 0, token: str | None = None) -> None:
        self._token = token or new_token()
        self._server = _bound(port)
        self._server.app = make_app(desk, Guard(self._token, self._server.port))

    @property
    def port(self) -> int:
        """The port."""
        return int(self._server.port)

    @property
    def url(self) -> str:
        """The address to open; it contains the token."""
        return f"http://{HOST}:{self.port}/?token={self._token}"

    def run(self, *, browse: bool) -> None:
        """Serve until ``KeyboardInterrupt`` or ``stop``; ``browse`` opens the page."""
        if browse:
            threading.Thread(target=webbrowser.open, args=(self.url,), daemon=True).start()
        try:
            self._server.serve_forever()
        finally:
            self._server.server_close()

    def stop(self) -> None:
        """Let ``run`` return."""
        self._server.shutdown()


def _bound(port: int) -> BaseWSGIServer:
    try:
        return make_server(HOST, port, _nothing, threaded=True, request_handler=_QuietHandler)
    except OSError as error:
        raise OutputError(f"port {port}: cannot be used: {reason_of(error)}") from error
    except SystemExit as error:  # werkzeug ends the program if the port is in use
        raise OutputError(f"port {port}: is in use; choose another one") from error


def _nothing(_environment: "WSGIEnvironment", start: "StartResponse") -> list[bytes]:
    """Answer until the application is known, which needs the port."""
    start("503 Service Unavailable", [])
    return []
