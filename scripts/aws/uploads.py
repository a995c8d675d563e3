"""Uploads to S3: find videos, images and photos of people, send what is missing, and verify it."""

import base64
import gzip
import hashlib
import io
import math
import tarfile
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol
from urllib.parse import urlencode

from boto3.s3.transfer import TransferConfig

from app.errors import MediaError, OutputError, UsageError
from app.pipeline.people import find_photos
from app.system_files import is_system_path
from app.video.kinds import kind_of
from scripts.aws.cloud import PROJECT_TAG, Cloud, CloudError, translate_errors

_KEY_BYTES = 1024
_ARCHIVE_TYPE = "application/gzip"
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


def find_media(paths: Iterable[Path], prefix: str) -> tuple[list[Upload], list[Path]]:
    """Find the videos and images in ``paths``; return them, and the other files of folders.

    A file becomes ``<prefix><name>``, a file in a folder ``<prefix><path in the folder>``. Folders
    are searched recursively, without hidden files and files of the system.

    Raises:
        MediaError: a path names a file of an unsupported format.
        UsageError: no media were found, or names collide.
    """
    items: list[Upload] = []
    skipped: list[Path] = []
    for path in paths:
        if not path.is_dir():
            items.append(_media(path, prefix + path.name))
            continue
        for file in _files(path):
            try:
                items.append(_media(file, prefix + file.relative_to(path).as_posix()))
            except MediaError:
                skipped.append(file)
    if not items:
        raise UsageError("no video or image was found; give files, or folders that contain some")
    check_keys(items)
    return items, skipped


def _media(path: Path, key: str) -> Upload:
    return Upload(path, key, kind_of(path).mime)


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in name.parts)
        if path.is_file() and not hidden and not is_system_path(name.as_posix()):
            yield path


def check_keys(items: Sequence[Upload]) -> None:
    """Check that the names work in S3 and in the folder for downloaded results.

    Raises:
        UsageError: two names are equal, or differ only in case or in the encoding of accents; a
            name is too long, or has characters that manifests and listings do not support.
    """
    same = defaultdict(list)
    for item in items:
        same[unicodedata.normalize("NFC", item.key).casefold()].append(item)
    faults = [
        f"{' and '.join(str(item.path) for item in group)} would have the same name in S3"
        for group in same.values()
        if len(group) > 1
    ]
    faults += [f"{item.path!r}: {fault}" for item in items if (fault := _fault(item.key))]
    if faults:
        raise UsageError(f"{'; '.join(faults)}; rename them")


def _fault(key: str) -> str:
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        return "its name is not text"
    if size > _KEY_BYTES:
        return f"its name is longer than the {_KEY_BYTES} bytes of S3"
    if any(unicodedata.category(character).startswith("C") for character in key):
        return "its name contains control characters"
    return ""


def find_people(folder: Path, prefix: str) -> list[Upload]:
    """Return the photos in a folder of people.

    Raises:
        PeopleError: the folder is not a folder of people.
        UsageError: names collide.
    """
    photos = sorted(path for paths in find_photos(folder).values() for path in paths)
    items = [_media(path, prefix + path.relative_to(folder).as_posix()) for path in photos]
    check_keys(items)
    return items


def write_archive(folder: Path, archive: Path) -> None:
    """Write the photos as a model archive, which SageMaker unpacks to /opt/ml/model/people.

    The same photos give the same bytes, so an unchanged archive is not uploaded again.

    Raises:
        PeopleError: the folder is not a folder of people.
        OutputError: the archive cannot be written.
    """
    photos = sorted(path for paths in find_photos(folder).values() for path in paths)
    names = {path: path.relative_to(folder) for path in photos}
    folders = sorted({parent for name in names.values() for parent in name.parents})
    try:
        # No compression: photos are compressed already, and compressors differ.
        with (
            archive.open("wb") as file,
            gzip.GzipFile("", "wb", 0, file, mtime=0) as packed,
            tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
        ):
            for name in folders:
                tar.addfile(_entry(name, 0o755, tarfile.DIRTYPE))
            for path, name in names.items():
                content = path.read_bytes()
                tar.addfile(_entry(name, 0o644, tarfile.REGTYPE, len(content)), io.BytesIO(content))
    except OSError as error:
        raise OutputError(f"{archive}: cannot be written ({error})") from error


def _entry(name: Path, mode: int, kind: bytes, size: int = 0) -> tarfile.TarInfo:
    entry = tarfile.TarInfo((Path("people") / name).as_posix())
    entry.mode, entry.type, entry.size = mode, kind, size
    return entry


def archive_upload(archive: Path, key: str) -> Upload:
    """Return the upload of the archive."""
    return Upload(archive, key, _ARCHIVE_TYPE)


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
    if cloud.blind:
        return None
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
    if cloud.blind:
        return
    uploads = cloud.pages(
        "s3", "list_multipart_uploads", "Uploads", Bucket=cloud.bucket, Prefix=key
    )
    for one in uploads:
        if one["Key"] == key:
            request = {"Bucket": cloud.bucket, "Key": key, "UploadId": one["UploadId"]}
            cloud.change("s3", "abort_multipart_upload", **request)
