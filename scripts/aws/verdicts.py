"""The reports of jobs that verified results in their region, and what they say about a result.

A report says of which content it speaks: the ETags of source, result and plan, and the hashes that
the job has computed. It counts for nothing else.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.aws.cloud import Cloud, CloudError
from scripts.aws.objects import S3Object, S3Uri, list_objects, read_object
from scripts.aws.results import SHA256, SOURCE
from scripts.aws.verification import OTHER_FILE, FoundResult, Judged

REPORT = "verification.jsonl"
"""The name that the step of the image gives to its report."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A line of a report: what was looked at, and whether it is good."""

    source: str
    source_etag: str
    result: str
    result_etag: str
    result_sha256: str
    plan_etag: str
    edits_etag: str
    status: str
    code: str
    message: str
    suffix: str

    @property
    def good(self) -> bool:
        """Whether nothing was found."""
        return self.status == "good" and bool(self.result_sha256) and bool(self.suffix)

    def is_about(self, source: S3Object, found: FoundResult) -> bool:
        """Return whether it speaks of the present content of a result, its source and its plan."""
        theirs = (self.source, self.source_etag, self.result, self.result_etag)
        ours = (source.key, source.etag, found.item.key, found.item.etag)
        plans = (etag_of(found.plan), etag_of(found.edits))
        return theirs == ours and (self.plan_etag, self.edits_etag) == plans


def etag_of(item: S3Object | None) -> str:
    """Return the ETag of an object; empty without one."""
    return "" if item is None else item.etag


@dataclass(frozen=True, slots=True)
class RegionJudge:
    """Judges results by reports. What no report speaks of is not good.

    Args:
        cloud: the account.
        bucket: that of the results.
        verdicts: the lines of all reports of the job.
        reason: why there is no newer report; may be empty.
    """

    cloud: Cloud
    bucket: str
    verdicts: Sequence[Verdict]
    reason: str = ""

    def judge(self, source: S3Object, found: FoundResult, folder: Path) -> Judged:  # noqa: ARG002
        """See ``Judge``."""
        verdict = self._accept(self.about(source, found))
        if found.sha256 is not None and found.sha256 != verdict.result_sha256:
            raise CloudError(OTHER_FILE)
        return Judged(verdict.suffix, verdict.result_sha256)

    def recall(self, source: S3Object, item: S3Object, sha256: str) -> None:  # noqa: ARG002
        """See ``Judge``."""
        self._accept(self._of_collected(source, sha256))

    def about(self, source: S3Object, found: FoundResult) -> list[Verdict]:
        """Return the verdicts about the present content of a result.

        Collecting a result copies it, which can change its ETag; its metadata have its hash then.

        Raises:
            CloudError: the result cannot be read.
        """
        if exact := [one for one in self.verdicts if one.is_about(source, found)]:
            return exact
        plans = (etag_of(found.plan), etag_of(found.edits))
        known = self._of_collected(source, self._collected_hash(source, found.item))
        return [one for one in known if (one.plan_etag, one.edits_etag) == plans]

    def _collected_hash(self, source: S3Object, item: S3Object) -> str:
        head = self.cloud.read("s3", "head_object", Bucket=self.bucket, Key=item.key)
        metadata: Mapping[str, str] = head["Metadata"]
        own = metadata.get(SOURCE) == source.etag.strip('"')
        return metadata.get(SHA256, "") if own else ""

    def _of_collected(self, source: S3Object, sha256: str) -> list[Verdict]:
        known = (source.key, source.etag, sha256)
        return [
            one
            for one in self.verdicts
            if sha256 and (one.source, one.source_etag, one.result_sha256) == known
        ]

    def _accept(self, verdicts: Sequence[Verdict]) -> Verdict:
        """Return a verdict if there is one, and all are good.

        Raises:
            CloudError: otherwise.
        """
        for one in verdicts:
            if not one.good:
                raise CloudError(one.message or "the report gives no reason")
        if not verdicts:
            raise CloudError(f"not verified: {self.reason or 'no report speaks of it'}")
        return verdicts[-1]


def reports_of(cloud: Cloud, name: str) -> S3Uri:
    """Return the prefix of the reports about a job: beside its output, as its manifest is."""
    return S3Uri(cloud.bucket, f"{cloud.variables.output_prefix}{name}.verification/")


def read_verdicts(cloud: Cloud, name: str) -> list[Verdict]:
    """Return the lines of all reports about a job.

    Raises:
        CloudError: a report cannot be read.
    """
    place = reports_of(cloud, name)
    found: list[Verdict] = []
    for item in list_objects(cloud, place):
        if item.key.endswith(f"/{REPORT}"):
            text = read_object(cloud, S3Uri(place.bucket, item.key)).decode(errors="replace")
            found.extend(_verdicts(text))
    return found


def _verdicts(text: str) -> Iterator[Verdict]:
    for row in text.splitlines():
        try:
            line = json.loads(row)
        except ValueError:
            continue  # incomplete: reports are uploaded while they grow
        if isinstance(line, dict):
            yield Verdict(**{key: str(line.get(key) or "") for key in Verdict.__slots__})
