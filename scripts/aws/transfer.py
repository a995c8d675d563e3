"""Files to S3: checked against what arrives, and not sent where they are already."""

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
"""Bytes of a part of a large object, at least: it is a part that is sent again after a fault."""
_PARTS = 10_000
_BLOCK = 2**20


@dataclass(frozen=True, slots=True)
class Upload:
    """A file, and what it is to be called in the bucket."""

    path: Path
    key: str
    content_type: str


class Progress(Protocol):
    """Told how many bytes have gone, as they go."""

    def __call__(self, size: int, /) -> object:
        """So many bytes more."""


Bar = Callable[[Upload, int], AbstractContextManager[Progress]]
"""Makes the progress of an item of so many bytes."""


def upload(cloud: Cloud, items: Sequence[Upload], bar: Bar, *, overwrite: bool) -> list[Upload]:
    """Put files where they are not yet; returns those that were sent (dry run: would be).

    An object counts as there if it has the size and the SHA-256 of the file. Each part is checked
    by S3 as it arrives, and the whole after it: what is not what the file was is deleted again.

    Raises:
        UsageError: an object is there with other content, and is not to be overwritten.
        CloudError: AWS refuses, or a file changed while it was sent.
    """
    missing = _missing(cloud, items, overwrite=overwrite)
    for item in missing:
        _send(cloud, item, bar)
    return missing


def _missing(cloud: Cloud, items: Sequence[Upload], *, overwrite: bool) -> list[Upload]:
    missing, other = [], []
    for item in items:
        found = head_object(cloud, item.key)
        if found is not None and _is_same(item.path, found):
            continue
        missing.append(item)
        if found is not None:
            other.append(item.key)
    if other and not overwrite:
        raise UsageError(
            f"there with other content in {cloud.bucket}: {', '.join(other)}; "
            "rename the files, or give --overwrite"
        )
    return missing


def head_object(cloud: Cloud, key: str) -> dict[str, Any] | None:
    """What S3 tells of an object of the bucket, with its checksum; None where there is none.

    Raises:
        CloudError: AWS refuses.
    """
    try:
        return cloud.read("s3", "head_object", Bucket=cloud.bucket, Key=key, ChecksumMode="ENABLED")
    except CloudError as error:
        # HEAD has no body to tell NoSuchKey in.
        if error.reason in {"404", "NoSuchKey"}:
            return None
        raise


def _is_same(path: Path, found: dict[str, Any]) -> bool:
    size = path.stat().st_size
    if found["ContentLength"] != size or "ChecksumSHA256" not in found:
        return False
    return _plain(found) == checksum(path, part_size(size))


def _plain(found: dict[str, Any]) -> str:
    """The checksum without the number of parts that S3 puts behind it."""
    return str(found.get("ChecksumSHA256", "")).partition("-")[0]


def part_size(size: int) -> int:
    """Bytes of the parts of an object of ``size`` bytes; it is sent whole if it is one part.

    >>> part_size(1) == PART, part_size(10**12) > PART
    (True, True)
    """
    least = math.ceil(size / _PARTS)
    return max(PART, math.ceil(least / _BLOCK) * _BLOCK)


def checksum(path: Path, part: int) -> str:
    """The SHA-256 that S3 has of the file in base64; for one of several parts, that of theirs.

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
    # More than one part is more than one request, from a size of `part + 1`.
    config = TransferConfig(multipart_threshold=part + 1, multipart_chunksize=part)
    with bar(item, size) as progress, translate_errors(f"s3 upload of {item.path}"):
        client = cloud.client("s3")
        client.upload_file(str(item.path), Callback=progress, Config=config, **request)
    found = head_object(cloud, item.key)
    if found is None or (found["ContentLength"], _plain(found)) != (size, expected):
        cloud.change("s3", "delete_object", Bucket=cloud.bucket, Key=item.key)
        raise CloudError(f"{item.path}: what arrived is not the file; did it change meanwhile?")


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
    """Drop parts that an earlier upload of this key has left: nobody sees them, but they cost."""
    found = cloud.pages("s3", "list_multipart_uploads", "Uploads", Bucket=cloud.bucket, Prefix=key)
    for one in found:
        if one["Key"] == key:
            request = {"Bucket": cloud.bucket, "Key": key, "UploadId": one["UploadId"]}
            cloud.change("s3", "abort_multipart_upload", **request)
