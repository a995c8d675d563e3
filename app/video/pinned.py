"""An input on disk that cannot change unnoticed: every reader gets the same bytes, or an error.

The file is opened once. All readers share its descriptor, so a replacement under the same name has
no effect on them. It is read in blocks, and the hash of each block is kept when it is read first:
bytes that are overwritten later, in whatever way, never reach a decoder. Times of files alone do
not show this, because writing through a memory map may leave them as they were.
"""

import hashlib
import io
import os
import stat
import threading
import weakref
from collections import OrderedDict
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from app.errors import MediaError, reason_of

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

CALLED_BY_LIBRARY = True
"""The media library calls the readers, and drops exceptions of signals; see ``app.process``."""
_BLOCK = 256 << 10
"""Bytes of a block: small for a jump to an index, large enough that hashing runs at full speed."""
_KEPT_BLOCKS = 8
"""Blocks that each reader keeps: sound and video of one moment may lie apart in a file."""
_BUFFER = 32 << 10
"""Bytes of the buffer of a reader; small, because blocks are in memory already."""


class PinnedFile:
    """The content of a file when it was first read; implements ``MediaFile``.

    Args:
        path: a regular file.

    Raises:
        MediaError: it cannot be opened, or is not a regular file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            # A pipe that took the name meanwhile would block without the flag.
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except (OSError, ValueError) as error:
            raise MediaError(
                f"{path}: cannot be read ({reason_of(error)}); check the file"
            ) from error
        weakref.finalize(self, os.close, self._descriptor)
        status = os.fstat(self._descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise MediaError(f"{path}: not a regular file; give the name of a video or image")
        self.size = status.st_size
        self._identity = _identity(status)
        self._hashes: dict[int, bytes] = {}
        self._failure: MediaError | None = None
        """Raised as copies: an error that was raised refers to frames, and so to the decoder."""
        self._lock = threading.Lock()

    def __str__(self) -> str:
        return str(self._path)

    @property
    def name(self) -> str:
        """The name of the file, without its folder."""
        return self._path.name

    def exists(self) -> bool:
        """Return True: it is open."""
        return True

    def is_file(self) -> bool:
        """Return True: the constructor has checked it."""
        return True

    def open(self, mode: Literal["rb"], /) -> io.BufferedReader:  # noqa: ARG002 - as Path.open
        """Open a new reader at the first byte."""
        return io.BufferedReader(_Reader(self), _BUFFER)

    def check_unchanged(self) -> None:
        """Check that file and name are those of the beginning, and that no reader saw a change.

        Raises:
            MediaError: the file was replaced or written to.
        """
        if self._failure is not None:
            raise copy(self._failure)
        try:
            now, then = self._path.stat(), os.fstat(self._descriptor)
        except OSError as error:
            raise MediaError(f"{self}: cannot be read: {reason_of(error)}") from error
        if not _identity(now) == _identity(then) == self._identity:
            raise self._changed()

    def read_block(self, number: int) -> bytes:
        """Return block ``number`` with the content that it had when it was read first.

        Raises:
            MediaError: it has another content now, or a block read before had.
        """
        if self._failure is not None:
            raise copy(self._failure)
        data = self._read(number * _BLOCK, min(_BLOCK, self.size - number * _BLOCK))
        digest = hashlib.sha256(data).digest()
        with self._lock:
            if self._hashes.setdefault(number, digest) != digest:
                self._failure = self._changed()
                raise copy(self._failure)
        return data

    def _read(self, position: int, length: int) -> bytes:
        parts = []
        while length:
            try:
                part = os.pread(self._descriptor, length, position)
            except OSError as error:
                self._failure = MediaError(f"{self}: cannot be read: {reason_of(error)}")
                raise copy(self._failure) from error
            if not part:
                self._failure = self._changed()
                raise copy(self._failure)
            parts.append(part)
            position, length = position + len(part), length - len(part)
        return b"".join(parts)

    def _changed(self) -> MediaError:
        return MediaError(
            f"{self}: the file changed while it was read; try again when nothing writes to it"
        )


def _identity(status: os.stat_result) -> tuple[int, ...]:
    """Return the facts that any change of a file changes; programs can restore all but the last."""
    return (
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )


class _Reader(io.RawIOBase):
    """A reader with its own position in the file."""

    def __init__(self, file: PinnedFile) -> None:
        self._file = file
        self._position = 0
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._failed = False

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        # The media library raises the first error only, and prints all further ones.
        if self._failed or self._position >= self._file.size:
            return 0
        view = memoryview(buffer).cast("B")
        number, offset = divmod(self._position, _BLOCK)
        try:
            data = memoryview(self._block(number))[offset : offset + len(view)]
        except MediaError:
            self._failed = True
            raise
        view[: len(data)] = data
        self._position += len(data)
        return len(data)

    def _block(self, number: int) -> bytes:
        if number not in self._blocks:
            self._blocks[number] = self._file.read_block(number)
            if len(self._blocks) > _KEPT_BLOCKS:
                self._blocks.popitem(last=False)
        self._blocks.move_to_end(number)
        return self._blocks[number]

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._file.size}[whence]
        if start + offset < 0:
            raise ValueError(f"position {start + offset} is negative")
        self._position = start + offset
        return self._position

    def tell(self) -> int:
        return self._position
