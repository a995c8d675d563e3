"""What is done with an upload once it has the device: a few calls of the library."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from app.config import ServiceSettings, Settings
from app.errors import MediaTooLarge
from app.identity.gallery import Gallery
from app.pipeline import (
    CONTENT_TYPES,
    Parts,
    Progress,
    analyse,
    give_back_memory,
    output_for,
    parts_for,
    render,
)
from app.plan import Plan, write_plan
from app.types import MediaFile, MediaInfo
from app.video import open_source
from app.web.faces import write_faces
from app.web.form import Upload
from app.web.options import Wanted
from app.web.people import request_gallery
from app.web.runner import Check


@dataclass(slots=True)
class Account:
    """What a request took: seconds of its stages, and counts of what there was."""

    seconds: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measure how long something takes."""
        began = time.monotonic()
        try:
            yield
        finally:
            self.seconds[name] = round(time.monotonic() - began, 3)


@dataclass(frozen=True, slots=True)
class Answer:
    """A finished file."""

    path: Path

    @property
    def content_type(self) -> str:
        """Of the file, told by its suffix."""
        return CONTENT_TYPES[self.path.suffix]


class Work:
    """The work on one upload.

    Args:
        parts: the models, recogniser included.
        known: whom the service knows by itself.
        limits: of what is taken.
        check: called for every frame; raises what stops the work.
    """

    def __init__(
        self, parts: Parts, known: Gallery, limits: ServiceSettings, account: Account, check: Check
    ) -> None:
        self._parts, self._known = parts, known
        self._limits, self._account, self._check = limits, account, check

    def do(self, upload: Upload, settings: Settings, wanted: Wanted) -> Answer:
        """Make what is wanted of the upload, beside it.

        Raises:
            FaceBlurError: whatever goes wrong on purpose; nothing may be answered then.
        """
        info = self.look(upload.media, settings)
        if wanted == "faces":
            target = upload.media.with_name("faces.json")
            with self._account.stage("analyse"):
                self._account.counts |= write_faces(upload.media, info, self._parts, target)
            return Answer(target)
        output = None if wanted == "plan" else output_for(upload.media, info)
        plan = self.plan(upload.media, settings, self._gallery(upload, settings), info)
        give_back_memory()
        if output is None:
            target = upload.media.with_name("plan.json")
            write_plan(plan, target)
            return Answer(target)
        self.render(upload.media, plan, output, settings, info)
        return Answer(output)

    def _gallery(self, upload: Upload, settings: Settings) -> Gallery:
        if settings.choice == "everyone":
            return Gallery(())
        if upload.people is None:
            return self._known
        with self._account.stage("people"):
            return request_gallery(upload.people, upload.names, self._parts)

    def look(self, media: MediaFile, settings: Settings) -> MediaInfo:
        """What is known of media before the work, if it is within the limits.

        Raises:
            MediaTooLarge: it is not.
            MediaError: it cannot be read.
        """
        info = open_source(media, threads=settings.threads).info
        self._check_limits(info)
        self._check()
        return info

    def plan(self, media: MediaFile, settings: Settings, gallery: Gallery, info: MediaInfo) -> Plan:
        """First pass: whom to hide where.

        Raises:
            FaceBlurError: as ``app.pipeline.analyse``, or what ``check`` raises.
        """
        parts = parts_for(self._parts, settings)
        with self._account.stage("analyse"):
            plan = analyse(media, settings, parts, gallery, self._progress(info))
        self._account.counts |= plan.counts
        return plan

    def render(
        self, media: MediaFile, plan: Plan, output: Path, settings: Settings, info: MediaInfo
    ) -> None:
        """Second pass: write the result, or nothing.

        Raises:
            FaceBlurError: as ``app.pipeline.render``, or what ``check`` raises.
        """
        with self._account.stage("render"):
            render(media, plan, output, settings, self._progress(info))

    def _check_limits(self, info: MediaInfo) -> None:
        width, height = info.size
        if width * height > self._limits.max_pixels:
            raise MediaTooLarge(
                f"{width} x {height} are more than the {self._limits.max_pixels} pixels that are "
                "allowed; make it smaller"
            )
        self._check_length(info, info.frames or 0)
        if info.duration > Fraction(self._limits.max_seconds):
            raise MediaTooLarge(f"longer than the {self._limits.max_seconds:g} s that are allowed")

    def _check_length(self, info: MediaInfo, frames: int) -> None:
        """What has been seen of a file counts too: the duration that it declares may be none."""
        if frames > self._limits.max_frames:
            raise MediaTooLarge(f"more than the {self._limits.max_frames} frames that are allowed")
        if not info.duration and frames / info.rate > Fraction(self._limits.max_seconds):
            raise MediaTooLarge(f"longer than the {self._limits.max_seconds:g} s that are allowed")

    def _progress(self, info: MediaInfo) -> Progress:
        def progress(stage: str, done: int, expected: int | None) -> None:  # noqa: ARG001
            self._check()
            self._check_length(info, done)

        return progress
