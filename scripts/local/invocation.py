"""Requests to a container: /ping, /execution-parameters and /invocations.

A result counts only if it arrived completely.
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
_HEAD_BYTES = 4096
"""The longest head that asynchronous endpoints take from a container, by reports of their users:
https://github.com/aws/deep-learning-containers/issues/4668"""
_ERRORS = (OSError, http.client.HTTPException)


class BadStatus(FaceBlurError):
    """The container returned a status other than 200."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"status {status}: {message}")
        self.status, self.message = status, message


class IncompleteResponse(FaceBlurError):
    """The container returned no response, an incomplete one, or none in time."""


class SourceError(FaceBlurError):
    """The object could not be read completely."""


def ping(port: int, timeout: float) -> bool:
    """Return whether the container reports within ``timeout`` seconds that it is ready."""
    try:
        return _get(port, "/ping", timeout)[0] == 200
    except _ERRORS:
        return False


def execution_parameters(port: int, timeout: float) -> dict[str, Any]:
    """Return the parameters that the container prefers; empty if it has none.

    Raises:
        IncompleteResponse: the response is not a JSON object.
    """
    try:
        status, body = _get(port, "/execution-parameters", timeout)
    except _ERRORS:
        return {}
    if status != 200:
        return {}
    try:
        preferred = json.loads(body)
    except ValueError:
        preferred = None
    if not isinstance(preferred, dict):
        raise IncompleteResponse("/execution-parameters does not return a JSON object")
    return preferred


def _get(port: int, path: str, timeout: float) -> tuple[int, bytes]:
    with closing(http.client.HTTPConnection(HOST, port, timeout=timeout)) as connection:
        connection.request("GET", path, headers=_AGENT)
        answer = connection.getresponse()
        return answer.status, answer.read(_BLOCK)


@dataclass(frozen=True, slots=True)
class Payload:
    """A request body, its size in bytes (None sends it in chunks), and headers."""

    blocks: Iterator[bytes]
    length: int | None
    headers: Mapping[str, str]


def invoke(
    port: int, payload: Payload, timeout: float, target: Path, *, strict: bool = False
) -> str:
    """Send an object to /invocations, and write the response to ``target``.

    Args:
        port: port of the container.
        payload: the object.
        timeout: seconds from the first sent byte to the last received one.
        target: file for the response; after an error its content is no result.
        strict: refuse what an asynchronous endpoint refuses: responses in chunks, and long heads.

    Returns:
        The content type of the response.

    Raises:
        BadStatus: the response is an error.
        IncompleteResponse: the response is missing, empty, incomplete or late.
        SourceError: the object could not be read.
    """
    with closing(http.client.HTTPConnection(HOST, port, timeout=timeout)) as connection:
        with _translate_errors():
            connection.connect()
        with _time_limit(connection.sock, timeout) as expired:
            try:
                with _translate_errors():
                    whole = _send(connection, payload)
                    answer = connection.getresponse()
                    if strict:
                        _check_head(answer)
                    _receive(answer, target, whole=whole)
            except (BadStatus, IncompleteResponse) as error:
                if expired.is_set():
                    raise IncompleteResponse(f"no complete response in {timeout:g} s") from error
                raise
            if expired.is_set():
                raise IncompleteResponse(f"no complete response in {timeout:g} s")
            return answer.headers.get_content_type()


def _check_head(answer: http.client.HTTPResponse) -> None:
    if answer.status == 200 and (answer.chunked or answer.length is None):
        raise IncompleteResponse("the response did not specify the required Content-Length header")
    # Name, colon, space, value and the end of the line.
    size = sum(len(name) + len(value) + 4 for name, value in answer.getheaders())
    if size > _HEAD_BYTES:
        raise IncompleteResponse(f"the head of the response has {size} bytes, not {_HEAD_BYTES}")


@contextmanager
def _translate_errors() -> Iterator[None]:
    try:
        yield
    except _ERRORS as error:
        raise IncompleteResponse(f"the connection failed: {type(error).__name__}") from error


@contextmanager
def _time_limit(connection: socket.socket, seconds: float) -> Iterator[threading.Event]:
    """Shut the connection down after some seconds; the event is set then."""
    expired = threading.Event()

    def end() -> None:
        expired.set()
        try:
            connection.shutdown(socket.SHUT_RDWR)
        except OSError:  # already closed
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
    """Send the object; return whether all of it was sent. An early response can still be read."""
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
    """Yield the blocks; tell read errors from errors of the connection."""
    try:
        yield from blocks
    except Exception as error:
        raise SourceError(f"the object cannot be read: {type(error).__name__}") from error


def _receive(answer: http.client.HTTPResponse, target: Path, *, whole: bool) -> None:
    if answer.status != 200:
        message = answer.read(_MESSAGE_BYTES).decode(errors="replace")
        raise BadStatus(answer.status, " ".join(message.split()))
    if not whole:
        raise IncompleteResponse("the response came before the whole object was sent")
    declared = answer.length
    if declared is None and not answer.chunked:
        raise IncompleteResponse(
            "the response has neither a length nor chunks, so it may be incomplete"
        )
    received = 0
    with target.open("wb") as file:
        while block := answer.read(_BLOCK):
            received += len(block)
            file.write(block)
    if declared not in {None, received}:
        raise IncompleteResponse(f"the response ends after {received} of {declared} bytes")
    if not received:
        raise IncompleteResponse("the response is empty")
