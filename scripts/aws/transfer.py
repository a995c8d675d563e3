"""Uploads to S3: skip objects that are already there, and verify those that were sent."""

import base64
import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol
from urllib.parse import urlencode

from boto3.s3.transfer import TransferConfig

from app.errors import UsageError
from scripts.aws.cloud import PROJECT_TAG, Cloud, CloudError, translate_errors

PART = 64 * 2**20
"""Minimum bytes of a part of a large object: after a fault, a part is sent again."""
_PARTS = 10_000
_BLOCK = 2**20


@dataclass(frozen=True, slots=True)
class Upload:
    """A file and its key in the bucket."""

    path: Path
    key: str
    content_type: str


class Progress(Protocol):
    """Receives the number of bytes sent."""

    def __call__(self, size: int, /) -> object:
        """Add ``size`` bytes."""


Bar = Callable[[Upload, int], AbstractContextManager[Progress]]
"""Returns the progress for an upload of so many bytes."""


def upload(cloud: Cloud, items: Sequence[Upload], bar: Bar, *, overwrite: bool) -> list[Upload]:
    """Upload files that are not in the bucket yet; return those that were sent (dry run: would be).

    An object counts as present if its size and SHA-256 are those of the file. S3 checks each part
    on arrival; afterwards the whole object is compared with the file, and deleted if it differs.

    Raises:
        UsageError: an object exists with other content, and ``overwrite`` is false.
        CloudError: AWS refuses, or a file changed during the upload.
    """
    missing = _missing(cloud, items, overwrite=overwrite)
    for item in missing:
        _send(cloud, item, bar)
    return missing


def _missing(cloud: Cloud, items: Sequence[Upload], *, overwrite: bool) -> list[Upload]:
    missing, other = [], []
    for item in items:
        head = head_object(cloud, item.key)
        if head is not None and _is_same(item.path, head):
            continue
        missing.append(item)
        if head is not None:
            other.append(item.key)
    if other and not overwrite:
        raise UsageError(
            f"there with other content in {cloud.bucket}: {', '.join(other)}; "
            "rename the files, or use --overwrite"
        )
    return missing


def head_object(cloud: Cloud, key: str) -> dict[str, Any] | None:
    """Return the metadata of an object in the bucket with its checksum, or None.

    Raises:
        CloudError: AWS refuses.
    """
    try:
        return cloud.read("s3", "head_object", Bucket=cloud.bucket, Key=key, ChecksumMode="ENABLED")
    except CloudError as error:
        # A HEAD response has no body that could say NoSuchKey.
        if error.reason in {"404", "NoSuchKey"}:
            return None
        raise


def _is_same(path: Path, head: dict[str, Any]) -> bool:
    size = path.stat().st_size
    if head["ContentLength"] != size or "ChecksumSHA256" not in head:
        return False
    return _plain(head) == checksum(path, part_size(size))


def _plain(head: dict[str, Any]) -> str:
    """Return the checksum without the number of parts that S3 appends."""
    return str(head.get("ChecksumSHA256", "")).partition("-")[0]


def part_size(size: int) -> int:
    """Return the bytes of a part for an object of ``size`` bytes; one part means a single request.

    >>> part_size(1) == PART, part_size(10**12) > PART
    (True, True)
    """
    least = math.ceil(size / _PARTS)
    return max(PART, math.ceil(least / _BLOCK) * _BLOCK)


def checksum(path: Path, part: int) -> str:
    """The SHA-256 of a file as S3 computes it, in base64; for several parts, that of their hashes.

    Raises:
        UsageError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            digests = list(_digests(file, part)) or [hashlib.sha256(b"").digest()]
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error})") from error
    whole = digests[0] if len(digests) == 1 else hashlib.sha256(b"".join(digests)).digest()
    return base64.b64encode(whole).decode()


def _digests(file: BinaryIO, part: int) -> Iterator[bytes]:
    digest, left = hashlib.sha256(), part
    while block := file.read(min(left, _BLOCK)):
        digest.update(block)
        left -= len(block)
        if not left:
            yield digest.digest()
            digest, left = hashlib.sha256(), part
    if left < part:
        yield digest.digest()


def _send(cloud: Cloud, item: Upload, bar: Bar) -> None:
    extra = _extra(cloud, item)
    size = item.path.stat().st_size
    request = {"Bucket": cloud.bucket, "Key": item.key, "ExtraArgs": extra}
    _abort_cut_off(cloud, item.key)
    if cloud.dry_run:
        cloud.show("s3", "upload_file", {"Filename": str(item.path)} | request)
        return
    part = part_size(size)
    expected = checksum(item.path, part)
    # Multipart uploads start at `part + 1` bytes.
    config = TransferConfig(multipart_threshold=part + 1, multipart_chunksize=part)
    with bar(item, size) as progress, translate_errors(f"s3 upload of {item.path}"):
        client = cloud.client("s3")
        client.upload_file(str(item.path), Callback=progress, Config=config, **request)
    head = head_object(cloud, item.key)
    if head is None or (head["ContentLength"], _plain(head)) != (size, expected):
        cloud.change("s3", "delete_object", Bucket=cloud.bucket, Key=item.key)
        raise CloudError(
            f"{item.path}: the uploaded object differs from the file; has the file changed?"
        )


def _extra(cloud: Cloud, item: Upload) -> dict[str, str]:
    extra = {
        "ChecksumAlgorithm": "SHA256",
        "ContentType": item.content_type,
        "Tagging": urlencode({PROJECT_TAG: cloud.variables.project}),
    }
    if cloud.variables.kms_key:
        extra |= {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": cloud.variables.kms_key}
    return extra


def _abort_cut_off(cloud: Cloud, key: str) -> None:
    """Delete the parts of interrupted uploads of this key: they are invisible, but cost money."""
    uploads = cloud.pages(
        "s3", "list_multipart_uploads", "Uploads", Bucket=cloud.bucket, Prefix=key
    )
    for one in uploads:
        if one["Key"] == key:
            request = {"Bucket": cloud.bucket, "Key": key, "UploadId": one["UploadId"]}
            cloud.change("s3", "abort_multipart_upload", **request)
