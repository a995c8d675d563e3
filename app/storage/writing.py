"""A file to S3: in parts, checked, and under its name only when it is whole."""

import base64
import zlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.errors import FaceBlurError, PlaceError, StorageError
from app.storage.client import status_of, translated
from app.storage.uri import S3Uri

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

_PART = 16 << 20
_PARTS = 10_000
"""Of one object, at most."""
_AT_ONCE = 4
_POLL = 0.25
_CRC_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Stored:
    """What S3 tells of an object: ``crc`` is of all of it, in base 64, if it is known."""

    size: int
    crc: str | None
    metadata: Mapping[str, str]


def find(client: "S3Client", place: S3Uri, label: str) -> Stored | None:
    """What is at a place; None where nothing is, or where it may not be known.

    Who may not list a bucket is told that access is denied, whether the object is there or not;
    the conditions of ``upload`` hold in any case.

    Raises:
        StorageError: S3 fails.
    """
    try:
        with translated(label):
            head = client.head_object(Bucket=place.bucket, Key=place.key, ChecksumMode="ENABLED")
    except PlaceError as error:
        if status_of(error) in {403, 404}:
            return None
        raise
    return Stored(int(head["ContentLength"]), head.get("ChecksumCRC32"), head["Metadata"])


def upload(
    client: "S3Client",
    path: Path,
    place: S3Uri,
    label: str,
    *,
    content_type: str,
    metadata: Mapping[str, str],
    overwrite: bool,
    check: Callable[[], None],
) -> None:
    """Put a file at a place. Where it fails nothing is there, or what was there before.

    Args:
        client: of S3.
        path: the file.
        place: the object to be.
        label: what messages call it.
        content_type: of the object.
        metadata: of the object, ASCII, 2 KB at most; what tells this object from others.
        overwrite: whether an object that is there is replaced.
        check: called while parts are sent; raises what stops the work.

    Raises:
        PlaceError: S3 refuses, or the object exists.
        StorageError: S3 fails, or holds something else afterwards.
        FaceBlurError: what ``check`` raises.
    """
    sending = _Sending(client, path, place, label, check)
    with translated(label):
        begun = client.create_multipart_upload(
            Bucket=place.bucket, Key=place.key, ContentType=content_type, Metadata=dict(metadata),
            ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT",
        )  # fmt: skip
    try:
        parts = sending.send(begun["UploadId"])
        sending.complete(begun["UploadId"], parts, metadata, overwrite=overwrite)
    except BaseException:
        # Where even that fails, the rule of the bucket for abandoned parts takes them away.
        with suppress(FaceBlurError), translated(label):
            client.abort_multipart_upload(
                Bucket=place.bucket, Key=place.key, UploadId=begun["UploadId"]
            )
        raise


class _Sending:
    """One file on its way."""

    def __init__(
        self,
        client: "S3Client",
        path: Path,
        place: S3Uri,
        label: str,
        check: Callable[[], None],
    ) -> None:
        self._client, self._path, self._place = client, path, place
        self._label, self._check = label, check
        self._size = path.stat().st_size
        self._part = max(_PART, -(-self._size // _PARTS))
        self._crc = _crc(path, check)

    def send(self, upload_id: str) -> "list[CompletedPartTypeDef]":
        """Send all parts, some at once."""
        starts = range(0, max(1, self._size), self._part)
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="send") as pool:
            futures = [
                pool.submit(self._send_part, upload_id, number, start)
                for number, start in enumerate(starts, 1)
            ]
            try:
                self._wait(futures)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        return [future.result() for future in futures]

    def _wait(self, futures: "list[Future[CompletedPartTypeDef]]") -> None:
        waiting = set(futures)
        while waiting:
            self._check()
            done, waiting = wait(waiting, timeout=_POLL, return_when=FIRST_EXCEPTION)
            for future in done:
                future.result()

    def _send_part(self, upload_id: str, number: int, start: int) -> "CompletedPartTypeDef":
        with self._path.open("rb") as file:
            file.seek(start)
            data = file.read(self._part)
        with translated(self._label):
            sent = self._client.upload_part(
                Bucket=self._place.bucket, Key=self._place.key, UploadId=upload_id,
                PartNumber=number, Body=data, ChecksumAlgorithm="CRC32",
            )  # fmt: skip
        return {
            "PartNumber": number,
            "ETag": sent["ETag"],
            "ChecksumCRC32": _encoded(zlib.crc32(data)),
        }

    def complete(
        self,
        upload_id: str,
        parts: "list[CompletedPartTypeDef]",
        metadata: Mapping[str, str],
        *,
        overwrite: bool,
    ) -> None:
        """Give the object its name, and look at what is there."""
        self._check()
        condition: dict[str, Any] = {} if overwrite else {"IfNoneMatch": "*"}
        try:
            with translated(self._label):
                self._client.complete_multipart_upload(
                    Bucket=self._place.bucket, Key=self._place.key, UploadId=upload_id,
                    MultipartUpload={"Parts": parts}, ChecksumCRC32=self._crc,
                    ChecksumType="FULL_OBJECT", MpuObjectSize=self._size, **condition,
                )  # fmt: skip
        except (PlaceError, StorageError) as error:
            # Of an answer that was lost boto3 asks again, and is told that the name is taken.
            if not self._is_there(metadata):
                raise _taken(error, self._label) from error
            return
        if not self._is_there(metadata):
            raise StorageError(f"{self._label}: S3 holds something else than was sent; try again")

    def _is_there(self, metadata: Mapping[str, str]) -> bool:
        found = find(self._client, self._place, self._label)
        if found is None:
            return False
        same = found.size == self._size and found.metadata == dict(metadata)
        return same and found.crc in {None, self._crc}


def _taken(error: PlaceError | StorageError, label: str) -> FaceBlurError:
    if status_of(error) == 412:
        return PlaceError(f"{label}: exists already; choose another name or overwrite it")
    return error


def _crc(path: Path, check: Callable[[], None]) -> str:
    crc = 0
    for block in _blocks(path):
        check()
        crc = zlib.crc32(block, crc)
    return _encoded(crc)


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(_CRC_BLOCK):
            yield block


def _encoded(crc: int) -> str:
    return base64.b64encode(crc.to_bytes(4, "big")).decode()
