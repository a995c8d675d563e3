"""Which of the uploaded files a job takes: all, those named, or those without a result yet."""

import argparse
from collections.abc import Mapping, Sequence

from app.errors import UsageError
from app.video import CONTENT_TYPES
from scripts.aws.cloud import Cloud
from scripts.aws.objects import Inputs, S3Uri, choose_inputs, list_inputs, list_objects, names_of
from scripts.aws.results import SOURCE

_MEDIA = tuple(suffix for suffix in CONTENT_TYPES if suffix != ".json")
"""Suffixes of hidden videos and images; a plan alone is no result of a file."""


def select_inputs(cloud: Cloud, args: argparse.Namespace) -> Inputs:
    """Return the files of a job, which ``--keys`` and ``--new`` choose; say what is left out.

    Raises:
        UsageError: there are none.
    """
    place = S3Uri(cloud.bucket, cloud.variables.input_prefix)
    inputs = choose_inputs(cloud, place, args.keys) if args.keys else list_inputs(cloud, place)
    for key in inputs.left_out:
        cloud.say(f"left out, because it is hidden or empty: {key}")
    if not args.new:
        return inputs
    new = without_result(cloud, inputs)
    if not new.keys:
        raise UsageError(f"{place}: all files have a collected result; nothing is new")
    cloud.say(f"{len(inputs.keys) - len(new.keys)} of {len(inputs.keys)} files have a result")
    return new


def without_result(cloud: Cloud, inputs: Inputs) -> Inputs:
    """Return the inputs without a collected result of their present content.

    A collected result has the ETag of its source, so a file that was replaced is new again. Results
    of all jobs below ``OUTPUT_PREFIX`` count, with whatever settings and people.

    Raises:
        CloudError: a listing or an object cannot be read.
    """
    output = S3Uri(cloud.bucket, cloud.variables.output_prefix)
    etags = {one.key: one.etag.strip('"') for one in list_objects(cloud, inputs.prefix)}
    results: dict[str, list[str]] = {}
    for item in list_objects(cloud, output):
        # output/JOB/NAME
        _, _, name = item.key.removeprefix(output.key).partition("/")
        results.setdefault(name, []).append(item.key)
    keys = inputs.keys
    new = (
        key
        for key in keys
        if not _has_one(cloud, names_of(key, inputs.prefix.key), etags[key], results)
    )
    return Inputs(inputs.prefix, tuple(new))


def _has_one(
    cloud: Cloud, names: Sequence[str], etag: str, results: Mapping[str, Sequence[str]]
) -> bool:
    possible = (name + suffix for name in names for suffix in ("", *_MEDIA))
    found = (key for one in possible for key in results.get(one, ()))
    return any(_source_of(cloud, key) == etag for key in found)


def _source_of(cloud: Cloud, key: str) -> str | None:
    head = cloud.read("s3", "head_object", Bucket=cloud.bucket, Key=key)
    source: str | None = head["Metadata"].get(SOURCE)
    return source
