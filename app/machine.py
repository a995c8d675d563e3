"""The part of the machine that this process may use: CPUs and memory."""

import os
from collections.abc import Iterator
from pathlib import Path

from app.control_groups import kernel_text, values_of_groups

_SYSTEM = Path("/")


def available_cpus(root: Path = _SYSTEM) -> int:
    """Return how many CPUs this process may use, given its affinity and its container's quota.

    Args:
        root: the root of the file system, with ``/proc`` and ``/sys``.

    Sources: https://docs.kernel.org/admin-guide/cgroup-v2.html (``cpu.max``) and
    https://docs.kernel.org/scheduler/sched-bwc.html (``cpu.cfs_quota_us``).
    """
    affinity = getattr(os, "sched_getaffinity", None)
    count = len(affinity(0)) if affinity else os.cpu_count() or 1
    # A share of a CPU still allows one thread.
    return max(1, min([count, *map(int, _quotas(root))]))


def _quotas(root: Path) -> Iterator[float]:
    """Yield the quotas of all groups of this process, in CPUs."""
    for text in values_of_groups("cpu.max", root):
        quota, _, period = text.partition(" ")
        if quota != "max" and period:
            yield int(quota) / int(period)
    for name in ("cpu", "cpu,cpuacct"):  # version 1
        folder = root / "sys/fs/cgroup" / name
        quota, period = (
            kernel_text(folder / f"cpu.cfs_{value}_us").strip() for value in ("quota", "period")
        )
        if quota and period and int(quota) > 0:
            yield int(quota) / int(period)


def available_memory(root: Path = _SYSTEM) -> int:
    """Return the memory in bytes of the machine, or less if the container has a limit.

    Args:
        root: the root of the file system, with ``/proc`` and ``/sys``.

    >>> available_memory() > 2**28
    True
    """
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    version_1 = kernel_text(root / "sys/fs/cgroup/memory/memory.limit_in_bytes").strip()
    texts = (*values_of_groups("memory.max", root), version_1)
    return min([total, *(int(text) for text in texts if text.isdigit())])
