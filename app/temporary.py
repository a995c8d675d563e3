"""Temporary folders that survive no crash: the next program removes those without an owner."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

from app.isolation.limits import default_memory
from app.machine import available_cpus

_NEW = "new-"
_UNCHECKED = ".face-blur-check-"
"""The beginning of the name of a folder with a result that is not checked yet."""


def place_facts(folder: Path) -> dict[str, Any]:
    """Return facts about the process and a folder that it writes to.

    Returns:
        ``uid``, the user; ``spool``, the folder; ``free_bytes``, the space there; ``cpus`` and
        ``memory_bytes`` that work on media may use.
    """
    return {
        "uid": os.getuid(),
        "spool": str(folder),
        "free_bytes": shutil.disk_usage(folder).free,
        "cpus": available_cpus(),
        "memory_bytes": default_memory(),
    }


def make_folder(parent: Path, prefix: str) -> Path:
    """Create a folder ``PREFIX...`` that belongs to this process and its forks until they end.

    Folders with the same prefix whose owner has ended, for example by SIGKILL, are removed first.
    The folder is locked with ``flock``; the descriptor stays open for the life of the process.

    Raises:
        OSError: it cannot be created.
    """
    path, _ = _make(parent, prefix)
    return path


@contextmanager
def temporary_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """Create a folder as ``make_folder``, and remove it with its content after the block.

    Raises:
        OSError: it cannot be created.
    """
    path, lock = _make(parent, prefix)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock)


def _make(parent: Path, prefix: str) -> tuple[Path, int]:
    remove_abandoned(parent, prefix)
    made = Path(tempfile.mkdtemp(dir=parent, prefix=_NEW + prefix))
    lock = os.open(made, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    # Only now it gets a name that other programs look at.
    return made.rename(made.with_name(made.name.removeprefix(_NEW))), lock


def remove_abandoned(parent: Path, prefix: str) -> None:
    """Remove the folders with this prefix that no running process owns."""
    for folder in parent.glob(f"{prefix}*"):
        with suppress(OSError):  # of another user, or removed meanwhile
            lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)


def unchecked_folder(parent: Path) -> AbstractContextManager[Path]:
    """Create a folder for a result that is not checked yet, and remove it after the block.

    Raises:
        OSError: it cannot be created.
    """
    return temporary_folder(parent, _UNCHECKED)


def remove_unchecked(folder: Path) -> None:
    """Remove the results in ``folder`` that a killed process has left before they were checked."""
    remove_abandoned(folder, _UNCHECKED)
