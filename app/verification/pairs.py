"""Read a result beside its source, frame by frame."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from itertools import zip_longest

from app.types import Frame, FrameSource


@dataclass(frozen=True, slots=True)
class Pair:
    """A frame of a result, that of its source if there is one, and its time in seconds."""

    source: Frame | None
    result: Frame
    time: Fraction


class OtherFrames(Exception):
    """The result does not have the frames of its source: from ``frame`` on, at ``time``."""

    def __init__(self, frame: int, time: Fraction, text: str) -> None:
        super().__init__(text)
        self.frame, self.time, self.text = frame, time, text


def read_pairs(result: FrameSource, source: FrameSource | None, frames: int) -> Iterator[Pair]:
    """Yield the frames of a result, and those of its source beside them.

    Args:
        result: the result.
        source: its source, or None.
        frames: the number of frames that they should have.

    Raises:
        OtherFrames: number, size or times of the frames differ.
        MediaError: a frame cannot be decoded.
    """
    starts, count, time = [0, 0], 0, Fraction(0)
    with ExitStack() as stack:
        for one, other in _side_by_side(stack, result, source):
            if one is None or (source is not None and other is None):
                raise OtherFrames(count, time, f"{_ends(one)} after {count} frames")
            if count == 0:
                starts = [one.pts, 0 if other is None else other.pts]
            time = (one.pts - starts[0]) * result.info.time_base
            if source is not None and other is not None:
                _compare(
                    one,
                    other,
                    time,
                    (other.pts - starts[1]) * source.info.time_base,
                    [result.info.time_base, source.info.time_base],
                )
            yield Pair(other, one, time)
            count += 1
    if count != frames:
        raise OtherFrames(count, time, f"there are {count} frames, but the plan has {frames}")


def _ends(result: Frame | None) -> str:
    return "the result ends" if result is None else "the source ends"


def _compare(
    result: Frame, source: Frame, time: Fraction, wanted: Fraction, ticks: list[Fraction]
) -> None:
    """Compare two frames without their content; times may differ by a tick of each clock."""
    if result.size != source.size:
        raise OtherFrames(result.index, time, f"the frame is of {result.size}, not {source.size}")
    if abs(time - wanted) > sum(ticks):
        raise OtherFrames(
            result.index,
            time,
            f"the frame is shown at {float(time):.3f} s, not {float(wanted):.3f}",
        )


def _side_by_side(
    stack: ExitStack, result: FrameSource, source: FrameSource | None
) -> Iterator[tuple[Frame | None, Frame | None]]:
    """Yield the frames of both; None for one that has ended, and without a source."""
    readers = [iter(one) for one in (result, source) if one is not None]
    for reader in readers:
        close = getattr(reader, "close", None)  # ends decoding ahead
        if close is not None:
            stack.callback(close)
    for frames in zip_longest(*readers):
        yield frames[0], frames[1] if len(frames) > 1 else None
