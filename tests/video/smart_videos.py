"""Helpers for tests of smart rendering: hide something in some frames, and copy the rest."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
from av import logging
from numpy.typing import NDArray

from app.types import Frame, FrameSink, Stretch
from app.video import Uncopyable, Writing, open_mixing_sink, open_sink, open_source
from testmedia.videos import NO_BOXES

BOX = np.array([[0, 0, 8, 8]], np.float32)
Hidden = NDArray[np.bool_]


def frames_hidden(count: int, *ranges: tuple[int, int]) -> Hidden:
    """Return a mask of ``count`` frames that is set in the ranges ``[first, end)``."""
    hidden = np.zeros(count, bool)
    for first, end in ranges:
        hidden[first:end] = True
    return hidden


def paint(frame: Any) -> None:
    """Paint the upper half of a frame black."""
    plane = frame.planes()[0]
    plane.pixels[: len(plane.pixels) // 2] = plane.black[0]


def render(source: Path, output: Path, hidden: Hidden, **options: Any) -> Sequence[Stretch] | None:
    """Hide, and copy untouched GOPs; return the encoded stretches, None if all were encoded."""
    try:
        mixing_sink = open_mixing_sink(source, output, Writing(**options), hidden)
    except Uncopyable:
        encode(source, output, hidden, **options)
        return None
    with mixing_sink as sink:
        _write(open_source(source).only(sink.stretches), sink, hidden)
        sink.commit()
    return sink.stretches


def encode(source: Path, output: Path, hidden: Hidden, **options: Any) -> None:
    """Hide, and encode every frame."""
    with open_sink(source, output, Writing(**options)) as sink:
        _write(open_source(source), sink, hidden)
        sink.commit()


def _write(frames: Iterable[Frame], sink: FrameSink, hidden: Hidden) -> None:
    for frame in frames:
        if hidden[frame.index]:
            paint(frame)
        sink.write(frame, BOX if hidden[frame.index] else NO_BOXES)


def decoded(path: Path, seek: int | None = None, count: int | None = None) -> dict[int, str]:
    """Return a checksum of the decoded pixels of each frame, by its pts."""
    found: dict[int, str] = {}
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        if seek is not None:
            container.seek(seek, stream=stream, backward=True)
        for frame in container.decode(stream):
            assert frame.pts is not None
            assert not frame.is_corrupt
            found[frame.pts] = hashlib.md5(frame.to_ndarray().tobytes()).hexdigest()
            if count is not None and len(found) == count:
                break
    return found


def decoder_warnings(work: Callable[[], object]) -> list[str]:
    """Return the warnings of the media library during ``work``."""
    before = logging.get_level()
    logging.set_level(logging.WARNING)
    try:
        with logging.Capture() as lines:
            work()
    finally:
        logging.set_level(before)
    return [text for _, _, text in lines]
