"""The session: settings, models and gallery, loaded once and used for many files."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np

from app.config import Settings
from app.errors import OutputError, PlanError, UsageError
from app.files import keeping_finished, sha256_of
from app.geometry import moved_inside
from app.identity.gallery import Gallery
from app.identity.policies import policy_for
from app.memory import give_back_memory
from app.pipeline.analysis import Analysis
from app.pipeline.decisions import decide
from app.pipeline.frame_times import FrameTimes
from app.pipeline.last_result import LastResult
from app.pipeline.parts import Parts, load_parts, parts_for
from app.pipeline.people import find_photos, load_people
from app.pipeline.rendering import Rendered, render_plan
from app.pipeline.selection import check_points
from app.plan import VERSION, Person, Plan, PlanTrack, SourceRecord, is_edited
from app.plan.places import edited_reason
from app.types import Effect, MediaFile, MediaInfo, Progress, Size
from app.video import Media, check_output, open_source

AnyMedia = Media | MediaFile | str
"""A handle, or a file for which one can be made."""


def _ignore_progress(stage: str, done: int, expected: int | None) -> None:
    """Do nothing: no progress was requested."""


class FaceBlur:
    """Hides faces in videos and images: analyses a file into a plan, and renders the plan.

    Models and gallery are loaded when they are first needed, and kept. Use one session for all
    files with the same settings, from one thread at a time.

    Args:
        settings: default: hide everyone, with the default models.
        parts: models of your own, or those of another session.
        gallery: the people to recognise; default: those of the photos in ``settings.people``.

    >>> import numpy as np

    from app.config import Settings
    >>> FaceBlur(Settings(blur="everyone", effect="solid")).settings.effect
    'solid'
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        parts: Parts | None = None,
        gallery: Gallery | None = None,
    ) -> None:
        self.settings = settings or Settings()
        self._given_parts, self._given_gallery = parts, gallery
        self._photos: Mapping[str, list[str]] = {}

    @cached_property
    def parts(self) -> Parts:
        """The models and other parts; loaded when first asked for.

        Raises:
            PackError: a pack or its weights are missing or damaged.
            DeviceError: the GPU that was requested cannot be used.
        """
        return self._given_parts or load_parts(self.settings)

    @property
    def _used_parts(self) -> Parts:
        """The parts that these settings use: no recogniser if everyone is hidden."""
        return parts_for(self.parts, self.settings)

    @cached_property
    def gallery(self) -> Gallery:
        """The people to recognise; empty if everyone is hidden or no photos are given.

        Warnings about the photos are in its ``doubts``.

        Raises:
            PeopleError: a photo cannot be used.
        """
        if self._given_gallery is not None:
            return self._given_gallery
        # If everyone is hidden, nobody is recognised, so photos are not needed.
        if self.settings.people is None or self.settings.choice == "everyone":
            return Gallery(())
        return self._load_gallery(self.settings.people)

    def _load_gallery(self, folder: Path) -> Gallery:
        photos = find_photos(folder)
        gallery = load_people(folder, self.parts)
        self._photos = {name: [sha256_of(one) for one in paths] for name, paths in photos.items()}
        return gallery

    def load(self) -> Self:
        """Load models and gallery now, so that failures come early; returns this session.

        Raises:
            ModelError: the models cannot be used.
            PeopleError: a photo cannot be used.
        """
        _ = self.parts, self.gallery
        return self

    def unload(self) -> None:
        """Free the memory of the models; they are loaded again when they are needed."""
        if self._given_parts is None:
            self.__dict__.pop("parts", None)
        give_back_memory()

    def with_people(self, folder: Path) -> "FaceBlur":
        """Return a session with the same settings and models, for the people of another folder.

        The photos are read now, so the folder may be removed afterwards.

        Raises:
            PeopleError: a photo cannot be used.
        """
        other = FaceBlur(self.settings, parts=self.parts)
        other.gallery = other._load_gallery(folder)
        return other

    def changed(self, settings: Settings, gallery: Gallery | None = None) -> "FaceBlur":
        """Return a session with other settings that shares the models of this one.

        Settings that choose models have no effect. ``gallery`` replaces that of this session.
        """
        known = self.gallery if gallery is None else gallery
        return FaceBlur(settings, parts=self.parts, gallery=known)

    @property
    def fingerprint(self) -> str:
        """64 hexadecimal digits, equal for sessions that give the same result for every file.

        It depends on settings, models and photos, but not on the names of people.
        """
        _ = self.gallery
        people = sorted(sorted(hashes) for hashes in self._photos.values())
        facts = [
            VERSION,
            self.settings.effective(),
            asdict(self._used_parts.models),
            self.parts.scale.knots,
            people,
        ]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()

    def check_output(
        self, media: AnyMedia, output: Path | str, *, overwrite: bool = False
    ) -> list[str]:
        """Check before any work that ``output`` can be written.

        Returns:
            Warnings, one line each, of content that will be converted or dropped.

        Raises:
            MediaError: the input cannot be read.
            OutputError: the output cannot be written, or cannot hold the streams of the input.
        """
        return check_output(
            self._handle(media), Path(output), overwrite=overwrite, drop=self.settings.drop_stream
        )

    def check_selection(self, media: AnyMedia) -> None:
        """Check before any work that the points of ``select`` lie inside the video or image.

        Raises:
            UsageError: a frame, a time or a pixel does not exist.
            MediaError: the input cannot be read.
        """
        check_points(self._handle(media), self.settings.select)

    def _handle(self, media: AnyMedia) -> Media:
        """Return a handle that is read as the settings say."""
        handle = Media.of(media)
        handle.accept_truncated |= self.settings.accept_truncated
        return handle

    def analyse(self, media: AnyMedia, progress: Progress | None = None) -> Plan:
        """First pass: find all faces and decide which of them to hide in which frames.

        Raises:
            MediaError: the file cannot be read to its end.
            UsageError: a selected point lies outside the video, which is found before any work, or
                shows no face; or the settings need people to recognise and none were given.
            ModelError: the models cannot be used.
            PeopleError: a reference photo cannot be used.
        """
        self.check_selection(media)
        media = self._handle(media)
        parts = self._used_parts
        self._check_people(parts)
        # Only the chips of a recogniser need to know how strongly a face is compressed.
        recognises = parts.recogniser is not None
        source = open_source(media, threads=self.settings.threads, quantisers=recognises)
        result = Analysis(parts, self.settings, source.info).run(
            source, progress or _ignore_progress
        )
        everybody, tracks = decide(
            result,
            self.gallery,
            self.settings.select,
            parts.scale,
            parts.policy or policy_for(self.settings.choice, self.settings.unclear),
        )
        sha256 = media.sha256
        media.check_unchanged()
        return Plan(
            source=_source_record(media.name, sha256, source.info, result.frames),
            settings=self.settings.effective(),
            models=parts.models,
            people=tuple(Person(person.name, person.photos) for person in everybody.people),
            shots=result.shots,
            tracks=tuple(
                _timed(_reaching_frame(track, source.info.size), result.times, source.info.duration)
                for track in tracks
            ),
        )

    def _check_people(self, parts: Parts) -> None:
        if self.settings.choice == "everyone":
            return
        if parts.recogniser is None:
            raise UsageError("the parts were loaded for everyone; load them for these settings")
        if not self.settings.select and not self.gallery.people:
            raise UsageError("no people were given; pass a gallery, or set people to a folder")

    def render(
        self,
        media: AnyMedia,
        plan: Plan,
        output: Path | str,
        progress: Progress | None = None,
        *,
        overwrite: bool = False,
        effect: Effect | None = None,
        last: LastResult | None = None,
        correctable: bool = False,
    ) -> Rendered | None:
        """Second pass: write the video with the faces of the plan hidden, or write nothing.

        A ``KeyboardInterrupt`` that arrives when the output is complete is ignored.

        Args:
            media: the video or image.
            plan: the faces to hide.
            output: the result.
            progress: called for each frame.
            overwrite: replace an output that exists; it may be the last result.
            effect: an effect of your own instead of that of the settings.
            last: the last result for the same video: groups of pictures in which nothing has
                changed since are copied from it. Where that is not safe, it is not used.
            correctable: the result is made for quick corrections, and is larger for it.

        Returns:
            How it was done; None after such a ``KeyboardInterrupt``.

        Raises:
            PlanError: the plan belongs to another file.
            MediaError: the file cannot be read to its end, or has other frames than the plan.
            OutputError: the output cannot be written.
            DiskFull: there is no space for it.
        """
        media = self._handle(media)
        if media.sha256 != plan.source.sha256:
            raise PlanError(f"{media}: the plan was made for another file; analyse it again")
        with keeping_finished(Path(output)):
            return render_plan(
                media,
                plan,
                Path(output),
                self.settings,
                progress or _ignore_progress,
                overwrite=overwrite,
                effect=effect,
                last=last,
                correctable=correctable,
            )
        return None

    def blur(
        self,
        media: AnyMedia,
        output: Path | str,
        progress: Progress | None = None,
        *,
        plan: Path | None = None,
        overwrite: bool = False,
    ) -> Plan:
        """Analyse and render; with ``plan`` the plan is written there when the analysis ends.

        With the setting ``verify`` the result is looked at before it gets its name, and the plan is
        that of what it hides in the end.

        Raises:
            VerificationError: a face that should be hidden can still be seen in the result.
            FaceBlurError: as ``analyse`` and ``render``. There is no output then; a plan that was
                written stays, and ``render`` can use it.
        """
        media = self._handle(media)
        if plan is not None and is_edited(plan):  # before the analysis, which may take hours
            raise OutputError(f"{plan}: {edited_reason(plan)}")
        new_plan = self.analyse(media, progress)
        if plan is not None:
            new_plan.write(plan)
        give_back_memory()
        if self.settings.verify:
            # It needs this class.
            from app.verification import render_checked

            checked = render_checked(
                self, media, new_plan, Path(output), progress, overwrite=overwrite
            )
            if plan is not None and checked.repaired:
                checked.plan.write(plan)
            return checked.plan
        self.render(media, new_plan, output, progress, overwrite=overwrite)
        give_back_memory()
        return new_plan


def _reaching_frame(track: PlanTrack, size: Size) -> PlanTrack:
    """Return the track with every box moved at least partly into the frame."""
    boxes = moved_inside(track.boxes[:, 1:], size)
    if np.array_equal(boxes, track.boxes[:, 1:]):
        return track
    return replace(track, boxes=np.concatenate([track.boxes[:, :1], boxes], axis=1))


def _timed(track: PlanTrack, times: FrameTimes, duration: Fraction) -> PlanTrack:
    """Return the track with its times: from its first frame to the frame after its last."""
    begin, after = times.time_of(track.first), track.last + 1
    end = times.time_of(after) if after < len(times.pts) else max(begin, duration)
    return replace(track, times=(round(float(begin), 3), round(float(end), 3)))


def _source_record(name: str, sha256: str, info: MediaInfo, frames: int) -> SourceRecord:
    width, height = info.size
    return SourceRecord(sha256, name, frames, width, height, round(float(info.duration), 3))
