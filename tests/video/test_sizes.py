"""Where the size of a video changes, frames are fitted into the first, and analysed like that."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from app.errors import MediaTooLarge
from app.types import Size
from app.video import Media, check_output, open_source
from app.video.fitting import fitted_size
from testmedia.videos import VideoSpec, copy_video, picture

MS = Fraction(1, 1000)
VP8 = VideoSpec(codec="libvpx", base=MS, options={"cpu-used": "8"})
VP9 = replace(VP8, codec="libvpx-vp9")
H264 = VideoSpec(base=Fraction(1, 90000), options={"bf": "0"})


def write_sizes(path: Path, video: VideoSpec, sizes: Sequence[Size]) -> Path:
    """Write one stream of ten frames of each size, one after the other."""
    with av.open(str(path), "w") as output:
        target: Any = None
        for number, size in enumerate(sizes):
            step = round(1 / (25 * video.base))
            times = [(10 * number + frame) * step for frame in range(10)]
            part = replace(video, size=size, pts=times)
            with av.open("/dev/null", "w", format="null") as other:
                encoder = part._add_video(other)
                packets = list(part._video(encoder))
                if target is None:
                    target = output.add_stream_from_template(encoder)
                    target.time_base = video.base
            for packet in packets:
                packet.stream = target
                output.mux(packet)
    return path


def expected(number: int, size: Size, target: Size) -> Any:
    """Return the middle of the drawn picture in its fitted size, and where it lies."""
    width, height = fitted_size(size, target)
    left, top = (
        (all_ - own) // 2 // 4 * 4 for all_, own in zip(target, (width, height), strict=True)
    )
    drawn = av.VideoFrame.from_ndarray(picture(number, size), format="rgb24")
    pixels = drawn.reformat(width, height).to_ndarray(format="rgb24").astype(float)
    return pixels, (slice(top, top + height), slice(left, left + width))


@pytest.mark.parametrize(
    ("name", "video"),
    [("a.webm", VP8), ("b.webm", VP9), ("c.ts", H264)],
    ids=["vp8", "vp9", "h264"],
)
@pytest.mark.parametrize(
    "sizes",
    [[(96, 64), (160, 120), (48, 32)], [(128, 96), (64, 96), (128, 96)], [(64, 48), (320, 180)]],
)
def test_frames_of_every_size_are_written_whole(
    name: str, video: VideoSpec, sizes: Sequence[Size], tmp_path: Path
) -> None:
    source = write_sizes(tmp_path / name, video, sizes)
    output = tmp_path / f"out{source.suffix}"
    check_output(source, output)
    copy_video(source, output)
    with av.open(str(output)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(frames) == 10 * len(sizes)
    for index, frame in enumerate(frames):
        assert (frame.shape[1], frame.shape[0]) == sizes[0]
        size = sizes[index // 10]
        pixels, place = expected(index % 10, size, sizes[0])
        assert np.abs(frame[place] - pixels).mean() < 12
        bars = frame.astype(float).copy()
        bars[place] = 0
        assert bars.max() < 40


def test_analysis_sees_the_frames_that_are_written(tmp_path: Path) -> None:
    source = write_sizes(tmp_path / "a.webm", VP8, [(96, 64), (160, 160)])
    output = copy_video(source, tmp_path / "b.webm")
    pairs = zip(open_source(source), open_source(output), strict=True)
    for before, after in pairs:
        assert before.size == after.size == (96, 64)
        assert np.abs(before.rgb().astype(float) - after.rgb()).mean() < 12


def test_later_frames_are_not_larger_than_allowed(tmp_path: Path) -> None:
    source = write_sizes(tmp_path / "a.webm", VP8, [(96, 64), (320, 240)])
    assert len(list(open_source(Media(source, max_pixels=320 * 240)))) == 20
    with pytest.raises(MediaTooLarge, match="320 x 240 pixels"):
        list(open_source(Media(source, max_pixels=320 * 239)))
