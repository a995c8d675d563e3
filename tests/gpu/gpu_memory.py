"""The GPU memory of this process, as the driver counts; also in a container, which hides it."""

import os
import subprocess
from dataclasses import dataclass

_FORMAT = "--format=csv,noheader,nounits"


@dataclass(frozen=True, slots=True)
class GpuMemory:
    """Bytes that each process uses, by its id, and bytes in use on all GPUs.

    In a container the driver lists ids of the host, or nothing.
    """

    processes: dict[int, int]
    total: int

    @classmethod
    def read(cls, program: str = "nvidia-smi") -> "GpuMemory":
        rows = _ask(program, "--query-compute-apps=pid,used_memory")
        pairs = (row.partition(", ") for row in rows)
        processes = {int(pid): int(used) << 20 for pid, _, used in pairs if used.isdigit()}
        total = sum(int(row) << 20 for row in _ask(program, "--query-gpu=memory.used"))
        return cls(processes, total)

    def used_since(self, before: "GpuMemory", process: int | None = None) -> int:
        """Return what a process uses (default: this one): its own figure, else the difference."""
        own = self.processes.get(os.getpid() if process is None else process)
        return self.total - before.total if own is None else own


def _ask(program: str, query: str) -> list[str]:
    command = [program, query, _FORMAT]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
