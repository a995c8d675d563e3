"""An object of S3 as a file: read where it lies, block by block, a little ahead."""

import hashlib
import io
import os
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

from app.errors import FaceBlurError, StorageError
from app.files import is_disk_full
from app.storage.client import translated
from app.storage.uri import S3Uri

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from mypy_boto3_s3 import S3Client

BLOCK = 8 << 20
_KEPT = 8
"""Blocks in memory: two readers side by side, each with some of what it has just read."""
_AHEAD = 2
_ATTEMPTS = 3
_POLL = 0.25
"""Seconds between looks at whether the work is still wanted."""
_BUFFER = 256 << 10


class RemoteFile:
    """An object of S3; implements the contract ``MediaFile``. To be used as a context.

    All readers share the blocks: some in memory, and with ``disk`` all of them in a temporary file,
    so that each is fetched once. A change of the object is an error, and after any error nothing
    more is read. The threads that fetch end with the context.

    Args:
        client: of S3.
        place: the object.
        label: what messages and plans call it.
        check: called while a reader waits; raises what stops the work.
        block: bytes that are fetched at once.
        disk: folder of the temporary file for blocks; None: they are only kept in memory.

    Raises:
        PlaceError: it is not there, or may not be read.
        StorageError: S3 fails.
    """

    def __init__(
        self,
        client: "S3Client",
        place: S3Uri,
        label: str,
        check: Callable[[], None],
        block: int = BLOCK,
        *,
        disk: Path | None = None,
    ) -> None:
        self._client, self._place, self._label = client, place, label
        self._check, self._block_size = check, block
        with translated(label):
            head = client.head_object(Bucket=place.bucket, Key=place.key)
        self.size = int(head["ContentLength"])
        self.etag = str(head["ETag"])
        self._failure: FaceBlurError | None = None
        self._hash = hashlib.sha256()
        self._hashed = 0
        self._lock = threading.Lock()
        self._stored: set[int] = set()
        # closed at the end of the context
        self._disk = None if disk is None else tempfile.TemporaryFile(dir=disk)  # noqa: SIM115
        self._blocks: OrderedDict[int, Future[bytes]] = OrderedDict()
        self._closing = threading.Event()
        self._fetchers = ThreadPoolExecutor(1 + _AHEAD, thread_name_prefix="fetch-ahead")

    @property
    def name(self) -> str:
        """What a plan calls it: its key may name people."""
        return self._label

    def __str__(self) -> str:
        return self._label

    def exists(self) -> bool:
        """It was there when this was made."""
        return True

    def is_file(self) -> bool:
        """It has an end."""
        return True

    def open(self, mode: Literal["rb"], /) -> io.BufferedReader:  # noqa: ARG002 - as of a path
        """A reader of its own, at the first byte."""
        return io.BufferedReader(_Reader(self), min(_BUFFER, self._block_size))

    @property
    def sha256(self) -> str:
        """SHA-256 of the object in hexadecimal.

        Blocks are hashed as they are read in order, so that a pass from the first byte to the last
        costs no second one; blocks that were skipped are read now.

        Raises:
            FaceBlurError: as ``read_at``.
        """
        while self._hashed * self._block_size < self.size:
            self.read_at(self._hashed * self._block_size, 1)
        return self._hash.hexdigest()

    def check_read(self) -> None:
        """Raise again what any reader met: a library in between may have taken it for an end.

        Raises:
            FaceBlurError: as ``read_at``.
        """
        if self._failure is not None:
            raise self._failure

    def read_at(self, position: int, length: int) -> bytes:
        """Up to ``length`` bytes from ``position`` on; none only at the end.

        Raises:
            PlaceError: the object was changed.
            StorageError: S3 fails.
            FaceBlurError: what ``check`` raises.
        """
        self.check_read()
        if position >= self.size or not length:
            return b""
        number, offset = divmod(position, self._block_size)
        try:
            return self._block(number)[offset : offset + length]
        except FaceBlurError as error:
            self._failure = error
            raise

    def _block(self, number: int) -> bytes:
        data = self._stored_block(number)
        if data is None:
            data = self._fetched_block(number)
        with self._lock:
            if number == self._hashed:
                self._hash.update(data)
                self._hashed += 1
        return data

    def _stored_block(self, number: int) -> bytes | None:
        """The block from the temporary file, None if it is not there."""
        if self._disk is None or number not in self._stored:
            return None
        first = number * self._block_size
        return os.pread(self._disk.fileno(), min(self._block_size, self.size - first), first)

    def _store(self, number: int, data: bytes) -> None:
        """Keep a block in the temporary file."""
        if self._disk is None:
            return
        try:
            written = os.pwrite(self._disk.fileno(), data, number * self._block_size)
        except OSError as error:
            if is_disk_full(error):  # then it is fetched again when it is needed again
                return
            raise
        if written == len(data):
            self._stored.add(number)

    def _fetched_block(self, number: int) -> bytes:
        with self._lock:
            future = self._wanted(number)
            if number - 1 in self._blocks:  # somebody reads on and on
                last = (self.size - 1) // self._block_size
                for later in range(number + 1, min(number + _AHEAD, last) + 1):
                    if later not in self._stored:
                        self._wanted(later)
            while len(self._blocks) > _KEPT:
                self._blocks.popitem(last=False)
        while not future.done():
            self._check()
            wait([future], timeout=_POLL)
        return future.result()

    def _wanted(self, number: int) -> "Future[bytes]":
        if number not in self._blocks:
            self._blocks[number] = self._fetchers.submit(self._fetch, number)
        self._blocks.move_to_end(number)
        return self._blocks[number]

    def _fetch(self, number: int) -> bytes:
        """One block; a connection that breaks is tried again, as boto3 does with an answer."""
        first = number * self._block_size
        last = min(first + self._block_size, self.size) - 1
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                data = self._get(first, last)
            except StorageError as error:
                # What boto3 itself has tried again already is not tried once more.
                is_final = not isinstance(error, _Broken) or attempt == _ATTEMPTS
                if is_final or self._closing.wait(attempt * 0.2):
                    raise
            else:
                self._store(number, data)
                return data
        raise AssertionError("the last attempt returns or raises")

    def _get(self, first: int, last: int) -> bytes:
        with translated(self._label):
            answer = self._client.get_object(
                Bucket=self._place.bucket, Key=self._place.key,
                Range=f"bytes={first}-{last}", IfMatch=self.etag,
            )  # fmt: skip
        with closing(answer["Body"]) as body:
            if answer.get("ContentRange") != f"bytes {first}-{last}/{self.size}":
                raise StorageError(f"{self._label}: S3 gives another part than asked for")
            try:
                with translated(self._label):
                    data = body.read(last - first + 1)
            except StorageError as error:
                raise _Broken(str(error)) from error
        if len(data) != last - first + 1:
            raise _Broken(f"{self._label}: S3 gives less than asked for; try again")
        return data

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing.set()
        self._fetchers.shutdown(cancel_futures=True)
        self._blocks.clear()
        if self._disk is not None:
            self._disk.close()


class _Broken(StorageError):
    """A part did not come whole."""


class _Reader(io.RawIOBase):
    """A position in a file."""

    def __init__(self, file: RemoteFile) -> None:
        self._file = file
        self._position = 0
        self._failed = False

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        if self._failed:
            # The media library raises the first error, and prints all others.
            return 0
        view = memoryview(buffer).cast("B")
        try:
            data = self._file.read_at(self._position, len(view))
        except FaceBlurError:
            self._failed = True
            raise
        view[: len(data)] = data
        self._position += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._file.size}[whence]
        if start + offset < 0:
            raise ValueError(f"position {start + offset} is negative")
        self._position = start + offset
        return self._position

    def tell(self) -> int:
        return self._position
