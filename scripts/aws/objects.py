"""What lies in S3: places, the inputs of a job, and manifests that name some of them."""

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Self

from app.errors import UsageError
from scripts.aws.cloud import Cloud, CloudError


@dataclass(frozen=True, slots=True)
class S3Uri:
    """A bucket, and a prefix or key in it.

    >>> S3Uri.parse("s3://films/input/").key
    'input/'
    """

    bucket: str
    key: str

    @classmethod
    def parse(cls, uri: str) -> Self:
        """Read ``s3://BUCKET/KEY``.

        Raises:
            UsageError: it is not of this form.
        """
        scheme, _, rest = uri.partition("://")
        bucket, slash, key = rest.partition("/")
        if scheme != "s3" or not bucket or not slash:
            raise UsageError(f"{uri}: is not s3://BUCKET/PREFIX/")
        return cls(bucket, key)

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


@dataclass(frozen=True, slots=True)
class S3Object:
    """An object: its key, its size in bytes, and its ETag with the quotes."""

    key: str
    size: int
    etag: str


@dataclass(frozen=True, slots=True)
class Inputs:
    """The objects of a prefix that a job is to do, and those that it must not be given."""

    prefix: S3Uri
    keys: tuple[str, ...]
    left_out: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The keys without the prefix."""
        return tuple(key.removeprefix(self.prefix.key) for key in self.keys)


def list_objects(cloud: Cloud, place: S3Uri) -> list[S3Object]:
    """All objects whose keys begin with a prefix, in the order of their keys.

    Raises:
        CloudError: they cannot be list_objects.
    """
    found = cloud.pages("s3", "list_objects_v2", "Contents", Bucket=place.bucket, Prefix=place.key)
    return [S3Object(one["Key"], one["Size"], one["ETag"]) for one in found]


def list_inputs(cloud: Cloud, place: S3Uri) -> Inputs:
    """What a job is to do of a prefix.

    Left out are markers of folders, hidden files and empty objects: a job that is given one of
    them fails, or does the same for each of them in vain.

    Raises:
        UsageError: there is nothing to do.
    """
    items = list_objects(cloud, place)
    wanted = tuple(item.key for item in items if item.size and not _hidden(item.key))
    if not wanted:
        raise UsageError(f"{place}: there is nothing; upload videos with scripts/upload.py")
    return Inputs(place, wanted, tuple(item.key for item in items if item.key not in set(wanted)))


def _hidden(key: str) -> bool:
    return key.rpartition("/")[2].startswith(".")


def choose_inputs(cloud: Cloud, place: S3Uri, names: Iterable[str]) -> Inputs:
    """The objects of these names below a prefix.

    Raises:
        UsageError: one of them is not there.
    """
    there = list_inputs(cloud, place)
    keys = tuple(dict.fromkeys(place.key + name.removeprefix(place.key) for name in names))
    missing = sorted(set(keys) - set(there.keys))
    if missing:
        raise UsageError(f"s3://{place.bucket}/{missing[0]}: is not there, or is empty")
    return Inputs(place, keys)


def manifest(inputs: Inputs) -> str:
    """The file that tells SageMaker which objects are meant.

    >>> manifest(Inputs(S3Uri("films", "in/"), ("in/a.mp4",)))
    '[{"prefix": "s3://films/in/"}, "a.mp4"]'
    """
    return json.dumps([{"prefix": str(inputs.prefix)}, *inputs.names], ensure_ascii=False)


def read_manifest(cloud: Cloud, place: S3Uri) -> Inputs:
    """The objects of a manifest.

    Raises:
        CloudError: it cannot be read, or is not one.
    """
    body = read_object(cloud, place)
    try:
        head, *names = json.loads(body)
        prefix = S3Uri.parse(head["prefix"])
        return Inputs(prefix, tuple(prefix.key + name for name in names))
    except (ValueError, TypeError, KeyError, UsageError) as error:
        raise CloudError(f"{place}: is not a manifest") from error


def read_object(cloud: Cloud, place: S3Uri) -> bytes:
    """The bytes of a small object.

    Raises:
        CloudError: it cannot be read.
    """
    answer = cloud.read("s3", "get_object", Bucket=place.bucket, Key=place.key)
    with answer["Body"] as body:
        content: bytes = body.read()
    return content


def write_manifest(cloud: Cloud, inputs: Inputs, place: S3Uri) -> None:
    """Put the manifest of some inputs where a job can read it."""
    cloud.change(
        "s3", "put_object", Bucket=place.bucket, Key=place.key,
        Body=manifest(inputs), ContentType="application/json",
    )  # fmt: skip


def data_source(cloud: Cloud, inputs: Inputs, place: S3Uri, *, whole: bool) -> dict[str, str]:
    """How a job is told its inputs: by their prefix if that is right, else by a manifest.

    Args:
        cloud: the account.
        inputs: what is to be done.
        place: of the manifest, if there has to be one.
        whole: the inputs are all that is to be done of the prefix.
    """
    if whole and not inputs.left_out:
        return {"S3DataType": "S3Prefix", "S3Uri": str(inputs.prefix)}
    write_manifest(cloud, inputs, place)
    return {"S3DataType": "ManifestFile", "S3Uri": str(place)}


def read_data_source(cloud: Cloud, source: dict[str, str]) -> Inputs:
    """The inputs of a job that was told them by ``data_source``.

    Raises:
        UsageError: nothing is there any more.
    """
    place = S3Uri.parse(source["S3Uri"])
    if source["S3DataType"] == "ManifestFile":
        return read_manifest(cloud, place)
    return list_inputs(cloud, place)


def results_by_key(inputs: Inputs, results: Collection[str]) -> dict[str, str]:
    """Which result is of which input.

    SageMaker names the results of a job after the keys of its inputs, whole or without the prefix
    of the job. Which of them is not documented well, but it is the same for all of a job, so that
    is taken which explains most results.

    Args:
        inputs: of the job.
        results: names of results, without their folder and without ``.out``.

    >>> inputs = Inputs(S3Uri("films", "in/"), ("in/x.mp4", "in/b/x.mp4"))
    >>> results_by_key(inputs, ["x.mp4"]), results_by_key(inputs, ["in/b/x.mp4"])
    ({'in/x.mp4': 'x.mp4'}, {'in/b/x.mp4': 'in/b/x.mp4'})
    """
    parts = inputs.prefix.key.split("/")
    there = set(results)
    found: list[dict[str, str]] = []
    for first in reversed(range(len(parts))):
        cut = len("/".join(parts[:first])) + bool(first)
        found.append({key: key[cut:] for key in inputs.keys if key[cut:] in there})
    return max(found, key=len)
