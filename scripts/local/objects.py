"""The objects of a job: which they are, who gets them, and where their results go."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from app.errors import FaceBlurError
from scripts.local.requests import Job, Place, parse_place


class InputError(FaceBlurError):
    """The input of a job cannot be listed or read."""


@dataclass(frozen=True, slots=True)
class Item:
    """An object of the input; ``size`` is bytes, ``result`` where what comes of it goes."""

    source: Place
    size: int
    result: Place

    def __str__(self) -> str:
        return f"{self.source.bucket}/{self.source.key}"


def find_items(s3: Any, job: Job) -> list[Item]:
    """The objects of a job, in the order of their keys.

    A prefix is no folder: it finds every key that begins with it, markers of folders too.

    Raises:
        InputError: there are none, the manifest is none, or an object of it is missing.
    """
    try:
        found = sorted(_listed(s3, job), key=lambda item: item.source.key)
    except (ClientError, BotoCoreError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"the input {job.source} cannot be listed: {error}") from error
    if not found:
        raise InputError(f"no objects are found at {job.source}")
    return found


def _listed(s3: Any, job: Job) -> Iterator[Item]:
    if not job.manifest:
        bucket, prefix = job.source.bucket, job.source.key
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for found in page.get("Contents", ()):
                place = Place(bucket, found["Key"])
                yield Item(place, found["Size"], result_of(job.output, prefix, place.key))
        return
    body = s3.get_object(Bucket=job.source.bucket, Key=job.source.key)["Body"].read()
    head, *names = json.loads(body)
    beginning = parse_place(head["prefix"])
    for name in names:
        place = Place(beginning.bucket, beginning.key + name)
        size = s3.head_object(Bucket=place.bucket, Key=place.key)["ContentLength"]
        yield Item(place, size, result_of(job.output, beginning.key, place.key))


def result_of(output: Place, prefix: str, key: str) -> Place:
    """Where the result of a key goes: below the output as the key lies below the prefix.

    >>> result_of(Place("films", "out/"), "in/", "in/monday/clip.mp4").key
    'out/monday/clip.mp4.out'
    >>> result_of(Place("films", "out/"), "in/cl", "in/clip.mp4").key
    'out/clip.mp4.out'
    """
    folder = prefix[: prefix.rfind("/") + 1]
    return Place(output.bucket, f"{output.key}{key.removeprefix(folder)}.out")


def share_out(items: Sequence[Item], instances: int) -> list[list[Item]]:
    """What each instance gets: whole objects, in turn."""
    return [list(items[number::instances]) for number in range(instances)]
