"""The child: it loads the models once, then handles one request after the other."""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, NoReturn, Protocol

from app.errors import Interrupted
from app.isolation.errors import describe_failure
from app.isolation.limits import (
    apply_limits,
    end_with_parent,
    prefer_for_oom,
)
from app.isolation.messages import Channel, ChannelClosed, Message
from app.process import run_at_ordinary_priority

_BEAT_SECONDS = 0.2
"""Least time between two messages about progress."""


class Work:
    """One request in progress: its reports to the supervisor, and the order to stop."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._stopped = threading.Event()
        self._reported = 0.0

    def stop(self) -> None:
        """Make the next ``check`` or ``progress`` raise; called from another thread."""
        self._stopped.set()

    def check(self) -> None:
        """Report a sign of life; cheap enough for each frame.

        Raises:
            Interrupted: the supervisor no longer wants the result.
        """
        self.progress("", 0, None)

    def progress(self, stage: str, done: int, expected: int | None) -> None:
        """Report progress, as ``app.types.Progress``.

        Raises:
            Interrupted: the supervisor no longer wants the result.
        """
        if self._stopped.is_set():
            raise Interrupted("the work was stopped")
        now = time.monotonic()
        if now - self._reported >= _BEAT_SECONDS:
            self._reported = now
            report = {"stage": stage, "done": done, "expected": expected}
            self._channel.send({"kind": "progress", **report})

    def tell(self, **facts: Any) -> None:
        """Send JSON-ready facts that the supervisor keeps even if the request fails."""
        self._channel.send({"kind": "facts", "facts": facts})


class Handler(Protocol):
    """Handles the requests of a child."""

    def __call__(self, request: Message, work: Work) -> Message:
        """Handle one request and return its JSON-ready answer.

        Raises:
            FaceBlurError: the request failed; the supervisor raises the same error.
        """
        ...


Load = Callable[[Message], tuple[Handler, Message]]
"""Loads everything out of the first message; returns the handler, and facts for the supervisor."""


def run_child(load: Load, descriptor: int, lifeline: int) -> NoReturn:
    """Run the child; the process ends when the supervisor closes the channel.

    Args:
        load: loads everything.
        descriptor: the socket of the channel to the supervisor.
        lifeline: see ``end_with_parent``.
    """
    channel = Channel(socket.socket(fileno=descriptor))
    end_with_parent(lifeline)
    # The supervisor decides when to stop.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    prefer_for_oom()
    run_at_ordinary_priority()
    inbox = _Inbox(channel)
    _serve(load, channel, inbox)
    os._exit(0)


def _serve(load: Load, channel: Channel, inbox: "_Inbox") -> None:
    start = inbox.next()
    try:
        handle, facts = load(start)
        apply_limits(start["memory"])
    except Exception as error:  # noqa: BLE001 - the supervisor reports it
        channel.send(describe_failure(error))
        return
    channel.send({"kind": "done", "answer": facts})
    while True:
        request = inbox.next()
        work = inbox.begin(Work(channel))
        channel.send({"kind": "begun"})
        try:
            message: Message = {"kind": "done", "answer": handle(request, work)}
        except Exception as error:  # noqa: BLE001 - the supervisor reports it
            message = describe_failure(error)
        inbox.end()
        channel.send(message)


class _Inbox:
    """Receives messages in a thread of its own, so that an order to stop arrives during work."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._requests: SimpleQueue[Message] = SimpleQueue()
        self._work: Work | None = None
        threading.Thread(target=self._receive, daemon=True).start()

    def next(self) -> Message:
        """Wait for the next request."""
        return self._requests.get()

    def begin(self, work: Work) -> Work:
        """Pass orders to stop to this work from now on."""
        self._work = work
        return work

    def end(self) -> None:
        """Ignore orders to stop until the next ``begin``."""
        self._work = None

    def _receive(self) -> None:
        while True:
            try:
                messages = self._channel.receive(None)
            except ChannelClosed:
                os._exit(0)
            for message in messages:
                work = self._work
                if message["kind"] == "request":
                    self._requests.put(message["request"])
                elif work is not None:
                    work.stop()
