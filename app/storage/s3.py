"""S3: URIs, the client, the translation of its errors, and downloads of reference photos."""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from app.errors import DiskFull, PeopleError, PlaceError, StorageError
from app.files import is_disk_full
from app.logs import LOGGER
from app.system_files import is_system_path
from app.temporary import temporary_folder

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

SCHEME = "s3://"
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_CONTROL_CHARACTERS = re.compile(r"[\x00-\x1f\x7f]")
_MAX_KEY_BYTES = 1024
_MAX_NAME_BYTES = 255
"""Longest file name on common file systems."""

_CONNECT_SECONDS = 5.0
READ_SECONDS = 10.0
"""Shorter than the time left after SIGTERM, because waiting for a connection cannot be stopped."""
WRITE_SECONDS = 60.0
"""S3 may need long to assemble an object from its parts."""
_CONNECTIONS = 10
_REFUSALS = {
    403: "access is denied; give the role the permission",
    404: "does not exist; check the name",
    412: "was changed during the work; send it again when it is complete",
    416: "was changed during the work; send it again when it is complete",
}
"""Messages for HTTP statuses."""
_MAX_PHOTOS = 10_000
_MAX_PHOTO_BYTES = 32 * 2**20
_LABEL = "the photos of people"


@dataclass(frozen=True, slots=True)
class S3Uri:
    """An object, or a prefix of objects if ``key`` is empty or ends with a slash."""

    bucket: str
    key: str

    @classmethod
    def parse(cls, text: str, label: str) -> Self:
        """Parse ``s3://BUCKET/KEY``.

        Args:
            text: the URI.
            label: name of the URI in error messages, which do not repeat the URI itself.

        Raises:
            PlaceError: the form is wrong, or a part of the key is empty, ``.`` or ``..``.
        """
        bucket, slash, key = text.removeprefix(SCHEME).partition("/")
        if not text.startswith(SCHEME) or not slash or not _BUCKET.fullmatch(bucket):
            raise PlaceError(f"{label}: is not of the form s3://BUCKET/KEY")
        parts = key.removesuffix("/").split("/") if key else []
        if {"", ".", ".."} & set(parts) or _CONTROL_CHARACTERS.search(key) or _is_too_long(key):
            raise PlaceError(f"{label}: the key is not accepted; use plain names between /")
        return cls(bucket, key)

    @property
    def is_prefix(self) -> bool:
        """Whether this is a prefix and not an object."""
        return not self.key or self.key.endswith("/")

    def is_below(self, prefixes: "Iterable[S3Uri]") -> bool:
        """Whether this is below one of some prefixes.

        >>> allowed = [S3Uri("videos", "in/")]
        >>> S3Uri("videos", "in/a.mp4").is_below(allowed), S3Uri("videos", "into").is_below(allowed)
        (True, False)
        """
        return any(
            self.bucket == prefix.bucket and self.key.startswith(prefix.key) for prefix in prefixes
        )

    def __str__(self) -> str:
        return f"{SCHEME}{self.bucket}/{self.key}"


def _is_too_long(key: str) -> bool:
    try:
        return len(key.encode()) > _MAX_KEY_BYTES
    except UnicodeEncodeError:  # half of a surrogate pair: not valid in any key
        return True


def parse_prefixes(texts: Iterable[str]) -> tuple[S3Uri, ...]:
    """Parse prefixes of the form ``s3://BUCKET/`` or ``s3://BUCKET/PREFIX/``.

    Raises:
        PlaceError: the form of a prefix is wrong. The slash at the end is required, because
            ``s3://BUCKET/in`` would also allow ``s3://BUCKET/inside``.
    """
    prefixes = tuple(S3Uri.parse(text, "a prefix") for text in texts)
    if not all(prefix.is_prefix for prefix in prefixes):
        raise PlaceError("a prefix: must end with /")
    return prefixes


def make_client(read_seconds: float = READ_SECONDS) -> "S3Client":
    """Make a client of S3 with credentials, region and endpoint from the environment.

    Args:
        read_seconds: longest time that a connection may be silent.

    Raises:
        PlaceError: the configuration in the environment is invalid.
    """
    # Imported here because it is slow, and most runs do not use S3.
    import boto3
    from botocore.config import Config

    config = Config(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=read_seconds,
        max_pool_connections=_CONNECTIONS,
        retries={"mode": "standard"},
    )
    with translate_errors("S3"):
        # A session of its own: creating clients from the default session is not thread-safe.
        return boto3.Session().client("s3", config=config)


@contextmanager
def translate_errors(label: str) -> Iterator[None]:
    """Translate errors of boto3 into errors of this package, whose messages contain no names.

    Args:
        label: name of the object in the messages.

    Raises:
        PlaceError: S3 refuses the request.
        StorageError: S3 fails, or is unreachable.
        DiskFull: there is no space for the received data.
    """
    from boto3.exceptions import Boto3Error
    from botocore import exceptions

    try:
        yield
    except exceptions.ClientError as error:
        raise _translate_response(error, label) from error
    except (
        exceptions.NoCredentialsError,
        exceptions.PartialCredentialsError,
        exceptions.CredentialRetrievalError,
    ) as error:
        raise PlaceError(
            f"{label}: no AWS credentials; the container needs a role and a network "
            "(EnableNetworkIsolation false)"
        ) from error
    except (exceptions.ParamValidationError, exceptions.InvalidRegionError) as error:
        raise PlaceError(f"{label}: the request is invalid: {type(error).__name__}") from error
    except (exceptions.BotoCoreError, Boto3Error, OSError) as error:
        if isinstance(error, OSError) and is_disk_full(error):
            raise DiskFull(f"{label}: no space left on the disk; free some space") from error
        raise StorageError(f"{label}: S3 failed: {type(error).__name__}; try again") from error


def http_status(error: BaseException) -> int:
    """Return the HTTP status of the S3 response that caused a translated error, or 0."""
    from botocore.exceptions import ClientError

    cause = error.__cause__
    return _status_of(cause) if isinstance(cause, ClientError) else 0


def _status_of(error: Any) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") or 0)


def _translate_response(error: Any, label: str) -> PlaceError | StorageError:
    status = _status_of(error)
    code = str(error.response.get("Error", {}).get("Code") or status)
    if 300 <= status < 400 or code in {"IllegalLocationConstraintException", "PermanentRedirect"}:
        return PlaceError(f"{label}: is in another region; set AWS_REGION to that of the bucket")
    if not 400 <= status < 500:
        return StorageError(f"{label}: S3 failed: {code}; try again")
    return PlaceError(f"{label}: {_REFUSALS.get(status, f'S3 refuses the request: {code}')}")


def _never_stop() -> None:
    """The default ``check``: lets the work continue."""


@contextmanager
def people_folder(
    people: str, spool: Path, check: Callable[[], None] = _never_stop
) -> Iterator[Path]:
    """Provide the folder of photos. Photos in S3 are downloaded, and removed after the block.

    Args:
        people: a folder, or ``s3://BUCKET/PREFIX``.
        spool: an existing folder for the downloads.
        check: called before each download; raises to stop the work.

    Raises:
        PeopleError: S3 refuses the request, or the objects cannot be photos of people.
        StorageError: S3 fails.
    """
    if not people.startswith(SCHEME):
        yield Path(people)
        return
    with temporary_folder(spool, "face-blur-people-") as folder:
        try:
            _download(people, folder, check)
        except PlaceError as error:
            raise PeopleError(str(error)) from error
        yield folder


def _download(people: str, folder: Path, check: Callable[[], None]) -> None:
    prefix = S3Uri.parse(people.rstrip("/") + "/", _LABEL)
    client = make_client()
    with translate_errors(_LABEL):
        pages = client.get_paginator("list_objects_v2").paginate(
            Bucket=prefix.bucket, Prefix=prefix.key
        )
        objects = [item for page in pages for item in page.get("Contents", ())]
        photos = _without_system_files(objects, prefix.key)
        names = list(_check_photos(photos, prefix.key))
        _check_folders(names)
        for name in names:
            check()
            target = folder / name
            target.parent.mkdir(exist_ok=True)
            client.download_file(prefix.bucket, prefix.key + name, os.fspath(target))


def _without_system_files(
    objects: Sequence[Mapping[str, Any]], prefix: str
) -> list[Mapping[str, Any]]:
    """Return the objects that may be photos; files of the system get a line in the log."""
    files = [item for item in objects if not item["Key"].endswith("/")]
    photos = [item for item in files if not is_system_path(item["Key"].removeprefix(prefix))]
    if passed_over := len(files) - len(photos):
        LOGGER.info("files of the system passed over", extra={"fields": {"files": passed_over}})
    return photos


def _check_photos(photos: Sequence[Mapping[str, object]], prefix: str) -> Iterator[str]:
    """Yield the names of the photos relative to the prefix.

    Raises:
        PeopleError: there are no photos or too many, or one has a wrong name or is too large.
    """
    if not 0 < len(photos) <= _MAX_PHOTOS:
        raise PeopleError(
            f"the S3 prefix of people has {len(photos)} photos; give 1 to {_MAX_PHOTOS}"
        )
    for number, item in enumerate(photos, 1):
        name, size = str(item["Key"]).removeprefix(prefix), item["Size"]
        parts = name.split("/")
        if len(parts) > 2 or not all(map(_is_file_name, parts)):
            raise PeopleError(f"S3 object {number} of people is not NAME.jpg or NAME/x.jpg")
        if not isinstance(size, int) or size > _MAX_PHOTO_BYTES:
            raise PeopleError(f"S3 object {number} of people is too large for a photo")
        yield name


def _is_file_name(text: str) -> bool:
    try:
        length = len(text.encode())
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return 0 < length <= _MAX_NAME_BYTES and text not in {".", ".."} and "\0" not in text


def _check_folders(names: Sequence[str]) -> None:
    """Check that no name is both a photo and a folder of photos, which S3 allows.

    Raises:
        PeopleError: there is such a name.
    """
    folders = {folder for folder, slash, _ in (name.partition("/") for name in names) if slash}
    if folders & set(names):
        raise PeopleError("an S3 object of people has the name of a folder; rename one of them")
