"""Reference photos out of S3, for as long as they are looked at."""

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from app.errors import PeopleError, PlaceError
from app.storage.client import make_client, translated
from app.storage.uri import SCHEME, S3Uri

_PHOTOS = 10_000
_PHOTO_BYTES = 32 * 2**20
_LABEL = "the photos of people"


def _go_on() -> None:
    """Stop nothing."""


@contextmanager
def people_folder(place: str, spool: Path, check: Callable[[], None] = _go_on) -> Iterator[Path]:
    """The folder of the photos; those of S3 are fetched into ``spool``, and are gone afterwards.

    Args:
        place: a folder, or ``s3://BUCKET/PREFIX``.
        spool: an existing folder.
        check: called for each photo; raises what stops the work.

    Raises:
        PeopleError: S3 refuses to give them, or they cannot be photos of people.
        StorageError: S3 fails.
    """
    if not place.startswith(SCHEME):
        yield Path(place)
        return
    with tempfile.TemporaryDirectory(dir=spool, prefix="people-") as folder:
        try:
            _fetch(place, Path(folder), check)
        except PlaceError as error:
            raise PeopleError(str(error)) from error
        yield Path(folder)


def _fetch(text: str, folder: Path, check: Callable[[], None]) -> None:
    place = S3Uri.parse(text.rstrip("/") + "/", _LABEL)
    client = make_client()
    with translated(_LABEL):
        pages = client.get_paginator("list_objects_v2").paginate(
            Bucket=place.bucket, Prefix=place.key
        )
        objects = [item for page in pages for item in page.get("Contents", ())]
        photos = [item for item in objects if not item["Key"].endswith("/")]
        for name in _checked(photos, place.key):
            check()
            target = folder / name
            target.parent.mkdir(exist_ok=True)
            client.download_file(place.bucket, place.key + name, os.fspath(target))


def _checked(photos: Sequence[Mapping[str, object]], prefix: str) -> Iterator[str]:
    """The names below the prefix, if they can be names of photos of people.

    Raises:
        PeopleError: there are none, too many, too large ones, or deeper folders.
    """
    if not 0 < len(photos) <= _PHOTOS:
        raise PeopleError(f"the S3 prefix of people has {len(photos)} photos; give 1 to {_PHOTOS}")
    for number, item in enumerate(photos, 1):
        key, size = str(item["Key"]).removeprefix(prefix), item["Size"]
        parts = key.split("/")
        if len(parts) > 2 or not all(parts) or {".", ".."} & set(parts) or "\0" in key:
            raise PeopleError(f"S3 object {number} of people is not NAME.jpg or NAME/x.jpg")
        if not isinstance(size, int) or size > _PHOTO_BYTES:
            raise PeopleError(f"S3 object {number} of people is too large for a photo")
        yield key
