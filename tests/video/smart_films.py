"""Films in which something is hidden in some frames, written with what is untouched copied."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
from av import logging
from numpy.typing import NDArray

from app.types import Stretch
from app.video import open_sink, open_source
from testmedia.films import NO_BOXES

BOX = np.array([[0, 0, 8, 8]], np.float32)
Hidden = NDArray[np.bool_]


def frames_hidden(count: int, *ranges: tuple[int, int]) -> Hidden:
    """Which of ``count`` frames are to be hidden, by ``[first, end)``."""
    hidden = np.zeros(count, bool)
    for first, end in ranges:
        hidden[first:end] = True
    return hidden


def paint(frame: Any) -> None:
    """The upper half black."""
    plane = frame.planes()[0]
    plane.pixels[: len(plane.pixels) // 2] = plane.black[0]


def render(source: Path, output: Path, hidden: Hidden, **options: Any) -> Sequence[Stretch] | None:
    """Hide, and copy where it is safe; the stretches that were made anew."""
    with open_sink(source, output, **{"copy_untouched": True, **options}) as sink:
        needed = sink.needed(hidden)
        frames = open_source(source)
        for frame in frames if needed is None else frames.only(needed):
            if hidden[frame.index]:
                paint(frame)
            sink.write(frame, BOX if hidden[frame.index] else NO_BOXES)
        sink.commit()
    return needed


def decoded(path: Path, seek: int | None = None, count: int | None = None) -> dict[int, str]:
    """Checksum of the pixels of each frame by its pts, as the library decodes them."""
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


def said(work: Callable[[], object]) -> list[str]:
    """What the library warns of meanwhile."""
    before = logging.get_level()
    logging.set_level(logging.WARNING)
    try:
        with logging.Capture() as lines:
            work()
    finally:
        logging.set_level(before)
    return [text for _, _, text in lines]
