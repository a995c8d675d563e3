"""The work on one upload, in the child process."""

import json
import shutil
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from app.config import ServiceSettings, Settings
from app.edits import EditedPlan, with_edits
from app.errors import MediaTooLarge, UsageError
from app.faces.chips import align, brighten_dark
from app.identity.gallery import Gallery
from app.isolation import Work
from app.pipeline import FaceBlur, Parts, default_output, give_back_memory, load_people
from app.pipeline.face_looker import FaceLooker
from app.plan import Plan, read_plan, write_plan
from app.plan.settings import rendering_settings
from app.types import Embeddings, Faces, Frame, Image, MediaInfo, Progress
from app.video import Media, open_source
from app.web.metrics import RequestStats
from app.web.requests import MediaRequest
from app.web.uploads import new_file

MIN_FACE_SCORE = 0.5
"""Lowest score of a face that is reported with its embedding."""


@dataclass(frozen=True, slots=True)
class JobContext:
    """The parts that all jobs need.

    Args:
        face_blur: the session of the service, recogniser and people included.
        limits: limits of the service.
        stats: measurements of the request.
        work: receives progress; raises to stop the work.
    """

    face_blur: FaceBlur
    limits: ServiceSettings
    stats: RequestStats
    work: Work


@dataclass(frozen=True, slots=True)
class Results:
    """The files of a response; ``plan`` is set if it accompanies another one."""

    path: Path
    plan: Path | None = None


class MediaJob:
    """Processes one file within the limits of the service."""

    def __init__(self, context: JobContext) -> None:
        self._face_blur, self._limits = context.face_blur, context.limits
        self._stats, self._work = context.stats, context.work

    def run(self, request: MediaRequest) -> Results:
        """Write the requested files to the folder of the request, and return their paths.

        Raises:
            FaceBlurError: the work failed, and there is no result.
        """
        limits, folder = self._limits, request.folder
        given, settings = self._given_plan(request)
        media = Media(request.media, max_seconds=limits.max_seconds, max_pixels=limits.max_pixels)
        info = self.check_media(media, settings)
        if request.response == "faces":
            with self._stats.stage("analyse"):
                target = folder / "faces.json"
                self._stats.counts |= write_faces(media, info, self._face_blur.parts, target)
            return Results(target)
        output = None
        if request.response != "plan":
            output = default_output(media, folder, drop=settings.drop_stream)
        session = self._face_blur.changed(settings, self._gallery(request))
        plan = self.analyse(session, media, info) if given is None else given
        give_back_memory()
        if output is not None:
            self.render(session, media, plan, output, info)
        if request.response == "media" and output is not None:
            return Results(output)
        target = folder / "plan.json"
        if request.edits is not None and request.plan is not None:
            shutil.copyfile(request.plan, target)  # byte by byte, so that the edits belong to it
        else:
            write_plan(plan, target)
        return Results(target) if output is None else Results(output, target)

    def _given_plan(self, request: MediaRequest) -> tuple[Plan | None, Settings]:
        """Return the plan that the request brings, if any, and the settings of the work."""
        if request.plan is None:
            return None, request.settings
        plan = self.read_edited(request.plan, request.edits)
        return plan, rendering_settings(plan, request.settings, request.plan)

    def read_edited(self, path: Path, edits: Path | None) -> Plan:
        """Read a plan with its edits, if there are any, and count them.

        Raises:
            PlanError: the plan is wrong.
            EditsError: the edits are damaged, or belong to another plan.
        """
        if edits is None:
            plan = read_plan(path)
            self._stats.counts |= plan.counts
            return plan
        edited = with_edits(path, edits)
        self._stats.counts |= {**edited.plan.counts, **review_counts(edited)}
        return edited.plan

    def _gallery(self, request: MediaRequest) -> Gallery:
        if request.settings.choice == "everyone" or request.plan is not None:
            return Gallery(())
        if request.people is None:
            return self._face_blur.gallery
        with self._stats.stage("people"):
            gallery = load_people(request.people, self._face_blur.parts)
        # The folders of an upload are numbered; replace the numbers by the names.
        people = (replace(one, name=request.names[one.name]) for one in gallery.people)
        return replace(gallery, people=tuple(people))

    def check_media(self, media: Media, settings: Settings) -> MediaInfo:
        """Check before the work that the media is readable and within the limits.

        Raises:
            MediaTooLarge: it exceeds a limit.
            MediaError: it cannot be read.
        """
        media.accept_truncated |= settings.accept_truncated
        info = open_source(media, threads=settings.threads).info
        self._check_limits(info)
        self._work.check()
        return info

    def analyse(self, session: FaceBlur, media: Media, info: MediaInfo) -> Plan:
        """Run the first pass.

        Raises:
            FaceBlurError: as ``FaceBlur.analyse``, or ``Interrupted``.
        """
        with self._stats.stage("analyse"):
            plan = session.analyse(media, self._progress(info))
        self._stats.counts |= plan.counts
        return plan

    def render(
        self, session: FaceBlur, media: Media, plan: Plan, output: Path, info: MediaInfo
    ) -> None:
        """Run the second pass: write the result, or nothing.

        Raises:
            FaceBlurError: as ``FaceBlur.render``, or ``Interrupted``.
        """
        with self._stats.stage("render"):
            session.render(media, plan, output, self._progress(info))

    def _check_limits(self, info: MediaInfo) -> None:
        width, height = info.size
        if width * height > self._limits.max_pixels:
            raise MediaTooLarge(
                f"{width} x {height} pixels are more than the {self._limits.max_pixels} that are "
                "allowed; make it smaller"
            )
        self._check_length(info, info.frames or 0)
        if info.duration > Fraction(self._limits.max_seconds):
            raise MediaTooLarge(f"longer than the {self._limits.max_seconds:g} s that are allowed")

    def _check_length(self, info: MediaInfo, frames: int) -> None:
        """Check the number of frames so far, and the duration if the file declares none."""
        if frames > self._limits.max_frames:
            raise MediaTooLarge(f"more than the {self._limits.max_frames} frames that are allowed")
        if not info.duration and frames / info.rate > Fraction(self._limits.max_seconds):
            raise MediaTooLarge(f"longer than the {self._limits.max_seconds:g} s that are allowed")

    def _progress(self, info: MediaInfo) -> Progress:
        def progress(stage: str, done: int, expected: int | None) -> None:
            self._work.progress(stage, done, expected)
            self._check_length(info, done)

        return progress


def review_counts(edited: EditedPlan) -> dict[str, int]:
    """Return numbers about the edits of a plan, without names; ``review_required`` is 0 or 1."""
    return {
        "edits": edited.edits,
        "open_doubts": len(edited.open_doubts),
        "review_required": int(edited.review_required),
    }


def write_faces(media: Media, info: MediaInfo, parts: Parts, target: Path) -> dict[str, int]:
    """Write box, score, landmarks and embedding of each face in an image as JSON.

    Returns:
        Counts of frames and faces.

    Raises:
        UsageError: the media is a video.
        MediaError: the media cannot be read.
        DiskFull: there is no space for the file.
    """
    if not info.is_image:
        raise UsageError("embeddings are available for images only; request the plan of a video")
    (frame,) = open_source(media)
    faces, embeddings = _embedded_faces(frame, parts)
    report: dict[str, Any] = {
        "width": info.size[0],
        "height": info.size[1],
        "models": {"pack": parts.models.pack},
        "faces": [_face_report(faces, embeddings, number) for number in range(len(faces))],
    }
    with new_file(target) as file:
        file.write(json.dumps(report, allow_nan=False).encode())
    return {"frames": 1, "faces": len(faces)}


def _embedded_faces(frame: Frame, parts: Parts) -> tuple[Faces, Embeddings]:
    faces = FaceLooker(parts.detector, {0: frame}).detect_all(0)
    faces = faces.take(np.flatnonzero(faces.scores >= MIN_FACE_SCORE))
    assert parts.recogniser is not None
    if not len(faces):
        return faces, np.zeros((0, parts.recogniser.dimension), np.float32)
    image: Image = frame.rgb()
    chips = align(image, faces.landmarks, parts.recogniser.template, parts.recogniser.chip_size)
    return faces, parts.recogniser.embed([brighten_dark(chip) for chip in chips])


def _face_report(faces: Faces, embeddings: Embeddings, number: int) -> dict[str, Any]:
    return {
        "box": np.round(faces.boxes[number].astype(float), 2).tolist(),
        "score": round(float(faces.scores[number]), 4),
        "landmarks": np.round(faces.landmarks[number].astype(float), 2).tolist(),
        "embedding": np.round(embeddings[number].astype(float), 6).tolist(),
    }
