"""The files of a batch, and the names of their results."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.errors import UsageError, reason_of
from app.system_files import is_system_path


@dataclass(frozen=True, slots=True)
class Inputs:
    """The files of a batch by name, sorted. Names are relative to the output, with slashes."""

    files: Mapping[str, Path]
    hidden: tuple[str, ...] = ()
    """Files whose name, or the name of a folder above them, begins with a dot."""
    system: tuple[str, ...] = ()
    """Other files that belong to the operating system, such as ``Thumbs.db``."""
    unreadable: tuple[str, ...] = ()
    """Folders that cannot be listed, so that the results of their files are missing."""


def find_files(folder: Path) -> Inputs:
    """List all files below a folder, with names relative to it.

    Links to folders are listed as files and not followed: each fails later, because it is not a
    video or image, so that the report mentions it.
    """
    names: list[str] = []
    unreadable: list[str] = []

    def add_unreadable(error: OSError) -> None:
        unreadable.append(Path(error.filename).relative_to(folder).as_posix())

    for parent, folders, files in os.walk(folder, onerror=add_unreadable):
        relative = Path(parent).relative_to(folder)
        links = [name for name in folders if Path(parent, name).is_symlink()]
        names.extend((relative / name).as_posix() for name in (*files, *links))
    names.sort()
    hidden = {name for name in names if any(part.startswith(".") for part in name.split("/"))}
    visible = [name for name in names if name not in hidden]
    return Inputs(
        files={name: folder / name for name in visible if not is_system_path(name)},
        hidden=tuple(sorted(hidden)),
        system=tuple(name for name in visible if is_system_path(name)),
        unreadable=tuple(sorted(unreadable)),
    )


def gather(paths: Sequence[Path]) -> Inputs:
    """List files, and all files below folders. A file that is named here has its last name.

    Raises:
        UsageError: a path does not exist, or two files would have results of the same name.
    """
    found = [_list(path) for path in paths]
    files: dict[str, Path] = {}
    for name, file in sorted(pair for one in found for pair in one.files.items()):
        if name in files and not file.samefile(files[name]):
            raise UsageError(
                f"{files[name]} and {file} would have results of the same name; choose one of them"
            )
        files[name] = file
    return Inputs(
        files,
        hidden=_joined(one.hidden for one in found),
        system=_joined(one.system for one in found),
        unreadable=_joined(one.unreadable for one in found),
    )


def _list(path: Path) -> Inputs:
    try:
        if path.is_dir():
            return find_files(path)
        path.stat()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {reason_of(error)}") from error
    return Inputs({path.name: path})


def _joined(names: Iterable[tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(sorted({name for one in names for name in one}))
