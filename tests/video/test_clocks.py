"""Edit lists of several segments and clocks that wrap: frames and sound stay together."""

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from app.video import check_output, open_source
from testmedia.videos import VideoSpec, copy_video, number_of
from tests.video.test_trial import RATE, assert_same_sound, heard, write_with_sound

BASE, TICK = 12800, Fraction(1, 25)
WRAP = 2**33 / 90000
"""Seconds after which the clock of MPEG-TS wraps."""
Segments = Sequence[tuple[Fraction, Fraction]]
SEGMENTS: dict[str, Segments] = {
    "in order": [(Fraction(0), Fraction(8, 25)), (Fraction(20, 25), Fraction(10, 25))],
    "turned": [(Fraction(25, 25), Fraction(15, 25)), (Fraction(0), Fraction(20, 25))],
    "repeated": [(Fraction(0), Fraction(10, 25)), (Fraction(0), Fraction(10, 25))],
}
"""Segments of an edit list: start in the media and duration, in seconds."""


def box(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content) + 8) + name + content


def edited(path: Path, segments: Segments) -> Path:
    """Replace the edit lists of a movie whose index is at its end.

    Durations are in units of the movie, 1 ms. The second track is AAC, whose first 1024 samples are
    not shown.
    """
    data = path.read_bytes()
    movie = data.index(b"moov") - 4
    for track, (rate, early) in enumerate([(BASE, 0), (RATE, 1024)]):
        start = -1
        for _ in range(track + 1):
            start = data.index(b"trak", start + 1)
        entries = b"".join(
            struct.pack(">IiHH", int(length * 1000), int(at * rate) + early, 1, 0)
            for at, length in segments
        )
        new = box(b"edts", box(b"elst", struct.pack(">II", 0, len(segments)) + entries))
        old = data.index(b"edts", start) - 4
        size = struct.unpack(">I", data[old : old + 4])[0]
        data = _resized(data, (movie, start - 4), len(new) - size, old, size, new)
    path.write_bytes(data)
    return path


def _resized(
    data: bytes, parents: Sequence[int], growth: int, at: int, size: int, new: bytes
) -> bytes:
    changed = bytearray(data)
    for parent in parents:
        length = struct.unpack_from(">I", changed, parent)[0]
        struct.pack_into(">I", changed, parent, length + growth)
    changed[at : at + size] = new
    return bytes(changed)


def seen(path: Path) -> list[tuple[int, Fraction]]:
    """Return number and time after the first frame of each frame, decoded by the library alone."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    first = frames[0].pts or 0
    base = Fraction(frames[0].time_base or 1)
    return [
        (
            number_of(np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)),
            ((frame.pts or 0) - first) * base,
        )
        for frame in frames
    ]


@pytest.mark.parametrize("suffix", [".mp4", ".ts"])
@pytest.mark.parametrize("name", SEGMENTS)
def test_segments_of_an_edit_list_keep_their_sound(name: str, suffix: str, tmp_path: Path) -> None:
    segments = SEGMENTS[name]
    video = VideoSpec(count=50, options={"bf": "0"}, base=Fraction(1, BASE))
    source = write_with_sound(tmp_path / "a.mp4", "aac", video)
    edited(source, segments)
    assert check_output(source, tmp_path / f"b{suffix}") == []
    output = copy_video(source, tmp_path / f"b{suffix}")
    shown = [
        int(at / TICK) + frame for at, length in segments for frame in range(int(length / TICK))
    ]
    assert seen(output) == [(number, index * TICK) for index, number in enumerate(shown)]
    result, expected, begin = heard(output), heard(source), 0
    assert abs(len(result) - len(shown) * TICK * RATE) < 1024
    for _, length in segments:
        # The sound of a packet depends on the one before it, which is another one at a cut.
        inner = slice(begin + 2048, begin + int(length * RATE) - 2048)
        assert np.corrcoef(result[inner], expected[inner])[0, 1] > 0.99
        begin += int(length * RATE)


@pytest.mark.parametrize("suffix", [".ts", ".mp4", ".mkv", ".flv"])
@pytest.mark.parametrize("early", [0.3, 1.0])
def test_a_clock_that_wraps_is_continued(early: float, suffix: str, tmp_path: Path) -> None:
    offset = {"output_ts_offset": str(WRAP - early), "mpegts_copyts": "1"}
    video = VideoSpec(count=50, base=Fraction(1, 90000), sounds=[("aac", "deu")])
    video.muxer_options = offset
    source = video.write(tmp_path / "a.ts")
    assert open_source(source).info.duration < 3
    assert next(iter(open_source(source))).pts < 0
    output = copy_video(source, tmp_path / f"b{suffix}")
    tolerance = Fraction(1, 1000) if suffix in {".mkv", ".flv"} else 0
    for index, (number, time) in enumerate(seen(output)):
        assert number == index
        assert abs(time - index * TICK) <= tolerance
    assert_same_sound(output, source)
    with av.open(str(output)) as container:
        assert 0 <= (container.start_time or 0) < 2_000_000


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_the_clock_of_a_broadcast_begins_at_zero(suffix: str, tmp_path: Path) -> None:
    video = VideoSpec(count=50, base=Fraction(1, 90000), sounds=[("aac", "deu")])
    video.muxer_options = {"output_ts_offset": "40000"}
    source = video.write(tmp_path / "a.ts")
    output = copy_video(source, tmp_path / f"b{suffix}")
    with av.open(str(output)) as container:
        assert 0 <= (container.start_time or 0) < 100_000
        assert 1_900_000 < (container.duration or 0) < 2_200_000
    assert [number for number, _ in seen(output)] == list(range(50))
    assert_same_sound(output, source)
    same = copy_video(source, tmp_path / "b.ts")
    with av.open(str(same)) as container:
        assert 39_999 < (container.start_time or 0) / av.time_base < 40_002
