"""Hash files, check destinations before any work, and write files under temporary names.

Every file that this package writes for a user goes through ``PendingFile``: it has its final name
only when it is complete.
"""

import fcntl
import hashlib
import os
import re
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from errno import EDQUOT, EFBIG, ENOSPC
from pathlib import Path
from typing import IO
from uuid import uuid4

from app.errors import DiskFull, MediaError, OutputError, reason_of
from app.types import MediaFile

DISK_FULL = frozenset({ENOSPC, EDQUOT, EFBIG})
"""Error numbers for a full disk, an exhausted quota, and a file that may not grow any more."""
_TEMPORARY = re.compile(r"\..{1,50}\.[0-9a-f]{32}\.part", re.DOTALL)
"""The names that ``PendingFile`` gives."""
_NAME_CHARACTERS = 50
"""Characters of the final name in a temporary name: in UTF-8 up to 200 of the 255 bytes allowed."""


def sha256_of(file: MediaFile) -> str:
    """Return the SHA-256 of a file in hexadecimal, without holding the file in memory.

    Raises:
        MediaError: the file cannot be read.
    """
    try:
        return file_hash(file)
    except OSError as error:
        raise MediaError(f"{file}: cannot be read: {reason_of(error)}") from error


def file_hash(file: MediaFile) -> str:
    """Return the SHA-256 of a file in hexadecimal, without holding the file in memory.

    Raises:
        OSError: the file cannot be read.
    """
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def is_disk_full(error: OSError) -> bool:
    """Whether an error means that there is no space left."""
    return error.errno in DISK_FULL


def check_destination(output: Path, *, overwrite: bool, inputs: tuple[MediaFile, ...] = ()) -> None:
    """Check before any work that ``output`` can be written.

    Raises:
        OutputError: it is one of ``inputs``, exists (without ``overwrite``), is a folder, or its
            folder is missing or not writable.
    """
    try:
        _check(output, overwrite=overwrite, inputs=inputs)
    except (OSError, RuntimeError, ValueError) as error:  # name too long, link loop, zero byte
        raise OutputError(
            f"{output}: cannot be written ({reason_of(error)}); choose another name"
        ) from error


def _check(output: Path, *, overwrite: bool, inputs: tuple[MediaFile, ...]) -> None:
    folder = output.absolute().parent
    if not folder.is_dir():
        raise OutputError(f"{output}: the folder {folder} does not exist; create it first")
    if output.is_dir():
        raise OutputError(f"{output}: is a folder; give the name of a file")
    if any(_is_same(output, file) for file in inputs):
        raise OutputError(f"{output}: is the input itself; choose another name")
    # A dangling link occupies the name, too.
    if (output.exists() or output.is_symlink()) and not overwrite:
        raise OutputError(f"{output}: already exists; choose another name or overwrite it")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"{output}: the folder {folder} is not writable; choose another one")


def _is_same(output: Path, file: MediaFile) -> bool:
    if not isinstance(file, Path):
        return False
    if output.exists() and file.exists():
        return output.samefile(file)
    return output.resolve() == file.resolve()


class PendingFile:
    """A file that gets its name only when it is complete.

    ``path`` lies in the same folder, so that the move is atomic. It is hidden and ends in
    ``.part``, so that no player and no folder watcher takes it for a result. Call ``claim`` before
    a library writes to it: other processes remove such files if nobody holds them.
    """

    def __init__(self, output: Path, *, overwrite: bool) -> None:
        self.output = output
        self._overwrite = overwrite
        self._release: Callable[[], object] | None = None
        self._rename()

    def _rename(self) -> None:
        """Choose a temporary name that no other file has."""
        name = f".{self.output.name[:_NAME_CHARACTERS]}.{uuid4().hex}.part"
        self.path = self.output.absolute().with_name(name)

    def claim(self) -> None:
        """Create the file, and hold it until it has its name, is discarded, or the process ends.

        Raises:
            OutputError: the file cannot be created.
            DiskFull: there is no space for it.
        """
        with writing(self.output):
            while not self._create():
                # Another process took it for abandoned in the moment before it was held.
                self._rename()

    def _create(self) -> bool:
        """Create and hold the file; return whether it still exists."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptor = os.open(self.path, flags, 0o666)
        self._release = weakref.finalize(self, os.close, descriptor)
        with suppress(OSError):  # a file system without locks, where nothing is removed either
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.fstat(descriptor).st_nlink > 0

    @contextmanager
    def opened(self) -> Iterator[IO[bytes]]:
        """Open the file for writing; at the end of the block its content is on the disk.

        Raises:
            OutputError: the file cannot be written.
            DiskFull: there is no space for it.
        """
        self.claim()
        with writing(self.output), self.path.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())

    def commit(self) -> None:
        """Give the file its name.

        Raises:
            OutputError: another file has got the name since, and may not be overwritten.
        """
        if self._overwrite:
            self.path.replace(self.output)
            return
        try:
            # Unlike a rename, a link fails if the name is taken.
            self.output.hardlink_to(self.path)
        except FileExistsError as error:
            raise OutputError(f"{self.output}: already exists; choose another name") from error
        except OSError:
            self._rename_without_links()
        else:
            self.path.unlink()

    def _rename_without_links(self) -> None:
        """For file systems that have no hard links."""
        if self.output.exists():
            raise OutputError(f"{self.output}: already exists; choose another name")
        self.path.replace(self.output)

    def discard(self) -> None:
        """Remove the unfinished file; after ``commit`` this does nothing."""
        with suppress(FileNotFoundError):
            self.path.unlink()
        if self._release is not None:
            self._release()


@contextmanager
def writing(output: Path) -> Iterator[None]:
    """Translate errors of the operating system while ``output`` is written.

    Raises:
        DiskFull: there is no space left.
        OutputError: any other failure to write.
    """
    try:
        yield
    except OSError as error:
        if is_disk_full(error):
            raise DiskFull(
                f"{output}: no space left on the device; free some space and try again"
            ) from error
        raise OutputError(f"{output}: cannot be written: {reason_of(error)}") from error


@contextmanager
def replacing(output: Path, *, overwrite: bool = True) -> Iterator[IO[bytes]]:
    """Open a binary file that becomes ``output`` when the block ends without an error.

    The content is on the disk before the file gets its name.

    Raises:
        OutputError: the file cannot be written, or its name is taken (without ``overwrite``).
        DiskFull: there is no space for it.
    """
    pending = PendingFile(output, overwrite=overwrite)
    try:
        with pending.opened() as file:
            yield file
        with writing(output):
            pending.commit()
    finally:
        pending.discard()


@contextmanager
def keeping_finished(path: Path) -> Iterator[None]:
    """Ignore ``KeyboardInterrupt`` in the block once the file at ``path`` is complete."""
    before = _identity(path)
    try:
        yield
    except KeyboardInterrupt:
        if _identity(path) == before:
            raise


def _identity(path: Path) -> tuple[int, int, int] | None:
    """Return inode, size and time of a file, which a replacement changes; None without a file."""
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def write_file(path: Path, data: bytes) -> None:
    """Write a file, and its folder if it is missing; replace an older file only when complete.

    Raises:
        OSError: the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    pending = PendingFile(path, overwrite=True)
    try:
        pending.claim()
        pending.path.write_bytes(data)
        pending.commit()
    finally:
        pending.discard()


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files in ``folder`` that killed processes have left behind.

    A file that a living process holds stays, on whatever machine that process runs. A folder that
    cannot be listed is left as it is.
    """
    with suppress(OSError):
        for path in folder.iterdir():
            if _TEMPORARY.fullmatch(path.name):
                with suppress(OSError):  # held by a process, or a file of another user
                    _remove_abandoned(path)


def _remove_abandoned(path: Path) -> None:
    """Remove a file while this process holds it, so that no other one can begin to.

    Raises:
        OSError: another process holds it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink()
    finally:
        os.close(descriptor)
