"""Several children with the same models and people: each works on one request at a time."""

import queue
from types import TracebackType
from typing import Self

from app.isolation.limits import Limits
from app.isolation.messages import Message
from app.isolation.supervisor import Supervisor


class Pool:
    """Supervisors of children with the same start; a crash of one child is no matter of the others.

    Args:
        module: the module that the children run; it calls ``run_child``.
        start: JSON-ready values with which a child loads everything.
        limits: the limits of each child.
        size: the number of children.
    """

    def __init__(self, module: str, start: Message, limits: Limits, size: int = 1) -> None:
        self._module, self._start, self._limits, self._size = module, start, limits, size
        self._supervisors = [Supervisor(module, start, limits)]
        self._free: queue.SimpleQueue[Supervisor] = queue.SimpleQueue()

    def __len__(self) -> int:
        return self._size

    @property
    def supervisors(self) -> tuple[Supervisor, ...]:
        """The supervisors; after ``load`` one for each child."""
        return tuple(self._supervisors)

    def launch(self, *, fork: bool = False) -> None:
        """Start the first child: see ``Supervisor.launch``."""
        self._supervisors[0].launch(fork=fork)

    def load(self) -> Message:
        """Wait until the first child has loaded everything, then start the others, and wait.

        The others get the answer of the first, so that photos are read once.

        Raises:
            FaceBlurError: as ``Supervisor.load``; no child is left.
        """
        try:
            answer = self._supervisors[0].load()
            start = {**self._start, "loaded": answer}
            others = [Supervisor(self._module, start, self._limits) for _ in range(self._size - 1)]
            self._supervisors += others
            for one in others:
                one.launch()
            for one in others:
                one.load()
        except BaseException:
            self.close()
            raise
        for one in self._supervisors:
            self._free.put(one)
        return answer

    def take(self, timeout: float) -> Supervisor | None:
        """Return the child that has been free for the longest time, or None after a timeout.

        A child that replaces one that has just ended may still load; the others come first.
        """
        try:
            return self._free.get(timeout=timeout)
        except queue.Empty:
            return None

    def put_back(self, supervisor: Supervisor) -> None:
        """Make a child free that ``take`` has returned."""
        self._free.put(supervisor)

    def revive(self) -> bool:
        """Replace the children that have ended while idle; return whether any runs."""
        running = [one.revive() for one in self._supervisors]
        return any(running)

    def close(self) -> None:
        """End all children."""
        for one in self._supervisors:
            one.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
