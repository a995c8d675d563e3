"""Results of jobs: check them, give them their final name and type, and list them.

A transform job calls its result ``clip.mp4.out``. It is copied to ``clip.mp4`` within S3, and
deleted after the copy has been checked. The metadata of the copy identify its source, so collecting
again changes nothing.
"""

import base64
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlencode

from app.errors import FaceBlurError
from app.files import sha256_of
from app.pipeline import result_names
from app.plan.places import edits_path
from app.video import CONTENT_TYPES
from app.video.kinds import BY_SUFFIX
from scripts.aws.cloud import PROJECT_TAG, Cloud, CloudError, JobFailed
from scripts.aws.jobs import KINDS
from scripts.aws.objects import Inputs, S3Object, S3Uri, list_objects, results_by_key
from scripts.aws.processing import ReportLine, lines_by_key, read_reports
from scripts.aws.transform import SUFFIX
from scripts.aws.verification import FoundResult, Judge

SOURCE, SHA256 = "face-blur-source", "face-blur-sha256"
"""Metadata of a collected result: the ETag of its source, and its own SHA-256."""
_MAX_LINES = 3
"""Maximum number of log lines about one file."""


@dataclass(frozen=True, slots=True)
class ResultRow:
    """The outcome for one input."""

    file: str
    status: str
    result: str
    message: str

    @property
    def done(self) -> bool:
        """Whether there is a valid result."""
        return self.status == "done"


@dataclass(frozen=True, slots=True)
class Candidate:
    """An input: its key and name, its result if there is one, and why there is none."""

    key: str
    name: str
    found: FoundResult | None
    why: Callable[[], str]


class NoSource(CloudError):
    """There is no source with which a result could be compared."""


class Collector:
    """Collects the results below one output prefix.

    Args:
        cloud: the account.
        inputs: the inputs of the job.
        output: where its results are.
        folder: download results to this folder; None downloads nothing.
        plans: prefix with ``NAME.plan.json`` or ``NAME.json`` for the inputs; None for no plans.

    Raises:
        CloudError: input or output cannot be listed.
    """

    def __init__(
        self, cloud: Cloud, inputs: Inputs, output: S3Uri, folder: Path | None, plans: S3Uri | None
    ) -> None:
        self._cloud, self._inputs, self._output = cloud, inputs, output
        self._folder, self._plans = folder, plans
        self._items = {
            item.key.removeprefix(output.key): item for item in list_objects(cloud, output)
        }
        self._sources = {item.key: item for item in list_objects(cloud, inputs.prefix)}
        listed = [] if plans is None else list_objects(cloud, plans)
        self._known_plans = {item.key: item for item in listed}

    def transform(self, why: Callable[[str], str]) -> list[Candidate]:
        """Find the results of a transform job; ``why`` returns the log about a key."""
        fresh = [name.removesuffix(SUFFIX) for name in self._items if name.endswith(SUFFIX)]
        by_key = results_by_key(self._inputs, fresh)
        out = []
        for key, name in zip(self._inputs.keys, self._inputs.names, strict=True):
            found = None
            if key in by_key:
                found = FoundResult(self._items[by_key[key] + SUFFIX], plan=self._plan_of(name))
            out.append(Candidate(key, name, found, partial(why, key)))
        return out

    def processing(self) -> list[Candidate]:
        """Find the results of a processing job, which already have their final names."""
        reports = read_reports(self._cloud, self._output, self._items.values())
        lines = lines_by_key(self._inputs, reports)
        out = []
        for key, name in zip(self._inputs.keys, self._inputs.names, strict=True):
            found, reason = None, "no report mentions it"
            if (line := lines.get(key)) is not None:
                found, reason = self._reported(line), f"{line.code}: {line.message}"
                if line.done and found is None:
                    reason = "the report names a result or a plan that does not exist"
            out.append(Candidate(key, name, found, partial(str, reason)))
        return out

    def _reported(self, line: ReportLine) -> FoundResult | None:
        if not line.done or not {line.output, line.plan} <= self._items.keys():
            return None
        edits = self._items.get(str(edits_path(Path(line.plan))))
        item, plan = self._items[line.output], self._items[line.plan]
        return FoundResult(item, line.output, plan, line.result_sha256, edits)

    def results(self, candidates: Iterable[Candidate]) -> Iterator[tuple[S3Object, FoundResult]]:
        """Yield each source with its result, collected or not; those without one are left out.

        Raises:
            CloudError: an object cannot be read.
        """
        for one in candidates:
            with suppress(NoSource):
                source = self._source(one.key, one.name)
                found = one.found
                if found is None and (existing := self._collected(one.name, source)) is not None:
                    plan = self._plan_of(one.name)
                    found = FoundResult(self._items[existing], existing, plan)
                if found is not None:
                    yield source, found

    def collect(self, candidates: Iterable[Candidate], judge: Judge) -> Iterator[ResultRow]:
        """Give results that are good their names and types; yield the outcome for each input."""
        return (self._row(one, judge) for one in candidates)

    def _row(self, one: Candidate, judge: Judge) -> ResultRow:
        try:
            source = self._source(one.key, one.name)
            if one.found is not None:
                target = self._finish(source, one.name, one.found, judge)
                return ResultRow(one.name, "done", target, "")
            existing = self._collected(one.name, source)
            if existing is None:
                return ResultRow(one.name, "missing", "", one.why())
            judge.recall(source, self._items[existing], self.collected_hash(existing))
            self._fetch_collected(existing)
            return ResultRow(one.name, "done", self._output.key + existing, "")
        except FaceBlurError as error:
            return ResultRow(one.name, "failed", "", " ".join(str(error).split()))

    def _source(self, key: str, name: str) -> S3Object:
        if {"", ".", ".."} & set(PurePosixPath(name).parts) or name.startswith("/"):
            raise NoSource("its name is not a valid file name")
        if key not in self._sources:
            raise NoSource("the source no longer exists, so the result cannot be compared with it")
        return self._sources[key]

    def _finish(self, source: S3Object, name: str, found: FoundResult, judge: Judge) -> str:
        """Judge a result, and give it its name and type; return its key."""
        with tempfile.TemporaryDirectory() as folder:
            judged = judge.judge(source, found, Path(folder))
            target = found.name or self._name_of(name, judged.suffix)
            self._put(found.item, target, judged.suffix, source, judged.sha256)
            if self._folder is not None and not self._cloud.dry_run:
                self._deliver(judged.file or self._fetch(target, judged.sha256, folder), target)
        return self._output.key + target

    def _fetch(self, target: str, sha256: str, folder: str) -> Path:
        """Download a result that was judged without a download."""
        path = Path(folder) / "result"
        where = {"Bucket": self._output.bucket, "Key": self._output.key + target}
        self._cloud.read("s3", "download_file", **where, Filename=os.fspath(path))
        if sha256_of(path) != sha256:
            raise CloudError("it is not the result that was verified")
        return path

    def _plan_of(self, name: str) -> S3Object | None:
        """Return the plan of an input, if there is one."""
        if self._plans is None:
            return None
        keys = (self._plans.key + one for one in (f"{name}.plan.json", f"{name}.json"))
        return next((self._known_plans[key] for key in keys if key in self._known_plans), None)

    def _name_of(self, name: str, suffix: str) -> str:
        if suffix == ".json":
            return name + suffix
        others = set(self._inputs.names) - {name}
        return next(one for one in result_names(name, BY_SUFFIX[suffix]) if one not in others)

    def _collected(self, name: str, source: S3Object) -> str | None:
        """Return the name of a result collected earlier from this version of the source."""
        names = set(self._items) - (set(self._inputs.names) - {name})
        for one in sorted(names):
            if one in {name, *(name + suffix for suffix in CONTENT_TYPES)}:
                head = self._head(one)
                if head["Metadata"].get(SOURCE) == _unquoted(source.etag):
                    return one
        return None

    def _head(self, name: str) -> dict[str, Any]:
        return self._cloud.read(
            "s3",
            "head_object",
            Bucket=self._output.bucket,
            Key=self._output.key + name,
            ChecksumMode="ENABLED",
        )

    def _put(self, item: S3Object, target: str, suffix: str, source: S3Object, sha256: str) -> None:
        """Copy the checked result to its final name, with its type."""
        key = self._output.key + target
        metadata = {SOURCE: _unquoted(source.etag), SHA256: sha256}
        headers = {"ContentType": CONTENT_TYPES[suffix], "Metadata": metadata}
        existing = self._head(target) if target in self._items else None
        if existing is None or key == item.key:
            if existing is None or any(
                existing.get(name) != value for name, value in headers.items()
            ):
                self._copy(item, key, headers)
        elif existing["Metadata"] != metadata:
            raise CloudError(f"{key}: another object has this name; move it")
        if self._cloud.dry_run:
            self._remove(item, key)
            return
        self._check_copy(target, item, sha256, headers)
        self._remove(item, key)

    def _copy(self, item: S3Object, key: str, headers: Mapping[str, Any]) -> None:
        kms = self._cloud.variables.kms_key
        encrypted = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": kms} if kms else {}
        self._cloud.change(
            "s3",
            "copy",
            CopySource={"Bucket": self._output.bucket, "Key": item.key},
            Bucket=self._output.bucket,
            Key=key,
            ExtraArgs={
                **headers,
                "MetadataDirective": "REPLACE",
                "Tagging": urlencode({PROJECT_TAG: self._cloud.variables.project}),
                "TaggingDirective": "REPLACE",
                "ChecksumAlgorithm": "SHA256",
                "CopySourceIfMatch": item.etag,
                **encrypted,
            },
        )

    def _check_copy(
        self, target: str, item: S3Object, sha256: str, headers: Mapping[str, Any]
    ) -> None:
        head = self._head(target)
        same = head["ContentLength"] == item.size
        same &= all(head.get(name) == value for name, value in headers.items())
        # The checksum of a multipart object is that of its parts' hashes, and ends with their
        # number.
        checksum = head.get("ChecksumSHA256", "-")
        if "-" not in checksum and head.get("ChecksumType") != "COMPOSITE":
            same &= base64.b64decode(checksum).hex() == sha256
        if not same:
            raise CloudError("its copy differs; the original result was kept")

    def _remove(self, item: S3Object, key: str) -> None:
        if item.key != key:
            self._cloud.change("s3", "delete_object", Bucket=self._output.bucket, Key=item.key)

    def collected_hash(self, name: str) -> str:
        """Return the hash in the metadata of a collected result; empty if it has none."""
        return str(self._head(name)["Metadata"].get(SHA256, ""))

    def _fetch_collected(self, target: str) -> None:
        if self._folder is None:
            return
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "result"
            where = {"Bucket": self._output.bucket, "Key": self._items[target].key}
            self._cloud.read("s3", "download_file", **where, Filename=os.fspath(path))
            if sha256_of(path) != self.collected_hash(target):
                raise CloudError("it is not the result that was collected")
            self._deliver(path, target)

    def _deliver(self, path: Path, target: str) -> None:
        """Put a result into the folder, under its name only when it is complete."""
        if self._folder is None:
            return
        final = self._folder / target
        try:
            final.parent.mkdir(parents=True, exist_ok=True)
            partial = final.with_name(f".{final.name}.partial")
            shutil.copyfile(path, partial)
            partial.replace(final)
        except OSError as error:
            raise CloudError(f"{final}: cannot be written: {error.strerror}") from error


def _unquoted(etag: str) -> str:
    return etag.strip('"')


def read_failure_reasons(cloud: Cloud, job: str) -> Callable[[str], str]:
    """Return a function that returns the log about a key of a transform job.

    A log that does not exist or cannot be read is a reason too: the results count without it.
    """
    nothing = "there is no result, and the log gives no reason"
    try:
        events = list(
            cloud.pages(
                "logs",
                "filter_log_events",
                "events",
                logGroupName=KINDS["transform"].log_group,
                logStreamNamePrefix=f"{job}/",
            )
        )
    except CloudError as error:
        if error.reason != "ResourceNotFoundException":
            nothing = f"there is no result, and the log cannot be read: {error}"
        events = []
    lines = [one["message"].strip() for one in events if "data-log" in one["logStreamName"]]

    def why(key: str) -> str:
        # The line after a container's error may be its message, which does not name the key.
        matching = [
            line + (f" ({after})" if after.startswith("Message") else "")
            for line, after in pairwise([*lines, ""])
            if f"{key}:" in line
        ]
        return "; ".join(matching[:_MAX_LINES]) or nothing

    return why


def format_table(rows: Sequence[ResultRow]) -> str:
    """Format the rows as a table, with a count below."""
    widths = [max((len(text) for text in column), default=0) for column in _columns(rows)]
    lines = [
        f"{row.file:{widths[0]}}  {row.status:{widths[1]}}  {row.result or row.message}"
        for row in rows
    ]
    return "\n".join([*lines, f"{sum(row.done for row in rows)} of {len(rows)} done"])


def _columns(rows: Sequence[ResultRow]) -> tuple[list[str], list[str]]:
    return [row.file for row in rows], [row.status for row in rows]


def check_all(rows: Sequence[ResultRow]) -> None:
    """Check that every input has a valid result.

    Raises:
        JobFailed: an input has none.
    """
    bad = [row.file for row in rows if not row.done]
    if bad:
        raise JobFailed(f"{len(bad)} of {len(rows)} have no valid result: {', '.join(bad)}")
