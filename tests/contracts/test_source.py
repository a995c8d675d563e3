"""The contract of every frame source: videos and images, in files and elsewhere."""

from fractions import Fraction
from io import BufferedReader, BytesIO, RawIOBase
from itertools import pairwise
from pathlib import Path
from typing import Literal, cast

import numpy as np
import pytest
from PIL import Image as Pillow

from app.types import FrameSource, PartialSource, Stretch
from app.video import open_source
from testmedia.videos import ROTATED, VideoSpec, picture

SIZE = (64, 48)
VIDEOS = {
    "a.mp4": VideoSpec(size=SIZE),
    "turned.mp4": VideoSpec(size=SIZE, matrix=ROTATED[90]),
    "a.webm": VideoSpec(size=SIZE, codec="libvpx-vp9", base=Fraction(1, 1000)),
    "a.ts": VideoSpec(size=SIZE, base=Fraction(1, 90000)),
    "ten.mkv": VideoSpec(size=SIZE, format="yuv422p10le", base=Fraction(1, 1000)),
}
IMAGES = ("a.jpg", "a.png", "a.webp.img", "gray.png")


def make(name: str, folder: Path) -> Path:
    path = folder / name
    if name in VIDEOS:
        return VIDEOS[name].write(path)
    image = Pillow.fromarray(picture(0, SIZE))
    kind = {"jpg": "JPEG", "png": "PNG"}.get(path.suffix[1:], "WEBP")
    (image.convert("L") if "gray" in name else image).save(path, kind)
    return path


class Elsewhere:
    """A file without a path; implements the contract ``MediaFile``."""

    def __init__(self, content: bytes) -> None:
        self.name = "the input"
        self._content = content

    def exists(self) -> bool:
        return True

    def is_file(self) -> bool:
        return True

    def open(self, mode: Literal["rb"], /) -> BufferedReader:
        return BufferedReader(cast("RawIOBase", BytesIO(self._content)))


@pytest.fixture(params=[*VIDEOS, *IMAGES])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return make(request.param, tmp_path)


@pytest.fixture(params=["path", "elsewhere"])
def source(request: pytest.FixtureRequest, place: Path) -> PartialSource:
    if request.param == "path":
        return open_source(place)
    content = place.read_bytes()
    place.unlink()
    return open_source(Elsewhere(content))


def test_info_agrees_with_the_frames(source: FrameSource) -> None:
    frames = list(source)
    info = source.info
    assert info.size == SIZE
    assert info.frames in {None, len(frames)}
    assert info.is_image == (len(frames) == 1)
    assert isinstance(info.time_base, Fraction)
    assert isinstance(info.rate, Fraction)
    assert info.duration > 0


def test_frames_are_counted_from_zero_and_times_increase(source: FrameSource) -> None:
    frames = [(frame.index, frame.pts) for frame in source]
    assert [index for index, _ in frames] == list(range(len(frames)))
    assert all(a < b for (_, a), (_, b) in pairwise(frames))


def test_each_iteration_begins_again(source: FrameSource) -> None:
    first = next(iter(source)).rgb()
    np.testing.assert_array_equal(next(iter(source)).rgb(), first)


def test_frames_of_a_stretch_keep_their_numbers(source: PartialSource) -> None:
    frames = [(frame.index, frame.pts) for frame in source]
    whole = Stretch(0, len(frames), frames[0][1], frames[-1][1])
    assert [(frame.index, frame.pts) for frame in source.only([whole])] == frames
    assert list(source.only([])) == []


def test_writing_to_a_frame_does_not_affect_the_next_iteration(source: FrameSource) -> None:
    frame = next(iter(source))
    before = frame.rgb()
    for plane in frame.planes():
        plane.pixels[:] = plane.black[0]
    assert not np.array_equal(frame.rgb(), before)
    np.testing.assert_array_equal(next(iter(source)).rgb(), before)


def test_rgb_is_a_writable_copy_of_the_requested_size(source: FrameSource) -> None:
    frame = next(iter(source))
    for size, region in [(None, None), ((32, 20), None), ((20, 10), (4, 6, 44, 26))]:
        pixels = frame.rgb(size, region)
        width, height = size or SIZE
        assert pixels.shape == (height, width, 3)
        assert pixels.dtype == np.uint8
        assert pixels.flags.c_contiguous
        before = frame.rgb(size, region)
        pixels[:] = 0
        np.testing.assert_array_equal(frame.rgb(size, region), before)


def test_regions_are_parts_of_the_whole(source: FrameSource) -> None:
    frame = next(iter(source))
    whole = frame.rgb()
    part, expected = frame.rgb(region=(7, 5, 30, 26)).astype(int), whole[5:26, 7:30]
    assert np.abs(part - expected).mean() < 0.1
    if frame.planes()[0].pixels.dtype == np.uint8:
        np.testing.assert_array_equal(part, expected)
    with pytest.raises(ValueError, match="region"):
        frame.rgb(region=(0, 0, 65, 48))


def test_planes_cover_the_whole_frame(source: FrameSource) -> None:
    for frame in source:
        planes = frame.planes()
        assert planes[0].shift_x == planes[0].shift_y == 0
        for plane in planes:
            height, width = plane.pixels.shape[:2]
            assert width == -(-SIZE[0] // (1 << plane.shift_x))
            assert height == -(-SIZE[1] // (1 << plane.shift_y))
            assert len(plane.black) == (plane.pixels.shape[2] if plane.pixels.ndim == 3 else 1)
            assert plane.pixels.flags.writeable
