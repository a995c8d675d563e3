"""The mean quantiser of a region: how strongly it was compressed."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from app.types import Frame
from app.video import open_source
from app.video.frame import DecodedFrame
from app.video.orientation import Orientation

SIZE = (320, 240)


def write_video(path: Path, codec: str, quantiser: int, *, side: int = 0) -> Path:
    """Write a video of noise whose first ``side`` columns are grey."""
    options = {"libx264": {"qp": str(quantiser)}}.get(codec, {})
    noise = np.random.default_rng(1).integers(0, 256, (SIZE[1], SIZE[0], 3)).astype(np.uint8)
    noise[:, :side] = 128
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(25), options=options)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        for shift in range(3):
            picture = np.ascontiguousarray(np.roll(noise, shift, axis=0))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def first(path: Path) -> Frame:
    return next(iter(open_source(path)))


@pytest.mark.parametrize("quantiser", [20, 36])
def test_the_quantiser_is_that_of_the_encoder(tmp_path: Path, quantiser: int) -> None:
    frame = first(write_video(tmp_path / "a.mp4", "libx264", quantiser))
    for region in ((0, 0, *SIZE), (100, 50, 130, 90), (319, 239, 320, 240)):
        found = frame.quantiser(region)
        assert found is not None
        # x264 lowers the quantiser of the first frame, to which others refer, by three
        assert quantiser - 4 <= found <= quantiser


@pytest.mark.parametrize("codec", ["mpeg4", "libx265"])
def test_the_quantiser_of_other_codecs_is_unknown(tmp_path: Path, codec: str) -> None:
    frame = first(write_video(tmp_path / "a.mp4", codec, 30))
    assert frame.quantiser((0, 0, *SIZE)) is None


def test_a_region_outside_the_frame_is_refused(tmp_path: Path) -> None:
    frame = first(write_video(tmp_path / "a.mp4", "libx264", 30))
    with pytest.raises(ValueError, match="not inside"):
        frame.quantiser((300, 0, 330, 10))


@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize("flip", [False, True])
def test_quantisers_of_a_rotated_frame_are_those_of_the_coded_region(
    tmp_path: Path, transpose: bool, flip: bool
) -> None:
    frame = first(write_video(tmp_path / "a.mp4", "libx264", 40, side=160))
    assert isinstance(frame, DecodedFrame)
    orientation = Orientation(transpose=transpose, flip_x=flip)
    turned = replace(frame, orientation=orientation)
    for region in ((0, 0, 60, 100), (150, 100, 220, 200)):
        assert turned.quantiser(region) == frame.quantiser(orientation.coded(region, turned.size))


def test_quantisers_are_left_out_where_nobody_needs_them(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", "libx264", 30)
    frame = next(iter(open_source(path, quantisers=False)))
    assert frame.quantiser((0, 0, *SIZE)) is None
    np.testing.assert_array_equal(frame.rgb(), first(path).rgb())
