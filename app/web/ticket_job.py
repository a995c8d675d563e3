"""The work on one ticket in the child process: read the media from S3, and upload the result."""

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from app.config import Settings
from app.errors import DiskFull, MediaTooLarge, PlaceError, TicketError
from app.files import sha256_of
from app.identity.gallery import Gallery
from app.pipeline import give_back_memory, load_people, parts_for, photo_labels
from app.plan import Plan, write_plan
from app.plan.settings import rendering_settings
from app.storage import (
    WRITE_SECONDS,
    RemoteFile,
    S3Uri,
    StoredObject,
    find_object,
    make_client,
    people_folder,
    upload_object,
)
from app.video import CONTENT_TYPES, Media
from app.web.media_job import JobContext, MediaJob
from app.web.ticket_plan import GivenPlan, check_not_edited, fetch_plan
from app.web.tickets import Ticket
from app.web.uploads import new_file

_COUNTS = (
    *("frames", "tracks", "hidden", "uncertain", "unclear", "not_found"),
    *("edits", "open_doubts", "review_required"),
)
_FINGERPRINT_KEY = "face-blur"
"""Metadata key of a result: hash of the source, settings, models and people."""
_REPORT_KEY = "face-blur-report"
"""Metadata key of a result: the report in the response that announced it."""


class TicketJob:
    """Processes one ticket.

    Args:
        context: the session, the limits, and the reports of the request.
        folder: folder for the result before its upload.
        labels: replacements for paths in messages; the job adds its own.
    """

    def __init__(self, context: JobContext, folder: Path, labels: dict[Path, str]) -> None:
        self._context = context
        self._face_blur, self._limits = context.face_blur, context.limits
        self._stats, self._work = context.stats, context.work
        self._folder, self._labels = folder, labels
        self._plan = folder / "plan.json"

    def run(self, ticket: Ticket, settings: Settings) -> Path:
        """Write the output and the plan of the ticket, and return the report as a file.

        Raises:
            TicketError: S3 refuses a request, or the output exists.
            StorageError: S3 fails.
            FaceBlurError: the work failed. After any error there is no output.
        """
        began = time.monotonic()
        with (
            _translate_refusals(),
            RemoteFile(
                make_client(),
                ticket.input,
                "the input",
                self._work.check,
                disk=self._folder,
                reserve=self._limits.min_free,
            ) as source,
        ):
            self._check_size(source.size)
            given = self._given_plan(ticket)
            gallery = Gallery(()) if given else self._gallery(ticket, settings)
            fingerprint = self._fingerprint(source, ticket, settings, gallery, given)
            result = TicketResult(ticket, fingerprint, self._work.check)
            report = result.find_earlier_report()
            repeated = report is not None
            if report is None:
                plan, path = self._process(ticket, settings, gallery, source, given)
                report = self._report(plan, path, source.size, began, given)
                with self._stats.stage("send"):
                    result.upload(path, self._plan, report)
        self._stats.counts |= {name: int(report[name]) for name in _COUNTS if name in report}
        return self._write_report({**report, "output": str(ticket.output), "repeated": repeated})

    def _check_size(self, size: int) -> None:
        limits = self._limits
        if size > limits.max_bytes:
            raise MediaTooLarge(f"larger than the {limits.max_bytes} bytes that are allowed")
        if shutil.disk_usage(self._folder).free < size + limits.min_free:
            raise DiskFull(
                "no space on the disk for a result as large as the input; use a processing job "
                "with a larger volume, or split the video"
            )

    def _given_plan(self, ticket: Ticket) -> GivenPlan | None:
        """Fetch the plan and the edits of the ticket, if it has edits."""
        given = fetch_plan(make_client(), ticket, self._folder, self._work.check)
        if given is not None:
            self._labels |= {given.plan: "the plan", given.edits: "the edits"}
        return given

    def _gallery(self, ticket: Ticket, settings: Settings) -> Gallery:
        if settings.choice == "everyone":
            return Gallery(())
        if ticket.people is None:
            return self._face_blur.gallery
        with (
            self._stats.stage("people"),
            people_folder(str(ticket.people), self._folder, self._work.check) as folder,
        ):
            self._labels |= photo_labels(folder)
            return load_people(folder, self._face_blur.parts)

    def _fingerprint(
        self,
        source: RemoteFile,
        ticket: Ticket,
        settings: Settings,
        gallery: Gallery,
        given: GivenPlan | None,
    ) -> str:
        """Return a hash of everything that determines the result."""
        people = hashlib.sha256()
        for person in gallery.people:
            people.update(person.name.encode("utf-8", "surrogateescape") + b"\0")
            people.update(person.embeddings.tobytes())
        facts = {
            "source": [source.etag, source.size],
            "settings": settings.effective(),
            "models": asdict(parts_for(self._face_blur.parts, settings).models),
            "people": people.hexdigest(),
            "output": [ticket.suffix, str(ticket.plan)],
        }
        if given is not None:
            facts |= given.hashes
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def _process(
        self,
        ticket: Ticket,
        settings: Settings,
        gallery: Gallery,
        source: RemoteFile,
        given: GivenPlan | None,
    ) -> tuple[Plan, Path]:
        """Write the result to the folder, and its plan if that is new."""
        limits = self._limits
        media = Media(source, max_seconds=limits.max_seconds, max_pixels=limits.max_pixels)
        job = MediaJob(self._context)
        plan = None if given is None else job.read_edited(given.plan, given.edits)
        if plan is not None:
            settings = rendering_settings(plan, settings, "the plan")
        session = self._face_blur.changed(settings, gallery)
        result = self._folder / f"result{ticket.suffix}"
        self._labels |= {result: "the output"}
        info = job.check_media(media, settings)
        session.check_output(media, result)
        if plan is None:
            plan = job.analyse(session, media, info)
            write_plan(plan, self._plan)
        give_back_memory()
        if not source.is_on_disk:
            # Copying packets needs one more pass over the input, which would be read again.
            whole = settings.changed(copy_untouched="never")
            session = self._face_blur.changed(whole, gallery)
        job.render(session, media, plan, result, info)
        # A media library may have treated a failed read as the end of the file.
        source.check_read()
        return plan, result

    def _report(
        self, plan: Plan, result: Path, size: int, began: float, given: GivenPlan | None
    ) -> dict[str, Any]:
        sizes = {"source": size, "result": result.stat().st_size}
        self._stats.counts |= {f"{name}_bytes": number for name, number in sizes.items()}
        counts: dict[str, int | bool] = {
            name: self._stats.counts[name] for name in _COUNTS if name in self._stats.counts
        }
        hashes = {}
        if given is not None:
            hashes = given.hashes
            counts["review_required"] = bool(counts["review_required"])
        return {
            **counts,
            "sha256": {"source": plan.source.sha256, "result": sha256_of(result), **hashes},
            "bytes": sizes,
            "seconds": round(time.monotonic() - began, 3),
        }

    def _write_report(self, report: Mapping[str, Any]) -> Path:
        path = self._folder / "report.json"
        with new_file(path) as file:
            file.write(json.dumps(report).encode())
        return path


@contextmanager
def _translate_refusals() -> Iterator[None]:
    """Report refusals of S3 as errors of the ticket."""
    try:
        yield
    except PlaceError as error:
        raise TicketError(str(error)) from error


class TicketResult:
    """The output of a ticket in S3, and its plan if the ticket names one.

    The constructor looks for existing objects.

    Args:
        ticket: the ticket.
        fingerprint: identifies results of the same work.
        check: called while parts are sent; raises to stop the work.

    Raises:
        StorageError: S3 fails.
    """

    def __init__(self, ticket: Ticket, fingerprint: str, check: Callable[[], None]) -> None:
        self._client = make_client(WRITE_SECONDS)
        self._ticket, self._fingerprint, self._check = ticket, fingerprint, check
        self._output = find_object(self._client, ticket.output, "the output")
        plan = ticket.written_plan
        self._plan = None if plan is None else find_object(self._client, plan, "the plan")

    def find_earlier_report(self) -> dict[str, Any] | None:
        """Return the report of an earlier ticket for the same work, or None.

        Raises:
            TicketError: other objects exist that may not be replaced, or the plan has edits.
        """
        written = self._ticket.written_plan
        has_plan = written is None or self._is_own(self._plan)
        if self._output is not None and self._is_own(self._output) and has_plan:
            report: dict[str, Any] = json.loads(self._output.metadata[_REPORT_KEY])
            return report
        for label, stored in (("the output", self._output), ("the plan", self._plan)):
            if stored is not None and not self._may_replace(stored):
                raise TicketError(f"{label}: already exists; choose another name or overwrite it")
        if written is not None:
            check_not_edited(self._client, written)
        return None

    def upload(self, result: Path, plan: Path, report: Mapping[str, Any]) -> None:
        """Upload the plan, if the ticket names one, and then the output.

        Raises:
            PlaceError: S3 refuses a request, or another object took the name during the work.
            StorageError: S3 fails.
        """
        if self._ticket.written_plan is not None:
            self._upload(plan, self._ticket.written_plan, "the plan", {}, self._plan)
        metadata = {_REPORT_KEY: json.dumps(report)}
        self._upload(result, self._ticket.output, "the output", metadata, self._output)

    def _upload(
        self,
        path: Path,
        uri: S3Uri,
        label: str,
        metadata: Mapping[str, str],
        existing: StoredObject | None,
    ) -> None:
        upload_object(
            self._client,
            path,
            uri,
            label,
            content_type=CONTENT_TYPES[path.suffix],
            metadata={_FINGERPRINT_KEY: self._fingerprint, **metadata},
            overwrite=self._may_replace(existing),
            check=self._check,
        )

    def _may_replace(self, stored: StoredObject | None) -> bool:
        return self._ticket.overwrite or self._is_own(stored)

    def _is_own(self, stored: StoredObject | None) -> bool:
        return stored is not None and stored.metadata.get(_FINGERPRINT_KEY) == self._fingerprint
