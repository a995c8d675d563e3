"""How many videos are worked on at once, and what each of them gets of the machine."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from app.isolation.limits import default_memory
from app.machine import available_cpus

_SYSTEM = Path("/")
CORES_EACH = 3
"""Cores for each video: its busiest threads limit it to 3.4, as computed from measured costs in
docs/decisions/workers.md."""
MEMORY_EACH = 2 * 2**30
"""Bytes for each video: two faces at 2160 lines take 0.9 GiB (docs/benchmarks.md), the largest
photo that the service accepts by default 1.4 GiB (docs/decisions/workers.md)."""


def workers_for(cores: int, memory: int, each: int = MEMORY_EACH) -> int:
    """Return the number of videos for some cores, and a memory of which each takes a part.

    >>> workers_for(2, 2**40), workers_for(16, 2**40), workers_for(16, 5 * 2**30)
    (1, 5, 2)
    """
    return max(1, min(cores // CORES_EACH, memory // each))


@dataclass(frozen=True, slots=True)
class Shares:
    """The number of workers, and what each of them gets.

    ``threads`` is None if one worker may use all cores. ``memory`` is in bytes.
    """

    workers: int
    threads: int | None
    memory: int

    @classmethod
    def of_machine(
        cls,
        workers: int | None,
        *,
        memory: int | None = None,
        threads: int | None = None,
        tasks: int | None = None,
        root: Path = _SYSTEM,
    ) -> Self:
        """Share what this process may use of the machine.

        Args:
            workers: the wanted number; None: as many as cores and memory allow.
            memory: bytes for each worker; None: an equal part of ``default_memory``.
            threads: threads of each worker; None: an equal part of the cores.
            tasks: the number of tasks, if it is known; more workers would be idle.
            root: the root of the file system, with ``/proc`` and ``/sys``.
        """
        cores, whole = available_cpus(root), default_memory(root)
        most = workers_for(cores, whole, memory or MEMORY_EACH) if workers is None else workers
        count = most if tasks is None else max(1, min(most, tasks))
        if threads is None and count > 1:
            threads = max(1, cores // count)
        return cls(count, threads, whole // count if memory is None else memory)
