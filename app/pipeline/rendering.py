"""The second pass: frames through an effect into a file."""

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.config import Settings
from app.effects import make_effect
from app.errors import MediaError
from app.pipeline.parts import Progress
from app.plan import Plan
from app.types import Effect, MediaFile
from app.video import Uncopyable, open_sink, open_source


def hidden_frames(plan: Plan) -> NDArray[np.bool_]:
    """For each frame whether anything is hidden in it, (frames,)."""
    count = plan.source.frames
    return np.fromiter((len(plan.regions_at(frame)) > 0 for frame in range(count)), bool, count)


def write_hidden(
    path: MediaFile,
    plan: Plan,
    output: Path,
    settings: Settings,
    report: Progress,
    *,
    overwrite: bool,
    effect: Effect | None = None,
) -> None:
    """Hide what ``plan`` says in the video, and put it in place: whole, or not at all.

    Where packets cannot be copied after all, which may show only when the result is looked
    through, every frame is encoded.

    Raises:
        MediaError, OutputError, DiskFull: as ``render``.
    """
    hiding = effect or make_effect(
        settings.effect, shape=settings.shape, margin=settings.margin,
        feather=settings.feather, cells=settings.cells,
    )  # fmt: skip
    write = partial(
        _write, path, plan, output, settings, report, effect=hiding, overwrite=overwrite
    )
    if settings.copy_untouched == "auto":
        try:
            write(copy=True)
        except Uncopyable:
            pass
        else:
            return
    write(copy=False)


def _write(
    path: MediaFile,
    plan: Plan,
    output: Path,
    settings: Settings,
    report: Progress,
    *,
    effect: Effect,
    overwrite: bool,
    copy: bool,
) -> None:
    source = open_source(path, threads=settings.threads)
    done = 0
    with open_sink(
        path, output, quality=settings.quality, keep_location=settings.keep_location,
        overwrite=overwrite, threads=settings.threads, copy_untouched=copy,
        encoder=settings.encoder,
    ) as sink:  # fmt: skip
        needed = sink.needed(hidden_frames(plan))
        for frame in source if needed is None else source.only(needed):
            boxes = plan.regions_at(frame.index)
            if len(boxes):
                effect.hide(frame.planes(), boxes)
            sink.write(frame, boxes)
            done = frame.index + 1
            report("render", done, plan.source.frames)
        # The sink counts what it copied itself.
        if needed is None and done != plan.source.frames:
            raise MediaError(f"{path}: has {done} frames, but the plan {plan.source.frames}")
        sink.commit()
