"""What SageMaker asks a container: whether it is there, how it wants it, and to do its work.

A result counts only when all of it has come: whatever stays unclear is no result.
"""

import http.client
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.errors import FaceBlurError

HOST = "127.0.0.1"
_AGENT = {"User-Agent": "Go-http-client/1.1"}
_BLOCK = 1 << 20
_MESSAGE_BYTES = 4096
_TROUBLE = (OSError, http.client.HTTPException)


class BadStatus(FaceBlurError):
    """The container answered, but not with 200."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"status {status}: {message}")
        self.status, self.message = status, message


class IncompleteResponse(FaceBlurError):
    """The container gave no answer, not all of one, or not in time."""


class SourceError(FaceBlurError):
    """The object could not be read to its end."""


def ping(port: int, timeout: float) -> bool:
    """Whether the container says in ``timeout`` seconds that it is ready."""
    try:
        return _get(port, "/ping", timeout)[0] == 200
    except _TROUBLE:
        return False


def execution_parameters(port: int, timeout: float) -> dict[str, Any]:
    """What the container wishes; nothing when it has no such wishes.

    Raises:
        IncompleteResponse: it answers with something else than an object of JSON.
    """
    try:
        status, body = _get(port, "/execution-parameters", timeout)
    except _TROUBLE:
        return {}
    if status != 200:
        return {}
    try:
        wishes = json.loads(body)
    except ValueError:
        wishes = None
    if not isinstance(wishes, dict):
        raise IncompleteResponse("/execution-parameters is not answered with an object of JSON")
    return wishes


def _get(port: int, path: str, timeout: float) -> tuple[int, bytes]:
    with closing(http.client.HTTPConnection(HOST, port, timeout=timeout)) as connection:
        connection.request("GET", path, headers=_AGENT)
        answer = connection.getresponse()
        return answer.status, answer.read(_BLOCK)


@dataclass(frozen=True, slots=True)
class Payload:
    """What is sent: an object, its size in bytes (None sends it in chunks), and headers."""

    blocks: Iterator[bytes]
    length: int | None
    headers: Mapping[str, str]


def invoke(port: int, payload: Payload, timeout: float, target: Path) -> None:
    """Send an object to /invocations, and write the answer to ``target``.

    Args:
        port: where the container listens.
        payload: what is sent.
        timeout: seconds from the first byte that is sent to the last one of the answer.
        target: what it holds after an error is no result.

    Raises:
        BadStatus: the answer is an error.
        IncompleteResponse: there is none, it is empty or not whole, or it took too long.
        SourceError: the object could not be read.
    """
    with closing(http.client.HTTPConnection(HOST, port, timeout=timeout)) as connection:
        with _translated():
            connection.connect()
        with _ended_after(connection.sock, timeout) as expired:
            try:
                with _translated():
                    whole = _send(connection, payload)
                    _receive(connection.getresponse(), target, whole=whole)
            except (BadStatus, IncompleteResponse) as error:
                if expired.is_set():
                    raise IncompleteResponse(f"no whole answer in {timeout:g} s") from error
                raise
            if expired.is_set():
                raise IncompleteResponse(f"no whole answer in {timeout:g} s")


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except _TROUBLE as error:
        raise IncompleteResponse(f"the connection failed: {type(error).__name__}") from error


@contextmanager
def _ended_after(connection: socket.socket, seconds: float) -> Iterator[threading.Event]:
    """A limit to all that is done with a connection; the event tells that it was reached."""
    expired = threading.Event()

    def end() -> None:
        expired.set()
        try:
            connection.shutdown(socket.SHUT_RDWR)
        except OSError:  # ended already, which is as good
            return

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield expired
    finally:
        timer.cancel()
        timer.join()


def _send(connection: http.client.HTTPConnection, payload: Payload) -> bool:
    """Send the object; whether all of it was taken: an early answer may still be there to read."""
    chunked = payload.length is None
    size = {"Transfer-Encoding": "chunked"} if chunked else {"Content-Length": str(payload.length)}
    headers = {**_AGENT, **payload.headers, **size}
    try:
        connection.request(
            "POST", "/invocations", _read(payload.blocks), headers, encode_chunked=chunked
        )
    except OSError:
        return False
    return True


def _read(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The blocks; what goes wrong with them is not to be taken for a fault of the connection."""
    try:
        yield from blocks
    except Exception as error:
        raise SourceError(f"the object cannot be read: {type(error).__name__}") from error


def _receive(answer: http.client.HTTPResponse, target: Path, *, whole: bool) -> None:
    if answer.status != 200:
        message = answer.read(_MESSAGE_BYTES).decode(errors="replace")
        raise BadStatus(answer.status, " ".join(message.split()))
    if not whole:
        raise IncompleteResponse("the answer came before all of the object was sent")
    declared = answer.length
    if declared is None and not answer.chunked:
        raise IncompleteResponse(
            "the answer has neither a length nor chunks; whether it is whole is unknown"
        )
    received = 0
    with target.open("wb") as file:
        while block := answer.read(_BLOCK):
            received += len(block)
            file.write(block)
    if declared not in {None, received}:
        raise IncompleteResponse(f"the answer ends after {received} of {declared} bytes")
    if not received:
        raise IncompleteResponse("the answer is empty")
