"""The child process of the service: it holds the models and people, and works on the media.

Run as ``python -m app.web.engine`` by a supervisor; see ``app.isolation``.
"""

import shutil
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from app.config import ServiceSettings, Settings
from app.devices import device_facts
from app.errors import FaceBlurError
from app.identity.gallery import Gallery
from app.isolation import Handler, Work, run_child
from app.isolation.limits import limit_file_size
from app.isolation.messages import ChannelClosed, Message
from app.logs import configure_logging, redact
from app.pipeline import FaceBlur, load_parts, share_one_heap
from app.pipeline.engine_people import decode_gallery, encode_gallery, with_people
from app.storage import S3Uri, parse_prefixes
from app.web.media_job import JobContext, MediaJob, Results
from app.web.metrics import RequestStats
from app.web.requests import MediaRequest, TicketRequest, parse_request
from app.web.ticket_job import TicketJob
from app.web.tickets import parse_ticket


class Engine:
    """Handles requests with a loaded session.

    Args:
        face_blur: the session, recogniser included.
        limits: limits of the service.
        tickets: the S3 prefixes that tickets may use.
    """

    def __init__(
        self, face_blur: FaceBlur, limits: ServiceSettings, tickets: Sequence[S3Uri] = ()
    ) -> None:
        self._face_blur, self._limits, self._tickets = face_blur, limits, tickets

    def __call__(self, request: Message, work: Work) -> Message:
        """Do the work of one request; return the path of the result, and of a plan beside it.

        Raises:
            FaceBlurError: the work failed; the message of a ticket has no names.
        """
        parsed = parse_request(request)
        stats = RequestStats()
        context = JobContext(self._face_blur, self._limits, stats, work)
        limit_file_size(_space_for_files(parsed.folder, self._limits.min_free))
        try:
            if isinstance(parsed, MediaRequest):
                result = MediaJob(context).run(parsed)
            else:
                result = Results(self._run_ticket(parsed, context))
        finally:
            with suppress(ChannelClosed):  # the supervisor has gone
                work.tell(seconds=stats.seconds, counts=stats.counts)
        return {
            "path": str(result.path),
            "plan": None if result.plan is None else str(result.plan),
        }

    def _run_ticket(self, request: TicketRequest, context: JobContext) -> Path:
        ticket = parse_ticket(request.ticket, self._tickets)
        labels: dict[Path, str] = {}
        try:
            return TicketJob(context, request.folder, labels).run(ticket, request.settings)
        except FaceBlurError as error:
            raise type(error)(redact(str(error), labels)) from error


def _space_for_files(folder: Path, reserve: int) -> int:
    return shutil.disk_usage(folder).free - reserve


def load(start: Message) -> tuple[Handler, Message]:
    """Load models and people; return the engine, and the gallery for later children.

    Raises:
        ModelError: a pack is missing or damaged, or the device is not available.
        PlaceError: a prefix for tickets is invalid.
        PeopleError: a photo cannot be read or used; the message contains no names.
    """
    settings, limits = Settings(**start["settings"]), ServiceSettings(**start["limits"])
    tickets = parse_prefixes(limits.tickets)
    # Any request may bring photos of people, so the recogniser is always loaded.
    parts = load_parts(settings, recogniser=True)
    face_blur = FaceBlur(settings, parts=parts, gallery=Gallery(()))
    if loaded := start.get("loaded"):
        face_blur = face_blur.changed(settings, decode_gallery(loaded["people"]))
    elif start["people"] is not None:
        face_blur = with_people(face_blur, start["people"], Path(start["spool"]))
    devices = loaded["devices"] if loaded else device_facts(settings)
    facts = {"people": encode_gallery(face_blur.gallery), "devices": devices}
    return Engine(face_blur, limits, tickets), facts


def main(channel: int, lifeline: int) -> NoReturn:
    """Run the child process with these descriptors: see ``run_child``."""
    configure_logging()
    share_one_heap()
    run_child(load, channel, lifeline)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
