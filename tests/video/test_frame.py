"""Frames: colours, regions, luma, and writable planes."""

from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.types import Region
from app.video import open_source
from app.video.frame import Converters, DecodedFrame
from app.video.orientation import Orientation
from app.video.pixel_formats import layout, planar_format
from testmedia.videos import MIRRORED, ROTATED, VideoSpec, number_of, picture

SIDES = (98, 74)
FORMATS = [
    *("yuv420p", "yuv422p", "yuv444p", "yuv411p", "yuv410p", "yuv440p", "yuvj420p", "yuva420p"),
    *("nv12", "nv16", "nv24", "p010le", "p210le", "yuv420p10le", "yuv422p12le", "yuv444p16le"),
    *("gray", "gray10le", "gray16le", "gbrp", "gbrp10le", "rgb24"),
]
MATRICES = {"none": None, "mirrored": MIRRORED, **{str(k): v for k, v in ROTATED.items()}}


def frame_of(
    pixels: NDArray[np.uint8],
    format_: str = "yuv420p",
    matrix: tuple[int, ...] | None = None,
    **tags: int,
) -> DecodedFrame:
    coded = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(
        format=format_,
        dst_colorspace=tags.get("colorspace", 5),
        dst_color_range=tags.get("color_range", 1),
    )
    for name, value in tags.items():
        setattr(coded, name, value)
    return DecodedFrame(0, 0, coded, Orientation.from_matrix(matrix), Converters())


def noise(size: tuple[int, int] = SIDES) -> NDArray[np.uint8]:
    return np.random.default_rng(3).integers(0, 256, (size[1], size[0], 3), np.uint8)


@st.composite
def regions(draw: st.DrawFn, size: tuple[int, int]) -> Region:
    x1, y1 = draw(st.integers(0, size[0] - 1)), draw(st.integers(0, size[1] - 1))
    return x1, y1, draw(st.integers(x1 + 1, size[0])), draw(st.integers(y1 + 1, size[1]))


@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("format_", FORMATS)
def test_a_region_equals_that_part_of_the_whole(format_: str, matrix: str) -> None:
    frame = frame_of(noise((96, 72)), format_, MATRICES[matrix])
    whole = frame.rgb()

    @given(regions(frame.size))
    @settings(max_examples=8, deadline=None)
    def check(region: Region) -> None:
        x1, y1, x2, y2 = region
        np.testing.assert_array_equal(frame.rgb(region=region), whole[y1:y2, x1:x2])

    check()


@pytest.mark.parametrize("matrix", MATRICES)
def test_scaling_a_region_keeps_its_centre(matrix: str) -> None:
    """A white square in a black margin stays in the centre."""
    frame_size = (80, 64) if "0" in matrix and matrix != "180" else (64, 80)
    pixels = np.zeros((frame_size[1], frame_size[0], 3), np.uint8)
    pixels[30:40, 10:20] = 255
    frame = frame_of(pixels, matrix=MATRICES[matrix])
    whole = frame.rgb()
    rows, columns = np.nonzero(whole[:, :, 0] > 128)
    x1, y1 = int(columns.min()) - 5, int(rows.min()) - 5
    small = frame.rgb((40, 60), (x1, y1, x1 + 20, y1 + 20))
    assert small.shape == (60, 40, 3)
    rows, columns = np.nonzero(small[:, :, 0] > 128)
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == pytest.approx(
        (10, 29, 15, 44), abs=2
    )


@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("format_", FORMATS)
def test_luma_is_the_mean_of_the_region(format_: str, matrix: str) -> None:
    """The luma of a smooth grey image is the mean of the painted values, from 0 or 16 on."""
    noise = np.random.default_rng(5).integers(0, 256, (72, 96), np.uint8)
    greys = 4 * cv2.GaussianBlur(noise, (0, 0), 4).astype(np.float32) - 384
    painted = np.clip(greys, 0, 255).astype(np.uint8)
    frame = frame_of(painted[..., None].repeat(3, axis=2), format_, MATRICES[matrix])
    kinds = layout(format_)
    upright = frame.orientation.upright(painted)
    means = upright[8:56, 16:64].reshape(12, 4, 16, 3).mean(axis=(1, 3))
    assert means.std() > 15
    limited = not kinds.is_gray and not kinds.is_full_range(frame.picture.color_range)
    expected = means * 219 / 255 + 16 if limited else means
    light = frame.luma((16, 12), (16, 8, 64, 56))
    assert light.dtype == np.float32
    np.testing.assert_allclose(light, expected, atol=1.5)


def test_luma_of_a_region_outside_the_frame_is_refused() -> None:
    with pytest.raises(ValueError, match="region"):
        frame_of(noise()).luma((20, 20), (5, 5, 4, 9))


@pytest.mark.parametrize("region", [(0, 0, 0, 5), (-1, 0, 5, 5), (0, 0, 99, 5), (5, 5, 4, 9)])
def test_a_region_outside_the_frame_is_refused(region: Region) -> None:
    with pytest.raises(ValueError, match="region"):
        frame_of(noise()).rgb(region=region)


@pytest.mark.parametrize(
    ("space", "kr", "kb"), [(1, 0.2126, 0.0722), (6, 0.299, 0.114), (9, 0.2627, 0.0593)]
)
@pytest.mark.parametrize("full", [1, 2])
def test_colours_follow_matrix_and_range(space: int, kr: float, kb: float, full: int) -> None:
    coded = av.VideoFrame(64, 64, "yuv420p")
    for plane, value in zip(coded.planes, (120, 90, 180), strict=True):
        plane.update(bytes([value]) * plane.buffer_size)
    coded.colorspace, coded.color_range = space, full
    luma, blue, red = (120 - 16) / 219, (90 - 128) / 224, (180 - 128) / 224
    if full == 2:
        luma, blue, red = 120 / 255, (90 - 128) / 255, (180 - 128) / 255
    r, b = luma + 2 * (1 - kr) * red, luma + 2 * (1 - kb) * blue
    g = (luma - kr * r - kb * b) / (1 - kr - kb)
    frame = DecodedFrame(0, 0, coded, Orientation(), Converters())
    assert frame.rgb()[32, 32].tolist() == pytest.approx([r * 255, g * 255, b * 255], abs=2)


def test_an_unspecified_colour_matrix_depends_on_the_number_of_lines() -> None:
    small, large = (frame_of(noise((1280, lines)), colorspace=2) for lines in (576, 720))
    assert (small.matrix, large.matrix) == (5, 1)


def test_threads_that_read_a_frame_at_the_same_time_do_not_disturb_each_other() -> None:
    pixels = noise((1280, 720))
    tags: dict[str, Any] = {"colorspace": 2, "color_range": 0, "color_trc": 8, "color_primaries": 5}
    views = [((64, 36), None), ((320, 180), None), ((640, 360), None), ((80, 60), (8, 8, 400, 300))]
    alone = frame_of(pixels, **tags)
    expected = [alone.rgb(*view) for view in views]
    with ThreadPoolExecutor(len(views)) as threads:
        for _ in range(100):
            frame = frame_of(pixels, **tags)
            for got, right in zip(
                threads.map(lambda view, one=frame: one.rgb(*view), views), expected, strict=True
            ):
                np.testing.assert_array_equal(got, right)
            assert {name: int(getattr(frame.picture, name)) for name in tags} == tags


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("matrix", MATRICES)
def test_planes_are_upright_views_and_their_black_is_black(format_: str, matrix: str) -> None:
    frame = frame_of(noise(), format_, MATRICES[matrix])
    width, height = frame.size
    before = frame.rgb()
    for plane in frame.planes():
        shape = (-(-height // (1 << plane.shift_y)), -(-width // (1 << plane.shift_x)))
        assert plane.pixels.shape[:2] == shape
        columns, rows = (
            slice(16 >> plane.shift_x, 32 >> plane.shift_x),
            slice(8 >> plane.shift_y, 24 >> plane.shift_y),
        )
        black = plane.black if plane.pixels.ndim == 3 else plane.black[0]
        plane.pixels[rows, columns] = black
    after = frame.rgb()
    # Conversion to RGB blends chroma samples with their neighbours.
    assert after[14:18, 22:26].max() <= 3
    changed = (before != after).any(axis=2)
    changed[:36, 4:44] = False
    assert not changed.any()


@pytest.mark.parametrize("format_", FORMATS)
def test_black_equals_the_samples_of_a_black_frame(format_: str) -> None:
    frame = frame_of(np.zeros((64, 64, 3), np.uint8), format_, color_range=1)
    for plane in frame.planes():
        values = plane.pixels.reshape(-1, len(plane.black))
        assert (
            np.abs(values.astype(int) - plane.black).max()
            <= 1 << (8 if plane.pixels.dtype == np.uint16 else 0) // 4
        )


def test_full_range_black_is_zero() -> None:
    assert frame_of(noise(), color_range=2).planes()[0].black == (0,)
    assert frame_of(noise(), color_range=2).planes()[1].black == (128,)


def test_writing_to_a_frame_does_not_change_frames_of_the_decoder(tmp_path: Path) -> None:
    """Frames that are predicted from a frame that was painted black are not affected."""
    video = VideoSpec(options={"bf": "0", "refs": "4"})
    for frame in open_source(video.write(tmp_path / "a.mp4"), threads=1):
        assert number_of(frame.rgb()) == frame.index
        for plane in frame.planes():
            plane.pixels[:] = plane.black[0]
        assert frame.rgb().max() <= 3


def test_alpha_is_left_out() -> None:
    assert len(frame_of(noise(), "yuva420p").planes()) == 3
    assert len(frame_of(noise(), "gbrap").planes()) == 3


def test_a_bottom_up_frame_is_upright(tmp_path: Path) -> None:
    video = VideoSpec(codec="rawvideo", format="bgr24", base=Fraction(1, 25))
    frame = next(iter(open_source(video.write(tmp_path / "a.avi"))))
    np.testing.assert_array_equal(frame.rgb(), picture(0, video.size))


@pytest.mark.parametrize("name", sorted(av.video.frame.supported_np_pix_fmts))
def test_every_pixel_format_has_a_planar_one_of_the_same_depth(name: str) -> None:
    target = planar_format(name)
    if name.startswith("bayer") or name in {"rgb8", "bgr8"}:
        return
    assert target is not None
    bits = max(part.bits for part in av.VideoFormat(name).components)
    assert layout(target).depth >= min(bits, 16)
