"""The supervisor of the child: it starts it, watches it, and replaces it."""

import threading
from contextlib import suppress

from app.errors import ModelError
from app.isolation.errors import ChildFault
from app.isolation.limits import Limits
from app.isolation.messages import Message
from app.isolation.process import ChildEnded, ChildProcess, Reports, RequestFailed
from app.logs import LOGGER

_START_SECONDS = 600.0
"""Longest time for loading models and photos: a GPU needs a minute, each photo 0.1 s."""
_STOP_SECONDS = 5.0
"""Time for the child to stop by itself; interrupted encoders need up to 3 s."""


class Supervisor:
    """Runs requests in a child process, one at a time, from any thread.

    Args:
        module: the module that the child runs; it calls ``run_child``.
        start: JSON-ready values with which the child loads everything.
        limits: the limits of the child.
    """

    def __init__(self, module: str, start: Message, limits: Limits) -> None:
        self._module, self._start, self._limits = module, start, limits
        self._child: ChildProcess | None = None
        self._is_loaded = False
        self._has_begun = False
        """Whether the last child that ended had begun its request."""
        self._busy = threading.Lock()

    @property
    def process(self) -> int | None:
        """The process id of the child, if there is one."""
        child = self._child
        return None if child is None else child.pid

    def launch(self, *, fork: bool = False) -> None:
        """Start a child without waiting until it has loaded everything.

        Args:
            fork: start it as a fork of this process, which has one thread only.
        """
        self._is_loaded = False
        self._child = ChildProcess(self._module, self._limits.memory_bytes, fork=fork)
        with suppress(ChildEnded):  # load reports it
            self._child.ask({**self._start, "memory": self._limits.memory_bytes})

    def load(self) -> Message:
        """Wait until the child has loaded everything, and return its answer.

        The answer is given to each later child as ``loaded``.

        Raises:
            FaceBlurError: as raised while loading.
            ModelError: the child ended or hung while it loaded.
        """
        with self._busy:
            return self._load()

    def revive(self) -> bool:
        """Start a new child if the last one has ended while idle; return whether one runs."""
        if self._busy.acquire(blocking=False):
            try:
                if self._child is None or not self._child.is_running:
                    self._replace()
            finally:
                self._busy.release()
        child = self._child
        return child is not None and child.is_running

    def run(
        self, request: Message, reports: Reports | None = None, *, allowance: float = 0.0
    ) -> Message:
        """Run one request in the child and return its answer.

        Args:
            request: JSON-ready values.
            reports: receives what the child reports; an exception that it raises stops the work.
            allowance: seconds without progress on top of the limit, for large files.

        Raises:
            FaceBlurError: as raised by the handler.
            Crashed: the child ended, or made no progress.
            MediaTooLarge: the child used more memory than allowed.
            ChildFault: a bug in the child.
            ModelError: a new child cannot load the models.
        """
        with self._busy:
            stall = self._limits.stall + allowance
            try:
                return self._attempt(request, reports or Reports(), stall)
            except ChildEnded as end:
                if self._has_begun:
                    raise end.error from None
            # It ended before this request: once more with the new child.
            try:
                return self._attempt(request, reports or Reports(), stall)
            except ChildEnded as end:
                raise end.error from None

    def _attempt(self, request: Message, reports: Reports, stall: float) -> Message:
        child = self._ready_child()
        try:
            child.ask(request)
            return child.wait(reports, stall)
        except RequestFailed as failure:
            if isinstance(failure.error, ChildFault):
                self._replace()  # its state is unknown
            raise failure.error from None
        except ChildEnded as end:
            LOGGER.error("child ended", extra={"fields": {"reason": str(end.error)}})
            self._has_begun = child.has_begun
            self._replace()
            raise
        except BaseException:
            if not child.stop(_STOP_SECONDS):
                self._replace()
            raise

    def close(self) -> None:
        """End the child."""
        if self._child is not None:
            self._child.kill()
            self._child = None

    def _ready_child(self) -> ChildProcess:
        if self._child is None or not self._child.is_running:
            self._replace()
        if not self._is_loaded:
            self._load()
        assert self._child is not None
        return self._child

    def _load(self) -> Message:
        if self._child is None:
            self.launch()
        child = self._child
        assert child is not None
        try:
            answer = child.wait(Reports(), _START_SECONDS)
        except ChildEnded as end:
            self.close()
            raise ModelError(f"the models cannot be loaded: {end.error}") from None
        except RequestFailed as failure:
            self.close()
            raise failure.error from None
        except BaseException:
            self.close()
            raise
        self._start = {**self._start, "loaded": answer}
        self._is_loaded = True
        return answer

    def _replace(self) -> None:
        """Kill the child, and start another that loads while no request waits for it."""
        self.close()
        self.launch()
