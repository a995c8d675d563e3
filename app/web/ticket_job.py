"""What is done with a ticket: the media is read in S3, and the result is put there."""

import hashlib
import json
import shutil
import time
from collections.abc import Iterator, Mapping
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
from app.storage import RemoteFile, make_client, people_folder
from app.video import Media
from app.web.media_job import Account, Answer, MediaJob
from app.web.runner import Check
from app.web.service import Service
from app.web.ticket_result import Delivery
from app.web.tickets import Ticket
from app.web.uploads import saving

_COUNTS = ("frames", "tracks", "hidden", "uncertain", "unclear", "not_found")


class TicketJob:
    """The work on one ticket.

    Args:
        service: the models, the people that are known, and the limits.
        account: of the request.
        check: called for every frame and while S3 is waited for; raises what stops the work.
        folder: where the result is made.
        labels: what to call the files in messages; some are added.
    """

    def __init__(
        self,
        service: Service,
        account: Account,
        check: Check,
        folder: Path,
        labels: dict[Path, str],
    ) -> None:
        self._service, self._account, self._check = service, account, check
        self._folder, self._labels = folder, labels
        self._plan = folder / "plan.json"

    def run(self, ticket: Ticket, settings: Settings) -> Answer:
        """Make the output and the plan that the ticket asks for, and the report about them.

        Raises:
            TicketError: S3 refuses, or the output exists.
            StorageError: S3 fails.
            FaceBlurError: whatever else goes wrong on purpose. Then there is no output.
        """
        began = time.monotonic()
        with (
            _refusals_told(),
            RemoteFile(
                make_client(), ticket.source, "the input", self._check, disk=self._folder
            ) as source,
        ):
            self._check_size(source.size)
            gallery = self._gallery(ticket, settings)
            mark = self._mark(source, ticket, settings, gallery)
            delivery = Delivery(ticket, mark, self._check)
            report = delivery.done_before()
            repeated = report is not None
            if report is None:
                plan, result = self._make(ticket, settings, gallery, source)
                report = self._report(plan, result, source.size, began)
                with self._account.stage("send"):
                    delivery.put(result, self._plan, report)
        self._account.counts |= {name: report[name] for name in _COUNTS}
        return self._answer({**report, "output": str(ticket.output), "repeated": repeated})

    def _check_size(self, size: int) -> None:
        limits = self._service.limits
        if size > limits.max_bytes:
            raise MediaTooLarge(f"larger than the {limits.max_bytes} bytes that are allowed")
        if shutil.disk_usage(self._folder).free < size + limits.min_free:
            raise DiskFull(
                "no room on the disk for a result as large as the input; use a processing job "
                "with a larger volume, or split the video"
            )

    def _gallery(self, ticket: Ticket, settings: Settings) -> Gallery:
        if settings.choice == "everyone":
            return Gallery(())
        if ticket.people is None:
            return self._service.face_blur.gallery
        with (
            self._account.stage("people"),
            people_folder(str(ticket.people), self._folder, self._check) as folder,
        ):
            self._labels |= photo_labels(folder)
            return load_people(folder, self._service.face_blur.parts)

    def _mark(
        self, source: RemoteFile, ticket: Ticket, settings: Settings, gallery: Gallery
    ) -> str:
        """What tells the result of this ticket from all others."""
        people = hashlib.sha256()
        for person in gallery.people:
            people.update(person.name.encode("utf-8", "surrogateescape") + b"\0")
            people.update(person.embeddings.tobytes())
        facts = {
            "source": [source.etag, source.size],
            "settings": settings.effective(),
            "models": asdict(parts_for(self._service.face_blur.parts, settings).models),
            "people": people.hexdigest(),
            "output": [ticket.suffix, str(ticket.plan)],
        }
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def _make(
        self, ticket: Ticket, settings: Settings, gallery: Gallery, source: RemoteFile
    ) -> tuple[Plan, Path]:
        """The result and its plan, both in the spool."""
        service, media = self._service, Media(source)
        job = MediaJob(service.face_blur, service.limits, self._account, self._check)
        session = service.face_blur.changed(settings, gallery)
        result = self._folder / f"result{ticket.suffix}"
        self._labels |= {result: "the output"}
        info = job.check_media(media, settings)
        session.check_output(media, result)
        plan = job.analyse(session, media, info)
        give_back_memory()
        job.render(session, media, plan, result, info)
        # A library may have taken a failed read for the end of the file.
        source.check_read()
        write_plan(plan, self._plan)
        return plan, result

    def _report(self, plan: Plan, result: Path, size: int, began: float) -> dict[str, Any]:
        sizes = {"source": size, "result": result.stat().st_size}
        self._account.counts |= {f"{name}_bytes": number for name, number in sizes.items()}
        return {
            **{name: self._account.counts[name] for name in _COUNTS},
            "sha256": {"source": plan.source.sha256, "result": sha256_of(result)},
            "bytes": sizes,
            "seconds": round(time.monotonic() - began, 3),
        }

    def _answer(self, report: Mapping[str, Any]) -> Answer:
        path = self._folder / "report.json"
        with saving(path) as file:
            file.write(json.dumps(report).encode())
        return Answer(path)


@contextmanager
def _refusals_told() -> Iterator[None]:
    """What S3 refuses is a fault of the ticket."""
    try:
        yield
    except PlaceError as error:
        raise TicketError(str(error)) from error
