"""Look at running processes, and wait for them."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")
PATIENCE = 30.0


def wait_until(condition: Callable[[], T | None], timeout: float = PATIENCE) -> T:
    """Wait until ``condition`` returns a true value, and return it."""
    end = time.monotonic() + timeout
    while not (result := condition()):
        assert time.monotonic() < end, "the condition did not become true"
        time.sleep(0.02)
    return result


def children(process: int) -> list[int]:
    """Return the children of all threads of a process."""
    tasks = Path(f"/proc/{process}/task").iterdir()
    return [int(child) for task in tasks for child in (task / "children").read_text().split()]


def cpu_ticks(process: int) -> int:
    """Return the CPU time of a process in ticks of the system, usually 0.01 s."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def is_running(process: int) -> bool:
    """Whether a process exists and has not ended."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
