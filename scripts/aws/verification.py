"""Judges of results: whether a result is good. This one downloads it and its source."""

import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from app.errors import PlanError, UnsupportedMedia
from app.files import sha256_of
from app.plan import read_plan
from app.verification import check_result
from app.video import Media
from scripts.aws.cloud import Cloud, CloudError
from scripts.aws.objects import S3Object

OTHER_FILE = "it is not the file that the report describes"


@dataclass(frozen=True, slots=True)
class FoundResult:
    """A result before collecting.

    ``name`` is its final name and ``sha256`` its hash, if a report says so. ``plan`` and ``edits``
    are objects of the prefix of plans.
    """

    item: S3Object
    name: str | None = None
    plan: S3Object | None = None
    sha256: str | None = None
    edits: S3Object | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """A good result: the suffix of its kind, its hash, and its file if it was downloaded."""

    suffix: str
    sha256: str
    file: Path | None = None


class Judge(Protocol):
    """Says whether results are good."""

    def judge(self, source: S3Object, found: FoundResult, folder: Path) -> Judged:
        """Judge a result; ``folder`` is for files.

        Raises:
            FaceBlurError: it is not good, or nobody knows.
        """

    def recall(self, source: S3Object, item: S3Object, sha256: str) -> None:
        """Confirm a result that was collected earlier, and has this hash.

        Raises:
            CloudError: it is not known to be good.
        """


@dataclass(frozen=True, slots=True)
class LocalJudge:
    """Downloads each result and its source, decodes both, and compares them.

    Args:
        cloud: the account.
        sources: bucket of the sources.
        results: bucket of the results.
        plans: bucket of the plans.
        dropped: streams that results must not have, by the settings of the job.
    """

    cloud: Cloud
    sources: str
    results: str
    plans: str
    dropped: Sequence[str] = ()

    def judge(self, source: S3Object, found: FoundResult, folder: Path) -> Judged:
        """See ``Judge``."""
        original = self._download(self.sources, source, folder / "source")
        result = self._download(self.results, found.item, folder / "result")
        sha256 = sha256_of(result)
        if found.sha256 is not None and found.sha256 != sha256:
            raise CloudError(OTHER_FILE)
        return Judged(self._check(result, original, found, folder), sha256, result)

    def recall(self, source: S3Object, item: S3Object, sha256: str) -> None:
        """See ``Judge``: it was compared when it was collected."""

    def _check(self, result: Path, source: Path, found: FoundResult, folder: Path) -> str:
        """Check a result; return the suffix of its kind."""
        try:
            suffix = Media(result).kind.suffix
        except UnsupportedMedia:
            check_document(result, source)
            return ".json"
        plan = None
        if found.plan is not None:
            plan = read_plan(self._download(self.plans, found.plan, folder / "plan.json"))
        check_result(result, source, plan, self.dropped)
        return suffix

    def _download(self, bucket: str, item: S3Object, path: Path) -> Path:
        self.cloud.read(
            "s3", "download_file", Bucket=bucket, Key=item.key, Filename=os.fspath(path)
        )
        return path


def check_document(result: Path, source: Path) -> None:
    """Check that a JSON result is the plan of its source, or the report of a ticket.

    Raises:
        UnsupportedMedia: it is neither.
        PlanError: it is the plan of another file.
    """
    content = _json(result)
    if {"tracks", "shots"} <= content.keys():
        if read_plan(result).source.sha256 != sha256_of(source):
            raise PlanError("it is the plan of another file")
    elif not content.get("output") or content["output"] != _json(source).get("output"):
        raise UnsupportedMedia("it is not a video, an image or a plan")


def _json(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file; an empty one if the file has none."""
    with suppress(ValueError), path.open("rb") as file:
        if file.read(1) == b"{":
            content: dict[str, Any] = json.loads(path.read_bytes())
            return content
    return {}
