"""The blocks of an S3 object in a temporary file, as far as there is space."""

import os
import shutil
import tempfile
from pathlib import Path

from app.files import writing


class BlockFile:
    """A sparse temporary file of blocks; it has no name and disappears when it is closed.

    A block that could not be written is missing, and has to be fetched again when it is needed.

    Args:
        folder: an existing folder.
        size: size of the object in bytes.
        block: size of a block in bytes; the last one is smaller.
        reserve: bytes that must stay free on the disk, for example for a result.

    Raises:
        OutputError, DiskFull: the file cannot be created.
    """

    def __init__(self, folder: Path, size: int, block: int, *, reserve: int = 0) -> None:
        self._folder, self._size, self._block, self._reserve = folder, size, block, reserve
        self._written: set[int] = set()
        with writing(folder):
            self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - see close

    def __contains__(self, number: int) -> bool:
        return number in self._written

    @property
    def is_complete(self) -> bool:
        """Whether every block is in the file."""
        return len(self._written) == -(-self._size // self._block)

    def read(self, number: int) -> bytes | None:
        """Return a block, or None if it is missing or cannot be read."""
        if number not in self._written:
            return None
        first = number * self._block
        length = min(self._block, self._size - first)
        try:
            data = os.pread(self._file.fileno(), length, first)
        except OSError:  # then the block is fetched again
            return None
        return data if len(data) == length else None

    def write(self, number: int, data: bytes) -> None:
        """Write a block if the disk has space for it beside the reserve."""
        try:
            if shutil.disk_usage(self._folder).free < self._reserve + len(data):
                return
            written = os.pwrite(self._file.fileno(), data, number * self._block)
        except OSError:  # then the block is fetched again
            return
        if written == len(data):
            self._written.add(number)

    def close(self) -> None:
        """Remove the file."""
        self._file.close()
