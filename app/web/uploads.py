"""Bodies of requests, block by block onto the disk, within bounds that are checked on the way."""

import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

from app.config import ServiceSettings
from app.errors import DiskFull, IncompleteUpload, MediaTooLarge
from app.files import is_disk_full
from app.video.kinds import kind_of

BLOCK = 1 << 20
_HEAD = 1 << 16
"""Bytes that are enough to tell what a file is."""
_ROOM = 2
"""Room for results, as a multiple of the request: a plan, and a video that may be larger."""


class Intake:
    """The body of one request.

    Args:
        stream: gives the bytes of the body, chunked or not.
        declared: its Content-Length, None when it is chunked.
        folder: where it is going to be written.
        limits: how large it may be, and how much of the disk has to stay free.
        check: called for each block; raises what stops the upload.
    """

    def __init__(
        self,
        stream: IO[bytes],
        declared: int | None,
        folder: Path,
        limits: ServiceSettings,
        check: Callable[[], None],
    ) -> None:
        self._stream, self._declared, self._check = stream, declared, check
        self._folder, self._limits = folder, limits
        self.received = 0

    def blocks(self) -> Iterator[bytes]:
        """The body in blocks of up to ``BLOCK`` bytes.

        Raises:
            MediaTooLarge: it is larger than allowed.
            DiskFull: there would be no room for it and its result.
            IncompleteUpload: it ends too early, or stops coming.
            Interrupted: the service is being stopped.
        """
        self._check_size(self._declared or 0)
        self._check_room((self._declared or 0) * (1 + _ROOM))
        while block := self._read():
            self.received += len(block)
            self._check_size(self.received)
            if self._declared is None:
                self._check_room(self.received * _ROOM + len(block))
            yield block
        if self._declared not in {None, self.received}:
            raise IncompleteUpload(
                f"the body ends after {self.received} of {self._declared} bytes; send it again"
            )

    def _read(self) -> bytes:
        try:
            block = self._stream.read(BLOCK)
        except OSError as error:
            self._check()
            raise IncompleteUpload(
                "the body is cut off, or stopped coming; send it again"
            ) from error
        self._check()
        return block

    def _check_size(self, size: int) -> None:
        if size > self._limits.max_bytes:
            raise MediaTooLarge(f"larger than the {self._limits.max_bytes} bytes that are allowed")

    def _check_room(self, needed: int) -> None:
        if shutil.disk_usage(self._folder).free < needed + self._limits.min_free:
            raise DiskFull("no room on the disk for this request; free some or send a smaller one")


def save_media(blocks: Iterable[bytes], path: Path) -> None:
    """Write media, and stop reading as soon as it is clear that it is none.

    Raises:
        UnsupportedMedia: it is not a video or image that we read.
        MediaError: it is empty.
        DiskFull: there is no room for it.
    """
    with saving(path) as file:
        told = False
        for block in blocks:
            file.write(block)
            if not told and file.tell() >= _HEAD:
                file.flush()
                kind_of(path)
                told = True
    kind_of(path)


@contextmanager
def request_folder(spool: Path) -> Iterator[Path]:
    """A folder for one request, gone with all that is in it afterwards.

    Raises:
        DiskFull: there is no room for it.
    """
    with ExitStack() as stack:
        with _full_told():
            folder = stack.enter_context(TemporaryDirectory(dir=spool, prefix="request-"))
        yield Path(folder)


@contextmanager
def saving(path: Path) -> Iterator[IO[bytes]]:
    """A new file to write to.

    Raises:
        DiskFull: there is no room for it.
    """
    with _full_told(), path.open("xb") as file:
        yield file


@contextmanager
def _full_told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if is_disk_full(error):
            raise DiskFull("no room left on the disk for this request; free some") from error
        raise
