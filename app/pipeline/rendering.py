"""The second pass: hide the faces of a plan in every frame and write the result."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from app.config import Settings
from app.effects import make_effect
from app.errors import MediaError
from app.pipeline.last_result import LastResult, changed_frames
from app.plan import Plan
from app.types import Boxes, Effect, Frame, FrameSink, PartialSource, Plane, Progress
from app.video import Media, Uncopyable, Writing, open_mixing_sink, open_sink, open_source

_CORRECTABLE_SECONDS = 2
"""Seconds of a group of pictures in a result that will be corrected. Each correction encodes whole
groups; with 2 s, files are 6 to 9 % larger than with the usual 10 s, with 1 s 12 to 18 %
(docs/decisions/render-changed.md)."""

CopiedFrom: TypeAlias = Literal["last result", "source", "nothing"]


@dataclass(frozen=True, slots=True)
class Rendered:
    """A result, and how it was rendered.

    Attributes:
        output: the result.
        plan: the plan.
        settings: the settings; None if they do not say all: for an effect of the user's own, and
            for images, which are always encoded.
        copied_from: the file that frames were copied from.
        encoded: the number of frames that were encoded.
        why_not_last: the reason why the last result was not used; None if it was, or if there was
            none.
    """

    output: Path
    plan: Plan
    settings: Settings | None
    copied_from: CopiedFrom = "nothing"
    encoded: int = 0
    why_not_last: str | None = None

    def last_result(self) -> LastResult | None:
        """Return the record for the next rendering; None if nothing could be copied there.

        Call it before anything else writes to the file, which is read for its hash.

        Raises:
            MediaError: the result cannot be read.
        """
        if self.settings is None:
            return None
        return LastResult.of(self.output, self.plan, self.settings)


def writing_of(settings: Settings, *, overwrite: bool, correctable: bool = False) -> Writing:
    """Return the options for writing a result that the settings contain.

    ``correctable``: in groups of pictures that are short enough for quick corrections.
    """
    return Writing(
        overwrite=overwrite,
        quality=settings.quality,
        preset=settings.preset,
        encoder=settings.encoder,
        threads=settings.threads,
        keep_location=settings.keep_location,
        copy_untouched=settings.copy_untouched == "auto",
        drop=settings.drop_stream,
        gop_seconds=_CORRECTABLE_SECONDS if correctable else None,
    )


def effect_of(settings: Settings, name: str) -> Effect:
    """Return the effect of this name with the shape that the settings give to all effects."""
    return make_effect(
        name,
        shape=settings.shape,
        margin=settings.margin,
        feather=settings.feather,
        cells=settings.cells,
    )


def render_plan(
    media: Media,
    plan: Plan,
    output: Path,
    settings: Settings,
    progress: Progress,
    *,
    overwrite: bool,
    effect: Effect | None = None,
    last: LastResult | None = None,
    correctable: bool = False,
) -> Rendered:
    """Hide the faces of ``plan`` in a video, and write the result completely or not at all.

    Unchanged groups of pictures are copied from the last result, or untouched ones from the source,
    where that is safe. Some reasons against it are found only when the result is checked: then the
    next way is taken, and at last every frame is encoded.

    Raises:
        MediaError, OutputError, DiskFull: as ``FaceBlur.render``.
    """
    hiding = hiding_of(settings, effect)
    run = _Rendering(media, plan, hiding, progress, settings.threads)
    writing = writing_of(settings, overwrite=overwrite, correctable=correctable)
    known = settings if effect is None and not media.is_image else None
    done = Rendered(output, plan, known)
    if last is not None:
        try:
            if known is None:
                raise Uncopyable("it is an image, or the effect is not that of the settings")
            encoded = run.copy_unchanged(output, writing, last, known)
            return replace(done, copied_from="last result", encoded=encoded)
        except MediaError as error:  # of the source, too: then it is raised again below
            done = replace(done, why_not_last=str(error))
    if writing.copy_untouched:
        copied = run.copy_untouched(output, writing)
        if copied is not None:
            return replace(done, copied_from="source", encoded=copied)
    run.encode(output, writing)
    return replace(done, encoded=plan.source.frames)


@dataclass(frozen=True, slots=True)
class Hiding:
    """Hides boxes in all planes of a frame, extended to whole pixels.

    The boxes of a track then have few different sizes, which an effect can prepare for. ``opaque``
    makes them opaque: reduced to cells, opacity would let a background through.
    """

    effect: Effect
    opaque: Effect

    def hide(self, planes: Sequence[Plane], boxes: Boxes) -> None:
        """Hide (N, 4) boxes in the planes of a frame."""
        whole = np.concatenate([np.floor(boxes[:, :2]), np.ceil(boxes[:, 2:])], axis=1)
        self.effect.hide([plane for plane in planes if not plane.is_alpha], whole)
        self.opaque.hide([plane for plane in planes if plane.is_alpha], whole)


def hiding_of(settings: Settings, effect: Effect | None = None) -> Hiding:
    """Return the way of hiding that the settings choose; ``effect`` replaces their effect."""
    return Hiding(effect or effect_of(settings, settings.effect), effect_of(settings, "solid"))


class _Rendering:
    """The rendering of one plan to a file."""

    def __init__(
        self, media: Media, plan: Plan, hiding: Hiding, progress: Progress, threads: int | None
    ) -> None:
        self._media, self._plan = media, plan
        self._hiding, self._progress, self._threads = hiding, progress, threads

    def copy_unchanged(
        self, output: Path, writing: Writing, last: LastResult, settings: Settings
    ) -> int:
        """Write the result with groups of pictures of the last one; return the encoded frames.

        Raises:
            Uncopyable, MediaError: that is not possible, or not safe.
        """
        result = last.unchanged_media(self._plan, settings)
        return self._mix(output, writing, changed_frames(last.plan, self._plan), result)

    def copy_untouched(self, output: Path, writing: Writing) -> int | None:
        """Write the result with groups of pictures of the source; return the encoded frames.

        None: that is not safe.
        """
        hidden = self._plan.hidden_frames
        if self._media.is_image or hidden.all():
            return None
        try:
            return self._mix(output, writing, hidden, None)
        except Uncopyable:
            return None

    def _mix(
        self, output: Path, writing: Writing, touched: NDArray[np.bool_], last: Media | None
    ) -> int:
        with open_mixing_sink(self._media, output, writing, touched, last) as sink:
            self._write(sink.frames(self._source()), sink)
            sink.commit()
        self._report(self._plan.source.frames)
        return sink.encoded

    def encode(self, output: Path, writing: Writing) -> None:
        """Write the result with every frame encoded."""
        source = self._source()
        with open_sink(self._media, output, writing) as sink:
            done = self._write(source, sink)
            if done != self._plan.source.frames:
                raise MediaError(
                    f"{self._media}: has {done} frames, but the plan {self._plan.source.frames}"
                )
            sink.commit()

    def _source(self) -> PartialSource:
        return open_source(self._media, threads=self._threads, quantisers=False)

    def _write(self, frames: Iterable[Frame], sink: FrameSink) -> int:
        done = 0
        for frame in frames:
            boxes = self._plan.regions_at(frame.index)
            if len(boxes):
                self._hiding.hide(frame.planes(), boxes)
            sink.write(frame, boxes)
            done = frame.index + 1
            self._report(done)
        return done

    def _report(self, done: int) -> None:
        """Report the progress. Frames that are copied count with the next one that is encoded."""
        self._progress("render", done, self._plan.source.frames)
