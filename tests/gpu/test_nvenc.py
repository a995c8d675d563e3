"""Videos that a GPU encodes keep their frames and their times.

Skipped, also by ``make gpu-check``, on a GPU without an encoder, such as A100 and H100, and with a
driver that is too old for it. A GPU whose encoder fails in another way fails these tests.
"""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import pytest

from app.devices import lacks_nvenc, nvenc_fault
from app.video import Writing, open_sink, open_source
from testmedia.videos import NO_BOXES, VideoSpec, numbers, times

VIDEO = VideoSpec(size=(320, 180), count=40)
UNEVEN = [0, 100, 700, 701, 2000, *range(3000, 3000 + 35 * 77, 77)]
VIDEOS = {
    "plain.mp4": VIDEO,
    "uneven.mp4": replace(VIDEO, pts=UNEVEN),
    "uneven.mkv": replace(VIDEO, pts=UNEVEN, base=Fraction(1, 1000)),
    "hevc.mp4": replace(VIDEO, codec="libx265", options={"x265-params": "log-level=none"}),
    "ten.mkv": replace(
        VIDEO, codec="libx265", format="yuv420p10le", base=Fraction(1, 1000),
        options={"x265-params": "log-level=none"},
    ),
    "video.ts": replace(VIDEO, base=Fraction(1, 90000)),
}  # fmt: skip


@pytest.fixture(autouse=True)
def _nvenc(_gpu: None) -> None:
    fault = nvenc_fault()
    if lacks_nvenc(fault):
        pytest.skip(f"no NVENC here: {fault}")


@pytest.mark.parametrize("name", VIDEOS)
def test_frames_and_times_stay(name: str, tmp_path: Path) -> None:
    source = VIDEOS[name].write(tmp_path / name)
    output = tmp_path / f"hidden{source.suffix}"
    with open_sink(source, output, Writing(encoder="nvenc")) as sink:
        for frame in open_source(source):
            sink.write(frame, NO_BOXES)
        sink.commit()
    assert numbers(output) == numbers(source)
    assert times(output) == times(source)
    with av.open(str(source)) as one, av.open(str(output)) as other:
        kinds = [c.streams.video[0].codec_context for c in (one, other)]
        assert kinds[0].codec.canonical_name == kinds[1].codec.canonical_name
