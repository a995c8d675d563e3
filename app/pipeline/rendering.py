"""The second pass: hide the faces of a plan in every frame and write the result."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.config import Settings
from app.effects import make_effect
from app.errors import MediaError
from app.plan import Plan
from app.types import Boxes, Effect, Frame, FrameSink, Plane, Progress
from app.video import Media, Uncopyable, Writing, open_mixing_sink, open_sink, open_source


def writing_of(settings: Settings, *, overwrite: bool) -> Writing:
    """Return the options for writing a result that the settings contain."""
    return Writing(
        overwrite=overwrite,
        quality=settings.quality,
        encoder=settings.encoder,
        threads=settings.threads,
        keep_location=settings.keep_location,
        copy_untouched=settings.copy_untouched == "auto",
        drop=settings.drop_stream,
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
) -> None:
    """Hide the faces of ``plan`` in a video, and write the result completely or not at all.

    Untouched groups of pictures are copied where that is safe. Some reasons against it are found
    only when the result is checked: then every frame is encoded.

    Raises:
        MediaError, OutputError, DiskFull: as ``FaceBlur.render``.
    """
    hiding = Hiding.of(settings, effect)
    run = _Rendering(media, plan, hiding, progress, settings.threads)
    writing = writing_of(settings, overwrite=overwrite)
    if not (writing.copy_untouched and run.copy_untouched(output, writing)):
        run.encode(output, writing)


@dataclass(frozen=True, slots=True)
class Hiding:
    """Hides boxes in all planes of a frame.

    ``opaque`` makes them opaque: reduced to cells, opacity would let a background through.
    """

    effect: Effect
    opaque: Effect

    @classmethod
    def of(cls, settings: Settings, effect: Effect | None = None) -> "Hiding":
        """Return the hiding that the settings say, or that by an ``effect`` of one's own."""
        return cls(effect or effect_of(settings, settings.effect), effect_of(settings, "solid"))

    def hide(self, planes: Sequence[Plane], boxes: Boxes) -> None:
        """Hide the (N, 4) boxes in the planes of one frame."""
        self.effect.hide([plane for plane in planes if not plane.is_alpha], boxes)
        self.opaque.hide([plane for plane in planes if plane.is_alpha], boxes)


class _Rendering:
    """The rendering of one plan to a file."""

    def __init__(
        self, media: Media, plan: Plan, hiding: Hiding, progress: Progress, threads: int | None
    ) -> None:
        self._media, self._plan = media, plan
        self._hiding, self._progress, self._threads = hiding, progress, threads

    def copy_untouched(self, output: Path, writing: Writing) -> bool:
        """Write the result with copied groups of pictures; return False if that is not safe."""
        hidden = self._plan.hidden_frames
        if self._media.is_image or hidden.all():
            return False
        try:
            with open_mixing_sink(self._media, output, writing, hidden) as sink:
                source = open_source(self._media, threads=self._threads)
                self._write(source.only(sink.stretches), sink)
                sink.commit()
        except Uncopyable:
            return False
        self._report(self._plan.source.frames)
        return True

    def encode(self, output: Path, writing: Writing) -> None:
        """Write the result with every frame encoded."""
        source = open_source(self._media, threads=self._threads)
        with open_sink(self._media, output, writing) as sink:
            done = self._write(source, sink)
            if done != self._plan.source.frames:
                raise MediaError(
                    f"{self._media}: has {done} frames, but the plan {self._plan.source.frames}"
                )
            sink.commit()

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
