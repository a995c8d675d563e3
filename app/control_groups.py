"""The control groups of this process: those of its container, and those that contain them.

Source: https://docs.kernel.org/admin-guide/cgroup-v2.html
"""

import re
from collections.abc import Iterator
from pathlib import Path

_SYSTEM = Path("/")


def values_of_groups(name: str, root: Path = _SYSTEM) -> Iterator[str]:
    """Yield what a file says in the group of this process, and in all groups above it (v2).

    Args:
        name: the file, for example ``memory.max``; groups without it yield nothing.
        root: the root of the file system, with ``/proc`` and ``/sys``.
    """
    base = root / "sys/fs/cgroup"
    group = re.search(r"^0::/(.*)$", kernel_text(root / "proc/self/cgroup"), re.MULTILINE)
    folder = base / (group.group(1).strip() if group else "")
    for one in (folder, *(path for path in folder.parents if path.is_relative_to(base))):
        if text := kernel_text(one / name).strip():
            yield text


def kernel_text(path: Path) -> str:
    """Return the text of a kernel file; empty if this kernel does not have it."""
    try:
        return path.read_text(encoding="ascii")
    except OSError:
        return ""
