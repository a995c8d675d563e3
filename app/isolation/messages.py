"""Messages between the supervisor and its child: JSON objects, each after its length.

JSON and not pickle: a child that a hostile file has taken over must not run code in its parent.
"""

import json
import select
import socket
import threading
from collections.abc import Iterator
from typing import Any

Message = dict[str, Any]

_LENGTH_BYTES = 4
_MAX_BYTES = 64 * 2**20
"""Largest message. The largest real one holds the gallery: 10,000 photos have 30 MB."""
_BLOCK_BYTES = 1 << 16


class ChannelClosed(Exception):
    """The other side has closed its end, or has sent something that is not a message."""


class Channel:
    """One end of the connection between the two processes.

    Any thread may send; one thread receives.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._received = bytearray()
        self._sending = threading.Lock()

    def send(self, message: Message) -> None:
        """Send a message.

        Raises:
            ChannelClosed: the other side has gone.
        """
        content = json.dumps(message).encode()
        try:
            with self._sending:
                self._connection.sendall(len(content).to_bytes(_LENGTH_BYTES) + content)
        except OSError as error:
            raise ChannelClosed from error

    def receive(self, timeout: float | None) -> list[Message]:
        """Return the messages that arrive next; none if the time in seconds passes before.

        Raises:
            ChannelClosed: the other side has gone, or sends something that is not a message.
        """
        poll = select.poll()
        poll.register(self._connection, select.POLLIN)
        if not poll.poll(None if timeout is None else timeout * 1000):
            return []
        try:
            block = self._connection.recv(_BLOCK_BYTES)
        except OSError as error:
            raise ChannelClosed from error
        if not block:
            raise ChannelClosed
        self._received += block
        return list(self._whole_messages())

    def _whole_messages(self) -> Iterator[Message]:
        while len(self._received) >= _LENGTH_BYTES:
            end = _LENGTH_BYTES + int.from_bytes(self._received[:_LENGTH_BYTES])
            if end > _MAX_BYTES:
                raise ChannelClosed
            if len(self._received) < end:
                return
            content = bytes(self._received[_LENGTH_BYTES:end])
            del self._received[:end]
            yield _parse(content)

    def close(self) -> None:
        """Close this end."""
        self._connection.close()


def _parse(content: bytes) -> Message:
    try:
        message = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ChannelClosed from error
    if not isinstance(message, dict):
        raise ChannelClosed
    return message
