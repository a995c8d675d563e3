"""Compare the sound of a result with that of its source, by its loudness over time.

Sound may be copied, cleaned or converted, so neither packets nor samples need to be equal.
"""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, TypeAlias

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.container import InputContainer
from numpy.typing import NDArray

from app.errors import MediaError
from app.video import Media
from app.video.container import demux, translated

WINDOW: Final = Fraction(1, 10)
"""Seconds of which the loudness is one number: longer than what codecs move or smear."""
_RATE: Final = 8000
"""Samples per second that are enough for the loudness."""
_WINDOWS_OFF: Final = 3
"""Windows by which two ends may differ: the last packet of a codec is filled up with silence."""
_DIFFERENT: Final = 0.25
"""Mean difference of loudness, as a part of the mean loudness. A conversion keeps the loudness; it
is 1 for silence, and about as much for sound that has nothing to do with it."""
_SILENT: Final = 1e-3
"""Mean loudness of silence, where 1 is the loudest sine: the noise of 10 bits."""

Loudness: TypeAlias = NDArray[np.float64]
"""``(n,)``: root mean square of each window, 0..1."""


@dataclass(frozen=True, slots=True)
class Sound:
    """The loudness of one stream; ``begin`` is the number of its first window.

    Window 0 begins with the first frame of the video.
    """

    begin: int
    loudness: Loudness


def compare_sound(
    result: Media, source: Media, starts: tuple[Fraction, Fraction], dropped: Sequence[str] = ()
) -> int:
    """Compare all streams of sound that can be decoded; return their number.

    Args:
        result: the result.
        source: its source.
        starts: the times of the first frames of both in seconds.
        dropped: streams of the source that the result must not have: indices, or types.

    Raises:
        MediaError: the result has less, more or other sound; or it cannot be decoded.
    """
    with source.open_container() as before, result.open_container() as after:
        wanted = [index for index in _streams(before) if not {"audio", str(index)} & set(dropped)]
        found = _streams(after)
    if len(wanted) != len(found):
        raise MediaError(f"sound: {len(found)} streams, not {len(wanted)} as in its source")
    for one, other in zip(found, wanted, strict=True):
        _compare(read_sound(result, one, starts[0]), read_sound(source, other, starts[1]))
    return len(found)


def _streams(container: InputContainer) -> list[int]:
    """Return the indices of the streams of sound that can be decoded."""
    return [one.index for one in container.streams.audio if one.codec_context is not None]


def read_sound(media: Media, index: int, start: Fraction) -> Sound:
    """Decode one stream of sound.

    Args:
        media: the file.
        index: number of the stream.
        start: time of the first frame of the video in seconds.

    Raises:
        MediaError: it cannot be decoded.
    """
    sums: dict[int, list[float]] = {}
    with translated(media), media.open_container() as container:
        for time, samples in _samples(container, index):
            _add(sums, time - start, samples)
    if not sums:
        return Sound(0, np.zeros(0))
    begin, end = min(sums), max(sums) + 1
    pairs = (sums.get(number, [0.0, 1.0]) for number in range(begin, end))
    return Sound(begin, np.sqrt([total / count for total, count in pairs]))


def _samples(container: InputContainer, index: int) -> Iterator[tuple[Fraction, Loudness]]:
    """Yield times in seconds and samples (n,) of one channel, -1..1."""
    resampler = AudioResampler(format="flt", layout="mono", rate=_RATE)
    time = Fraction(0)
    for frame in _frames(container, index):
        if frame.pts is not None and frame.time_base is not None:
            time = frame.pts * Fraction(frame.time_base)
        for one in resampler.resample(frame):
            samples = np.asarray(one.to_ndarray(), np.float64).reshape(-1)
            yield time, samples
            time += Fraction(len(samples), _RATE)


def _frames(container: InputContainer, index: int) -> Iterator[AudioFrame]:
    """Yield the frames of a stream, without packets that are damaged: these are copied as well."""
    for packet in demux(container, container.streams[index]):
        with suppress(av.error.InvalidDataError):
            for frame in packet.decode():
                if isinstance(frame, AudioFrame):
                    yield frame


def _add(sums: dict[int, list[float]], time: Fraction, samples: Loudness) -> None:
    """Add the squares of some samples to the sums and counts of their windows."""
    size = int(WINDOW * _RATE)
    place = int(time * _RATE)
    while len(samples):
        number = place // size
        taken = size * (number + 1) - place
        part, samples = samples[:taken], samples[taken:]
        total = sums.setdefault(number, [0.0, 0.0])
        total[0] += float(np.square(part).sum())
        total[1] += len(part)
        place += len(part)


def _compare(result: Sound, source: Sound) -> None:
    ends = [one.begin + len(one.loudness) for one in (result, source)]
    begins = [result.begin, source.begin]
    for what, (ours, theirs) in (("begins at", begins), ("ends at", ends)):
        if abs(ours - theirs) > _WINDOWS_OFF:
            raise MediaError(
                f"sound: {what} {float(ours * WINDOW):.1f} s, not {float(theirs * WINDOW):.1f} s "
                "as in its source"
            )
    span = range(min(begins), max(ends))
    one, other = (_spread(sound, span) for sound in (result, source))
    mean = float(other.mean()) if len(other) else 0.0
    if float(np.abs(one - other).sum()) > max(_DIFFERENT * mean, _SILENT) * len(other):
        raise MediaError("sound: it is not that of its source")


def _spread(sound: Sound, span: range) -> Loudness:
    """Return the loudness in all windows of a span; without sound it is 0."""
    out = np.zeros(len(span))
    begin = sound.begin - span.start
    out[begin : begin + len(sound.loudness)] = sound.loudness
    return out
