"""Uploads to S3: in parts, verified, and visible under their name only when complete."""

import base64
import zlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.errors import FaceBlurError, PlaceError, StorageError
from app.storage.s3 import S3Uri, http_status, translate_errors

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

_PART_BYTES = 16 << 20
_MAX_PARTS = 10_000
"""Parts that S3 allows for one object."""
_THREADS = 4
_POLL_SECONDS = 0.25
"""Time between checks whether to stop."""
_CRC_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object in S3. ``crc`` is the CRC-32 of its content in base 64, or None if unknown."""

    size: int
    crc: str | None
    metadata: Mapping[str, str]


def find_object(client: "S3Client", uri: S3Uri, label: str) -> StoredObject | None:
    """Return the object at a URI, or None if it does not exist or access is denied.

    Without the permission to list the bucket, S3 denies access to objects that do not exist. The
    conditions of ``upload_object`` hold in any case.

    Raises:
        StorageError: S3 fails.
    """
    try:
        with translate_errors(label):
            head = client.head_object(Bucket=uri.bucket, Key=uri.key, ChecksumMode="ENABLED")
    except PlaceError as error:
        if http_status(error) in {403, 404}:
            return None
        raise
    return StoredObject(int(head["ContentLength"]), head.get("ChecksumCRC32"), head["Metadata"])


def upload_object(
    client: "S3Client",
    path: Path,
    uri: S3Uri,
    label: str,
    *,
    content_type: str,
    metadata: Mapping[str, str],
    overwrite: bool,
    check: Callable[[], None],
) -> None:
    """Upload a file. After a failure, the object is as before.

    Args:
        client: client of S3.
        path: the file.
        uri: the object to write.
        label: name of the object in messages.
        content_type: MIME type of the object.
        metadata: metadata that identifies this object; ASCII, 2 KB at most.
        overwrite: whether to replace an existing object.
        check: called while parts are sent; raises to stop the work.

    Raises:
        PlaceError: S3 refuses the request, or the object exists.
        StorageError: S3 fails, or the stored object differs from the file.
        FaceBlurError: as ``check`` raises it.
    """
    sender = _Upload(client, path, uri, label, check)
    with translate_errors(label):
        upload = client.create_multipart_upload(
            Bucket=uri.bucket,
            Key=uri.key,
            ContentType=content_type,
            Metadata=dict(metadata),
            ChecksumAlgorithm="CRC32",
            ChecksumType="FULL_OBJECT",
        )
    try:
        parts = sender.send(upload["UploadId"])
        sender.complete(upload["UploadId"], parts, metadata, overwrite=overwrite)
    except BaseException:
        # If that fails too, the lifecycle rule of the bucket removes the parts.
        with suppress(FaceBlurError), translate_errors(label):
            client.abort_multipart_upload(
                Bucket=uri.bucket, Key=uri.key, UploadId=upload["UploadId"]
            )
        raise


class _Upload:
    """The multipart upload of one file."""

    def __init__(
        self,
        client: "S3Client",
        path: Path,
        uri: S3Uri,
        label: str,
        check: Callable[[], None],
    ) -> None:
        self._client, self._path, self._uri = client, path, uri
        self._label, self._check = label, check
        self._size = path.stat().st_size
        self._part_bytes = max(_PART_BYTES, -(-self._size // _MAX_PARTS))
        self._crc = _crc_of(path, check)

    def send(self, upload_id: str) -> "list[CompletedPartTypeDef]":
        """Send all parts, several at a time."""
        starts = range(0, max(1, self._size), self._part_bytes)
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="send") as pool:
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
            done, waiting = wait(waiting, timeout=_POLL_SECONDS, return_when=FIRST_EXCEPTION)
            for future in done:
                future.result()

    def _send_part(self, upload_id: str, number: int, start: int) -> "CompletedPartTypeDef":
        with self._path.open("rb") as file:
            file.seek(start)
            data = file.read(self._part_bytes)
        with translate_errors(self._label):
            sent = self._client.upload_part(
                Bucket=self._uri.bucket,
                Key=self._uri.key,
                UploadId=upload_id,
                PartNumber=number,
                Body=data,
                ChecksumAlgorithm="CRC32",
            )
        return {
            "PartNumber": number,
            "ETag": sent["ETag"],
            "ChecksumCRC32": _encode(zlib.crc32(data)),
        }

    def complete(
        self,
        upload_id: str,
        parts: "list[CompletedPartTypeDef]",
        metadata: Mapping[str, str],
        *,
        overwrite: bool,
    ) -> None:
        """Complete the upload under its name, and verify the stored object."""
        self._check()
        condition: dict[str, Any] = {} if overwrite else {"IfNoneMatch": "*"}
        try:
            with translate_errors(self._label):
                self._client.complete_multipart_upload(
                    Bucket=self._uri.bucket,
                    Key=self._uri.key,
                    UploadId=upload_id,
                    MultipartUpload={"Parts": parts},
                    ChecksumCRC32=self._crc,
                    ChecksumType="FULL_OBJECT",
                    MpuObjectSize=self._size,
                    **condition,
                )
        except (PlaceError, StorageError) as error:
            # After a lost response boto3 repeats the request, which then fails.
            if not self._is_stored(metadata):
                raise _explain_conflict(error, self._label) from error
            return
        if not self._is_stored(metadata):
            raise StorageError(f"{self._label}: the object in S3 differs from the file; try again")

    def _is_stored(self, metadata: Mapping[str, str]) -> bool:
        stored = find_object(self._client, self._uri, self._label)
        if stored is None:
            return False
        same = stored.size == self._size and stored.metadata == dict(metadata)
        return same and stored.crc in {None, self._crc}


def _explain_conflict(error: PlaceError | StorageError, label: str) -> FaceBlurError:
    if http_status(error) == 412:
        return PlaceError(f"{label}: already exists; choose another name or overwrite it")
    return error


def _crc_of(path: Path, check: Callable[[], None]) -> str:
    crc = 0
    for block in _read_blocks(path):
        check()
        crc = zlib.crc32(block, crc)
    return _encode(crc)


def _read_blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(_CRC_BLOCK):
            yield block


def _encode(crc: int) -> str:
    return base64.b64encode(crc.to_bytes(4, "big")).decode()
