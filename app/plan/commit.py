"""Commit a plan and a video together: both get their names, or neither."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from app.files import PendingFile
from app.plan.records import Plan
from app.plan.writing import plan_text

_Identity = tuple[int, int, int] | None


@contextmanager
def committed_together(video: Path, plan: Plan, destination: Path | None) -> Iterator[None]:
    """Write ``plan`` to a temporary file, and name it right after ``video`` gets its name.

    The block renders the video. An error or interruption before the video has its name leaves
    neither file; an interruption after that is too late to matter and is ignored. With
    ``destination`` None no plan is written.

    Raises:
        OutputError, DiskFull: the plan cannot be written.
    """
    before = _identity(video)
    pending = None if destination is None else PendingFile(destination, overwrite=True)
    try:
        if pending is not None:
            with pending.opened() as file:
                file.writelines(plan_text(plan))
        yield
    except KeyboardInterrupt:
        if _identity(video) == before:
            raise
    finally:
        if pending is not None:
            if _identity(video) != before:
                pending.commit()
            pending.discard()


def _identity(path: Path) -> _Identity:
    """Inode, size and time of a file: a replacement changes them. None if there is no file."""
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
