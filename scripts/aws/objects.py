"""Objects in S3: URIs, the inputs of a job, and manifests that list inputs."""

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Self

from app.errors import UsageError
from scripts.aws.cloud import Cloud, CloudError


@dataclass(frozen=True, slots=True)
class S3Uri:
    """A bucket, and a key or key prefix in it.

    >>> S3Uri.parse("s3://videos/input/").key
    'input/'
    """

    bucket: str
    key: str

    @classmethod
    def parse(cls, uri: str) -> Self:
        """Parse ``s3://BUCKET/KEY``.

        Raises:
            UsageError: the text has another form.
        """
        scheme, _, rest = uri.partition("://")
        bucket, slash, key = rest.partition("/")
        if scheme != "s3" or not bucket or not slash:
            raise UsageError(f"{uri}: must be s3://BUCKET/PREFIX/")
        return cls(bucket, key)

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


@dataclass(frozen=True, slots=True)
class S3Object:
    """An object: its key, its size in bytes, and its ETag with quotes."""

    key: str
    size: int
    etag: str


@dataclass(frozen=True, slots=True)
class Inputs:
    """The inputs of a job below a prefix, and the keys there that are no inputs."""

    prefix: S3Uri
    keys: tuple[str, ...]
    left_out: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The keys without the prefix."""
        return tuple(key.removeprefix(self.prefix.key) for key in self.keys)


def list_objects(cloud: Cloud, place: S3Uri) -> list[S3Object]:
    """Return all objects with a key prefix, in the order of their keys.

    Raises:
        CloudError: the objects cannot be listed.
    """
    found = cloud.pages("s3", "list_objects_v2", "Contents", Bucket=place.bucket, Prefix=place.key)
    return [S3Object(one["Key"], one["Size"], one["ETag"]) for one in found]


def list_inputs(cloud: Cloud, place: S3Uri) -> Inputs:
    """Return the inputs below a prefix.

    Folder markers, hidden files and empty objects are left out: a job would fail on them.

    Raises:
        UsageError: there are no inputs, or they cannot be listed without credentials.
    """
    if cloud.blind:
        raise UsageError(f"{place}: cannot be listed without credentials; name the files (--keys)")
    items = list_objects(cloud, place)
    keys = tuple(item.key for item in items if item.size and not _hidden(item.key))
    if not keys:
        raise UsageError(f"{place}: no videos found; upload some with scripts/upload.py")
    return Inputs(place, keys, tuple(item.key for item in items if item.key not in set(keys)))


def _hidden(key: str) -> bool:
    return key.rpartition("/")[2].startswith(".")


def choose_inputs(cloud: Cloud, place: S3Uri, names: Iterable[str]) -> Inputs:
    """Return the inputs with these names below a prefix.

    Raises:
        UsageError: a name does not exist, or its object is empty.
    """
    keys = tuple(dict.fromkeys(place.key + name.removeprefix(place.key) for name in names))
    if cloud.blind:
        return Inputs(place, keys)
    available = list_inputs(cloud, place)
    missing = sorted(set(keys) - set(available.keys))
    if missing:
        raise UsageError(f"s3://{place.bucket}/{missing[0]}: does not exist, or is empty")
    return Inputs(place, keys)


def manifest(inputs: Inputs) -> str:
    """Return the manifest of some inputs, in SageMaker's format.

    >>> manifest(Inputs(S3Uri("videos", "in/"), ("in/a.mp4",)))
    '[{"prefix": "s3://videos/in/"}, "a.mp4"]'
    """
    return json.dumps([{"prefix": str(inputs.prefix)}, *inputs.names], ensure_ascii=False)


def read_manifest(cloud: Cloud, place: S3Uri) -> Inputs:
    """Return the inputs that a manifest lists.

    Raises:
        CloudError: the manifest cannot be read or is invalid.
    """
    body = read_object(cloud, place)
    try:
        head, *names = json.loads(body)
        prefix = S3Uri.parse(head["prefix"])
        return Inputs(prefix, tuple(prefix.key + name for name in names))
    except (ValueError, TypeError, KeyError, UsageError) as error:
        raise CloudError(f"{place}: is not a manifest") from error


def read_object(cloud: Cloud, place: S3Uri) -> bytes:
    """Return the content of a small object.

    Raises:
        CloudError: the object cannot be read.
    """
    answer = cloud.read("s3", "get_object", Bucket=place.bucket, Key=place.key)
    with answer["Body"] as body:
        content: bytes = body.read()
    return content


def write_manifest(cloud: Cloud, inputs: Inputs, place: S3Uri) -> None:
    """Write the manifest of some inputs."""
    cloud.change(
        "s3",
        "put_object",
        Bucket=place.bucket,
        Key=place.key,
        Body=manifest(inputs),
        ContentType="application/json",
    )


def manifest_source(place: S3Uri) -> dict[str, str]:
    """Return the data source of a job whose manifest is, or will be, at ``place``."""
    return {"S3DataType": "ManifestFile", "S3Uri": str(place)}


def data_source(cloud: Cloud, inputs: Inputs, place: S3Uri) -> dict[str, str]:
    """Write a manifest of the inputs, and return it as the data source of a job.

    Never the prefix itself: files that are uploaded later would become inputs of the job for all
    who look at it afterwards.
    """
    write_manifest(cloud, inputs, place)
    return manifest_source(place)


def read_data_source(cloud: Cloud, source: dict[str, str]) -> Inputs:
    """Return the inputs of a data source: of a manifest, or of a prefix that others gave a job.

    Raises:
        UsageError: the inputs no longer exist.
    """
    place = S3Uri.parse(source["S3Uri"])
    if source["S3DataType"] == "ManifestFile":
        return read_manifest(cloud, place)
    return list_inputs(cloud, place)


def results_by_key(inputs: Inputs, results: Collection[str]) -> dict[str, str]:
    """Map the keys of inputs to the names of their results.

    SageMaker names results after the keys of the inputs, either in full or without the prefix of
    the job. The documentation is unclear about it, but one job uses one form, so the form that
    matches most results is taken.

    Args:
        inputs: the inputs of the job.
        results: names of results, without their folder and without ``.out``.

    >>> inputs = Inputs(S3Uri("videos", "in/"), ("in/x.mp4", "in/b/x.mp4"))
    >>> results_by_key(inputs, ["x.mp4"]), results_by_key(inputs, ["in/b/x.mp4"])
    ({'in/x.mp4': 'x.mp4'}, {'in/b/x.mp4': 'in/b/x.mp4'})
    """
    known = set(results)
    found = [
        {key: key[cut:] for key in inputs.keys if key[cut:] in known}
        for cut in _cuts(inputs.prefix.key)
    ]
    return max(found, key=len)


def names_of(key: str, prefix: str) -> list[str]:
    """Return all names that the result of a key may have: without the prefix, and with parts of it.

    >>> names_of("in/b/x.mp4", "in/b/")
    ['x.mp4', 'b/x.mp4', 'in/b/x.mp4']
    """
    return [key[cut:] for cut in _cuts(prefix)]


def _cuts(prefix: str) -> list[int]:
    """Return how many characters of a key are left out: all of the prefix first, nothing last."""
    parts = prefix.split("/")
    return [len("/".join(parts[:first])) + bool(first) for first in reversed(range(len(parts)))]
