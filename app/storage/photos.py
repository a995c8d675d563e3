"""Reference photos in S3, downloaded for as long as they are needed."""

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from app.errors import PeopleError, PlaceError
from app.storage.s3 import SCHEME, S3Uri, make_client, translate_errors

_MAX_PHOTOS = 10_000
_MAX_PHOTO_BYTES = 32 * 2**20
_LABEL = "the photos of people"


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
    with tempfile.TemporaryDirectory(dir=spool, prefix="people-") as folder:
        try:
            _download(people, Path(folder), check)
        except PlaceError as error:
            raise PeopleError(str(error)) from error
        yield Path(folder)


def _download(people: str, folder: Path, check: Callable[[], None]) -> None:
    prefix = S3Uri.parse(people.rstrip("/") + "/", _LABEL)
    client = make_client()
    with translate_errors(_LABEL):
        pages = client.get_paginator("list_objects_v2").paginate(
            Bucket=prefix.bucket, Prefix=prefix.key
        )
        objects = [item for page in pages for item in page.get("Contents", ())]
        photos = [item for item in objects if not item["Key"].endswith("/")]
        for name in _check_photos(photos, prefix.key):
            check()
            target = folder / name
            target.parent.mkdir(exist_ok=True)
            client.download_file(prefix.bucket, prefix.key + name, os.fspath(target))


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
        if len(parts) > 2 or not all(parts) or {".", ".."} & set(parts) or "\0" in name:
            raise PeopleError(f"S3 object {number} of people is not NAME.jpg or NAME/x.jpg")
        if not isinstance(size, int) or size > _MAX_PHOTO_BYTES:
            raise PeopleError(f"S3 object {number} of people is too large for a photo")
        yield name
