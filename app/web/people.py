"""Whom the service knows: photos from a folder, from S3, or from a request."""

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from app.errors import PeopleError
from app.identity.gallery import Gallery
from app.pipeline import Parts, load_people

_S3 = "s3://"
_PHOTOS = 10_000
_PHOTO_BYTES = 32 * 2**20


@contextmanager
def people_folder(place: str, spool: Path) -> Iterator[Path]:
    """The folder of the photos; those of S3 are fetched into ``spool``, and are gone afterwards.

    Raises:
        PeopleError: S3 does not give them.
    """
    if not place.startswith(_S3):
        yield Path(place)
        return
    with tempfile.TemporaryDirectory(dir=spool, prefix="people-") as folder:
        _fetch(place, Path(folder))
        yield Path(folder)


def _fetch(place: str, folder: Path) -> None:
    # Slow to import, and needed by few.
    import boto3  # noqa: PLC0415
    from boto3.exceptions import Boto3Error  # noqa: PLC0415
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    bucket, _, prefix = place.removeprefix(_S3).partition("/")
    prefix = prefix.rstrip("/") + "/" if prefix.strip("/") else ""
    try:
        client = boto3.client("s3")
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        objects = [item for page in pages for item in page.get("Contents", ())]
        photos = [item for item in objects if not item["Key"].endswith("/")]
        for key in _checked(photos, prefix):
            target = folder / key
            target.parent.mkdir(exist_ok=True)
            client.download_file(bucket, prefix + key, os.fspath(target))
    except (BotoCoreError, Boto3Error, ClientError) as error:
        raise PeopleError(f"the photos cannot be read from S3: {_reason(error)}") from error


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


def _reason(error: Exception) -> str:
    """What went wrong, without names: messages hold addresses and keys."""
    response = getattr(error, "response", {})
    return str(response.get("Error", {}).get("Code") or type(error).__name__)


def request_gallery(folder: Path, names: Mapping[str, str], parts: Parts) -> Gallery:
    """The people of a request, whose folders are numbers.

    Raises:
        PeopleError: a photo cannot be used.
    """
    gallery = load_people(folder, parts)
    return Gallery(tuple(replace(one, name=names[one.name]) for one in gallery.people))
