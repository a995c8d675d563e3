"""An object of S3 as a file: read in place, in blocks, with read-ahead."""

import hashlib
import io
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing
from copy import copy
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self

from app.errors import FaceBlurError, PlaceError, StorageError
from app.storage.block_file import BlockFile
from app.storage.s3 import S3Uri, translate_errors

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from mypy_boto3_s3 import S3Client

CALLED_BY_LIBRARY = True
"""The media library calls the readers, and drops exceptions of signals; see ``app.process``."""
BLOCK = 8 << 20
_KEPT_BLOCKS = 8
"""Blocks kept in memory: enough for two readers at different positions."""
_READ_AHEAD = 2
"""Blocks fetched ahead of a sequential reader."""
_ATTEMPTS = 3
_POLL_SECONDS = 0.25
"""Time between checks whether to stop."""
_BUFFER = 256 << 10


class RemoteFile:
    """An object of S3; implements ``MediaFile``. A context manager that owns the fetching threads.

    All readers share the blocks: the latest are kept in memory, and with ``disk`` all of them in a
    temporary file while there is space, so that each is fetched once. A change of the object is an
    error. After an error nothing more is read.

    Args:
        client: client of S3.
        uri: the object.
        label: name of the object in messages and plans.
        check: called while a reader waits; raises to stop the work.
        block: size of a block in bytes.
        disk: folder of the temporary file of blocks; None: they are kept in memory only.
        reserve: bytes that must stay free on that disk, besides the size of the object.

    Raises:
        PlaceError: the object does not exist, or access is denied.
        StorageError: S3 fails.
    """

    def __init__(
        self,
        client: "S3Client",
        uri: S3Uri,
        label: str,
        check: Callable[[], None],
        block: int = BLOCK,
        *,
        disk: Path | None = None,
        reserve: int = 0,
    ) -> None:
        self._client, self._uri, self._label = client, uri, label
        self._check, self._block_size = check, block
        with translate_errors(label):
            head = client.head_object(Bucket=uri.bucket, Key=uri.key)
        self.size = int(head["ContentLength"])
        self.etag = str(head["ETag"])
        self._failure: FaceBlurError | None = None
        self._hash = hashlib.sha256()
        self._hashed = 0
        self._lock = threading.Lock()
        self._disk = None
        if disk is not None:
            self._disk = BlockFile(disk, self.size, block, reserve=self.size + reserve)
        self._blocks: OrderedDict[int, Future[bytes]] = OrderedDict()
        self._closing = threading.Event()
        self._fetchers = ThreadPoolExecutor(1 + _READ_AHEAD, thread_name_prefix="fetch-ahead")

    @property
    def name(self) -> str:
        """The name in a plan: the label, because the key may contain names of people."""
        return self._label

    def __str__(self) -> str:
        return self._label

    def exists(self) -> bool:
        """Return True: the constructor has checked it."""
        return True

    def is_file(self) -> bool:
        """Return True: reading comes to an end."""
        return True

    def open(self, mode: Literal["rb"], /) -> io.BufferedReader:  # noqa: ARG002 - as Path.open
        """Open a new reader at the first byte."""
        return io.BufferedReader(_Reader(self), min(_BUFFER, self._block_size))

    @property
    def sha256(self) -> str:
        """SHA-256 of the object in hexadecimal.

        Blocks are hashed while they are read in order, so that a sequential pass makes a second one
        unnecessary. The remaining blocks are read now.

        Raises:
            FaceBlurError: as ``read_at``.
        """
        while self._hashed * self._block_size < self.size:
            self.read_at(self._hashed * self._block_size, 1)
        return self._hash.hexdigest()

    @property
    def is_on_disk(self) -> bool:
        """Whether all blocks are in the temporary file, so that nothing is fetched any more."""
        return self._disk is not None and self._disk.is_complete

    def check_read(self) -> None:
        """Raise the first error of any reader again.

        A media library may have treated the error as the end of the file.

        Raises:
            FaceBlurError: as ``read_at``.
        """
        if self._failure is not None:
            raise copy(self._failure)

    def read_at(self, position: int, length: int) -> bytes:
        """Return up to ``length`` bytes from ``position``; empty only at the end of the object.

        Raises:
            PlaceError: the object was changed.
            StorageError: S3 fails.
            FaceBlurError: as ``check`` raises it.
        """
        self.check_read()
        if position >= self.size or not length:
            return b""
        number, offset = divmod(position, self._block_size)
        try:
            return self._block(number)[offset : offset + length]
        except FaceBlurError as error:
            self._failure = copy(error)  # without its frames, which keep readers open
            raise

    def _block(self, number: int) -> bytes:
        data = None if self._disk is None else self._disk.read(number)
        if data is None:
            data = self._await_block(number)
        with self._lock:
            if number == self._hashed:
                self._hash.update(data)
                self._hashed += 1
        return data

    def _await_block(self, number: int) -> bytes:
        with self._lock:
            future = self._request(number)
            if number - 1 in self._blocks:  # a sequential reader
                last = (self.size - 1) // self._block_size
                for later in range(number + 1, min(number + _READ_AHEAD, last) + 1):
                    if self._disk is None or later not in self._disk:
                        self._request(later)
            while len(self._blocks) > _KEPT_BLOCKS:
                self._blocks.popitem(last=False)
        while not future.done():
            self._check()
            wait([future], timeout=_POLL_SECONDS)
        return future.result()

    def _request(self, number: int) -> "Future[bytes]":
        if number not in self._blocks:
            self._blocks[number] = self._fetchers.submit(self._fetch, number)
        self._blocks.move_to_end(number)
        return self._blocks[number]

    def _fetch(self, number: int) -> bytes:
        """Fetch a block. Broken connections are retried here; boto3 retries error responses."""
        first = number * self._block_size
        last = min(first + self._block_size, self.size) - 1
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                data = self._get(first, last)
            except StorageError as error:
                # Other errors have been retried by boto3 already.
                is_final = not isinstance(error, _IncompleteBody) or attempt == _ATTEMPTS
                if is_final or self._closing.wait(attempt * 0.2):
                    raise
            else:
                if self._disk is not None:
                    self._disk.write(number, data)
                return data
        raise AssertionError("the last attempt returns or raises")

    def _get(self, first: int, last: int) -> bytes:
        with translate_errors(self._label):
            response = self._client.get_object(
                Bucket=self._uri.bucket,
                Key=self._uri.key,
                Range=f"bytes={first}-{last}",
                IfMatch=self.etag,
            )
        with closing(response["Body"]) as body:
            if response.get("ContentRange") != f"bytes {first}-{last}/{self.size}":
                raise StorageError(f"{self._label}: S3 returned the wrong range; try again")
            try:
                with translate_errors(self._label):
                    data = body.read(last - first + 1)
            except StorageError as error:
                raise _IncompleteBody(str(error)) from error
        if len(data) != last - first + 1:
            raise _IncompleteBody(f"{self._label}: S3 returned less than requested; try again")
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


def fetch_object(
    client: "S3Client",
    uri: S3Uri,
    label: str,
    path: Path,
    *,
    most: int,
    check: Callable[[], None],
) -> None:
    """Write a small object to a file.

    Args:
        client: the client of S3.
        uri: the object.
        label: its name in messages.
        path: the file, which must not exist.
        most: the number of bytes that it may have.
        check: called for each block; raises to stop the work.

    Raises:
        PlaceError: it does not exist, is too large, or access is denied.
        StorageError: S3 fails.
        DiskFull: there is no space for it.
    """
    with translate_errors(label):
        response = client.get_object(Bucket=uri.bucket, Key=uri.key)
        size = int(response["ContentLength"])
        if size > most:
            raise PlaceError(f"{label}: is larger than the {most} bytes that are allowed")
        with closing(response["Body"]) as body, path.open("xb") as file:
            for block in body.iter_chunks(_BUFFER):
                check()
                file.write(block)
    if path.stat().st_size != size:
        raise StorageError(f"{label}: S3 returned less than requested; try again")


class _IncompleteBody(StorageError):
    """The connection broke before the whole block arrived."""


class _Reader(io.RawIOBase):
    """A reader with its own position in the file."""

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
            # The media library raises the first error only, and prints all further ones.
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
