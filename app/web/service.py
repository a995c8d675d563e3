"""Everything that is loaded once and used by all requests."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from app.config import Point, ServiceSettings, Settings
from app.errors import PeopleError
from app.identity.gallery import Gallery
from app.logs import LOGGER, public
from app.pipeline import DOUBTFUL_PHOTOS, Parts, load_parts, load_people, photo_labels
from app.storage import Place, parse_prefixes, people_folder
from app.web.metrics import Metrics
from app.web.runner import Runner


@dataclass(frozen=True, slots=True)
class Service:
    """What requests share.

    ``known`` are the people that the service knows by itself, ``tickets`` the prefixes of S3 that
    tickets may name.
    """

    settings: Settings
    limits: ServiceSettings
    parts: Parts
    known: Gallery
    spool: Path
    runner: Runner
    metrics: Metrics
    tickets: tuple[Place, ...] = ()

    def stop(self, grace: float) -> None:
        """End soon: see ``Runner.stop``."""
        self.runner.stop(grace)


def load_service(
    settings: Settings, limits: ServiceSettings, people: str | None, spool: Path
) -> Service:
    """Load the models and the people, and empty the spool of what a crash may have left.

    Raises:
        ModelError: the pack is missing or damaged, or the device is not there.
        PlaceError: a prefix of tickets is none.
        PeopleError: the photos cannot be read or used; the message tells no names.
    """
    tickets = parse_prefixes(limits.tickets)
    for left in spool.iterdir():
        shutil.rmtree(left, ignore_errors=True)
    # Any request may bring people, so the models that tell people apart are loaded in any case.
    parts = load_parts(settings.changed(blur="listed", select=settings.select or (Point(0, 0, 0),)))
    known = Gallery(()) if people is None else _load_known(people, parts, spool)
    runner = Runner(limits.queue, limits.queue_seconds)
    return Service(settings, limits, parts, known, spool, runner, Metrics(), tickets)


def _load_known(people: str, parts: Parts, spool: Path) -> Gallery:
    with people_folder(people, spool) as folder:
        try:
            known = load_people(folder, parts)
        except PeopleError as error:
            message = public(str(error), photo_labels(folder))
            raise PeopleError(f"{message}; check them with: face-blur people") from error
    if known.doubts:
        fields = {"doubts": len(known.doubts), "message": DOUBTFUL_PHOTOS}
        LOGGER.warning("photos", extra={"fields": fields})
    return known
