"""The pixel aspect of each frame: of the container, of the stream, and of images."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.packet import Packet
from PIL import Image as Pillow

from app.video import open_source
from testmedia.videos import ROTATED, VideoSpec

WIDE, WIDER = Fraction(4, 3), Fraction(3)
SIZE = (64, 48)
BASE = Fraction(1, 25)


def encoded(
    aspect: Fraction, start: int, frames: int, *, reordered: bool
) -> "Iterator[Packet[Any]]":
    """Encode frames from a number on."""
    encoder = av.VideoCodecContext.create("libx264", "w")
    encoder.width, encoder.height = SIZE
    encoder.pix_fmt, encoder.framerate, encoder.time_base = "yuv420p", Fraction(25), BASE
    encoder.sample_aspect_ratio = aspect
    encoder.options = {"g": "6", "bf": "2" if reordered else "0"}
    for number in range(frames):
        pixels = np.full((SIZE[1], SIZE[0], 3), 9 * number, np.uint8)
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
        frame.pts, frame.time_base = start + number, BASE
        yield from encoder.encode(frame)
    yield from encoder.encode(None)


def write(path: Path, *parts: tuple[Fraction, int, int], reordered: bool = True) -> None:
    """Write one stream of parts: aspect, number of the first frame, and number of frames."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25)
        video.width, video.height = SIZE
        video.pix_fmt = "yuv420p"
        video.codec_context.sample_aspect_ratio = parts[0][0]
        for part in parts:
            for packet in encoded(*part, reordered=reordered):
                packet.stream = video
                container.mux(packet)


def aspects(path: Path, threads: int = 2) -> list[Fraction]:
    return [frame.pixel_aspect for frame in open_source(path, threads=threads)]


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_the_aspect_of_a_video_is_that_of_its_frames(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    write(path, (WIDE, 0, 5))
    assert aspects(path) == [WIDE] * 5


@pytest.mark.parametrize(("aspect", "used"), [(Fraction(1), 1), (Fraction(1, 200), 1)])
def test_square_and_absurd_pixels_count_as_square(
    aspect: Fraction, used: int, tmp_path: Path
) -> None:
    write(tmp_path / "a.mkv", (aspect, 0, 3))
    assert aspects(tmp_path / "a.mkv") == [used] * 3


@pytest.mark.parametrize("reordered", [True, False])
@pytest.mark.parametrize("threads", [1, 2, 8])
def test_a_change_in_the_stream_is_exact(threads: int, reordered: bool, tmp_path: Path) -> None:
    path = tmp_path / "a.ts"
    parts = (WIDE, 0, 20), (WIDER, 20, 20), (Fraction(1), 40, 20)
    write(path, *parts, reordered=reordered)
    assert aspects(path, threads) == [WIDE] * 20 + [WIDER] * 20 + [Fraction(1)] * 20


def test_the_container_overrules_the_stream(tmp_path: Path) -> None:
    write(tmp_path / "a.mp4", (WIDE, 0, 5))
    with av.open(str(tmp_path / "a.mp4")) as source, av.open(str(tmp_path / "b.mp4"), "w") as copy:
        stream = copy.add_stream_from_template(source.streams.video[0])
        stream.codec_context.sample_aspect_ratio = WIDER
        stream.sample_aspect_ratio = WIDER
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                copy.mux(packet)
    assert aspects(tmp_path / "b.mp4") == [WIDER] * 5


def test_a_quarter_turn_swaps_the_sides_of_pixels(tmp_path: Path) -> None:
    path = VideoSpec(size=SIZE, matrix=ROTATED[90]).write(tmp_path / "a.mp4")
    (frame, *_) = open_source(path)
    turned = type(frame)(0, 0, frame.picture, frame.orientation, frame.converters, WIDER)  # type: ignore[attr-defined, call-arg]
    assert turned.pixel_aspect == 1 / WIDER


@pytest.mark.parametrize("suffix", ["jpg", "png"])
@pytest.mark.parametrize(("dpi", "aspect"), [((72, 144), 2), ((300, 100), 1 / 3), (None, 1)])
def test_the_aspect_of_an_image_is_that_of_its_resolution(
    suffix: str, dpi: tuple[int, int] | None, aspect: float, tmp_path: Path
) -> None:
    path = tmp_path / f"a.{suffix}"
    Pillow.new("RGB", SIZE).save(path, dpi=dpi or (72, 72))
    (found,) = aspects(path)
    assert float(found) == pytest.approx(aspect, rel=1e-3)


def test_a_turned_image_has_turned_pixels(tmp_path: Path) -> None:
    exif = Pillow.Exif()
    exif[0x0112] = 6
    Pillow.new("RGB", SIZE).save(tmp_path / "a.jpg", dpi=(72, 144), exif=exif)
    assert aspects(tmp_path / "a.jpg") == [Fraction(1, 2)]
