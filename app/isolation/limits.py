"""Limits of the child: memory, open files, sizes of files; and its end with its parent."""

import fcntl
import os
import re
import resource
import signal
from dataclasses import dataclass
from pathlib import Path

from app.machine import available_memory

_MEMORY_SHARE = 0.75
"""Part of the memory of the machine that all children together may use by default. The rest is for
their parent, the page cache and the system."""
_RESERVED_BYTES = 2**30
"""Memory that is mapped but not used, such as the stacks of threads: 0.3 GB on 2 cores."""
_OPEN_FILES = 512
"""A run opens about 40 files, and one socket for each of up to 16 connections to S3."""
_SLOWEST_READ = 20e6
"""Bytes per second of the slowest disk."""
_RESIDENT = re.compile(r"^Rss(?:Anon|Shmem):\s*(\d+) kB$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of the child.

    ``memory`` is in bytes (None: the default). ``stall`` is the longest time in seconds in which
    work makes no progress.
    """

    memory: int | None = None
    stall: float = 180.0

    @property
    def memory_bytes(self) -> int:
        """The memory that the child may use, in bytes."""
        return default_memory() if self.memory is None else self.memory


def reading_seconds(size: int) -> float:
    """Return the additional time without progress for a file of ``size`` bytes.

    Some steps, such as hashing, read a whole file without progress.
    """
    return size / _SLOWEST_READ


def default_memory(root: Path = Path("/")) -> int:
    """Return the memory in bytes that all children together may use by default.

    ``root`` is that of the file system, with ``/proc`` and ``/sys``.

    >>> default_memory() > 2**28
    True
    """
    return int(available_memory(root) * _MEMORY_SHARE)


def end_with_parent(lifeline: int) -> None:
    """End this process when the parent ends, even while a library hangs.

    Args:
        lifeline: the reading end of a pipe whose other end only the parent holds. When it is
            closed the kernel sends SIGIO, which ends the process.
    """
    signal.signal(signal.SIGIO, signal.SIG_DFL)
    fcntl.fcntl(lifeline, fcntl.F_SETOWN, os.getpid())
    flags = fcntl.fcntl(lifeline, fcntl.F_GETFL)
    fcntl.fcntl(lifeline, fcntl.F_SETFL, flags | os.O_ASYNC)


def apply_limits(memory: int) -> None:
    """Limit this process: no core files (they would show frames), few open files, and memory.

    The supervisor measures the memory in use; the limit of the kernel is for steps that use much
    within a moment. It is not set with a GPU, whose driver maps far more than it uses.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = _OPEN_FILES if most == resource.RLIM_INFINITY else min(_OPEN_FILES, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, most))
    if hasattr(resource, "RLIMIT_DATA") and not _uses_gpu():
        limit = memory + _RESERVED_BYTES
        resource.setrlimit(resource.RLIMIT_DATA, (limit, resource.RLIM_INFINITY))


def limit_file_size(size: int) -> None:
    """Limit the size in bytes of each file that this process writes; larger writes fail (EFBIG)."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (max(0, size), most))


def prefer_for_oom() -> None:
    """Let the kernel end this process first when the machine has no memory left."""
    try:
        Path("/proc/self/oom_score_adj").write_text("1000")
    except OSError:  # not Linux, or /proc is read-only: the kernel chooses by size
        return


def used_memory(process: int) -> int:
    """Return the memory in bytes that a process uses, without the files that it has mapped.

    It is 0 where the system does not tell.
    """
    try:
        text = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0
    return 1024 * sum(int(size) for size in _RESIDENT.findall(text))


def _uses_gpu() -> bool:
    try:
        return "libcuda.so" in Path("/proc/self/maps").read_text()
    except OSError:
        return False
