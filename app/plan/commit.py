"""A plan and a video that get their names together: both, or neither."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from app.errors import DiskFull, OutputError
from app.plan.records import Plan
from app.plan.writing import write_plan

_NAME = 50
"""Characters of a name that are kept in that of its temporary file."""

_Identity = tuple[int, int, int] | None


@contextmanager
def together(video: Path, plan: Plan, place: Path | None) -> Iterator[None]:
    """While ``video`` is made, keep ``plan`` complete on the disk, and name it right after it.

    What stops the work before the video has its name leaves neither; an interruption that comes
    later than that comes too late, and is no failure. ``place`` is None where no plan is wanted.

    Raises:
        OutputError, DiskFull: the plan cannot be written.
    """
    before = _identity(video)
    staged = None if place is None else place.with_name(_temporary(place.name))
    try:
        if place is not None and staged is not None:
            _stage(plan, staged, place)
        yield
    except KeyboardInterrupt:
        if _identity(video) == before:
            raise
    finally:
        if place is not None and staged is not None:
            if _identity(video) != before:
                staged.replace(place)
            staged.unlink(missing_ok=True)


def _temporary(name: str) -> str:
    return f".{name[:_NAME]}.{uuid4().hex}.part"


def _stage(plan: Plan, staged: Path, place: Path) -> None:
    """Write the plan under another name; errors tell the name that was asked for."""
    try:
        write_plan(plan, staged)
    except (OutputError, DiskFull) as error:
        raise type(error)(str(error).replace(str(staged), str(place))) from error


def _identity(path: Path) -> _Identity:
    """Which file it is that has the name: another one after every replacement."""
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
