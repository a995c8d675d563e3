"""The parts of the service that all requests share."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from app.config import ServiceSettings, Settings
from app.errors import PeopleError
from app.identity.gallery import Gallery
from app.logs import LOGGER, public
from app.pipeline import DOUBTFUL_PHOTOS, FaceBlur, load_parts, photo_labels
from app.storage import S3Uri, parse_prefixes, people_folder
from app.web.metrics import Metrics
from app.web.runner import Runner


@dataclass(frozen=True, slots=True)
class Service:
    """Session, limits and state of one service.

    ``face_blur`` has the models, recogniser included, and the people that the service knows itself.
    ``tickets`` are the S3 prefixes that tickets may name.
    """

    face_blur: FaceBlur
    limits: ServiceSettings
    spool: Path
    runner: Runner
    metrics: Metrics
    tickets: tuple[S3Uri, ...] = ()

    @property
    def settings(self) -> Settings:
        """The settings of the service, which a request may change in part."""
        return self.face_blur.settings

    def stop(self, grace: float) -> None:
        """Stop soon: see ``Runner.stop``."""
        self.runner.stop(grace)


def load_service(
    settings: Settings, limits: ServiceSettings, people: str | None, spool: Path
) -> Service:
    """Load models and people, and empty the spool of files that a crash may have left.

    Raises:
        ModelError: the pack is missing or damaged, or the device is not available.
        PlaceError: a prefix for tickets is invalid.
        PeopleError: the photos cannot be read or used; the message names nobody.
    """
    tickets = parse_prefixes(limits.tickets)
    for left in spool.iterdir():
        shutil.rmtree(left, ignore_errors=True)
    # Any request may bring people, so the recogniser is always loaded.
    parts = load_parts(settings, recogniser=True)
    face_blur = FaceBlur(settings, parts=parts, gallery=Gallery(()))
    if people is not None:
        face_blur = _with_people(face_blur, people, spool)
    runner = Runner(limits.queue, limits.queue_seconds)
    return Service(face_blur, limits, spool, runner, Metrics(), tickets)


def _with_people(face_blur: FaceBlur, people: str, spool: Path) -> FaceBlur:
    with people_folder(people, spool) as folder:
        try:
            known = face_blur.with_people(folder)
        except PeopleError as error:
            message = public(str(error), photo_labels(folder))
            raise PeopleError(f"{message}; check them with: face-blur people") from error
    if doubts := known.gallery.doubts:
        fields = {"doubts": len(doubts), "message": DOUBTFUL_PHOTOS}
        LOGGER.warning("photos", extra={"fields": fields})
    return known
