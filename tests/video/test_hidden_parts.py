"""Parts of coded pictures that players do not show never reach a result by copying."""

import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.codec.context import Flags2

from app.video import Media, Uncopyable
from app.video.smart.gops import find_gops
from testmedia.videos import VideoSpec
from tests.video.smart_videos import frames_hidden, render

SIZE = (64, 96)
COUNT = 24
HIDDEN = frames_hidden(COUNT, (14, 15))


def write_video(path: Path, params: str = "", size: tuple[int, int] = SIZE) -> Path:
    """A video whose upper half is white with black stripes, and whose lower half is gray."""
    pixels = np.full((size[1], size[0], 3), 90, np.uint8)
    pixels[: size[1] // 2] = 235
    pixels[: size[1] // 2, ::8] = pixels[: size[1] // 2, 1::8] = 16
    with av.open(str(path), "w") as output:
        options = {"g": "12", "x264-params": params}
        stream = output.add_stream("libx264", rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.time_base = Fraction(1, 12800)
        for number in range(COUNT):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = number * 512, Fraction(1, 12800)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def brightest_without_cropping(path: Path) -> tuple[int, int]:
    """Return the largest luma and the number of lines of all frames, cropped parts included."""
    light, lines = 0, 0
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stream.codec_context.flags2 |= Flags2.ignore_crop
        for frame in container.decode(stream):
            pixels = frame.to_ndarray(format="gray")
            light, lines = max(light, int(pixels.max())), max(lines, pixels.shape[0])
    return light, lines


def test_what_cropping_hides_is_not_copied(tmp_path: Path) -> None:
    source = write_video(tmp_path / "in.mp4", "crop-rect=0,48,0,0")
    assert brightest_without_cropping(source)[0] > 200
    with av.open(str(source)) as container:
        shown = next(container.decode(video=0)).to_ndarray(format="gray")
    assert shown.shape[0] == 48
    assert shown.max() < 120, "the player shows nothing of it"
    output = tmp_path / "out.mp4"
    assert render(source, output, HIDDEN) is None, "every frame is encoded"
    light, _ = brightest_without_cropping(output)
    assert light < 120


@pytest.mark.parametrize(
    "crop", ["crop-rect=0,48,0,0", "crop-rect=0,0,0,16", "crop-rect=0,0,16,0", "crop-rect=2,0,0,0"]
)
def test_cropping_beyond_padding_is_not_copied(tmp_path: Path, crop: str) -> None:
    source = write_video(tmp_path / "in.mp4", crop)
    with pytest.raises(Uncopyable, match="cropped"):
        find_gops(Media(source))


@pytest.mark.parametrize("size", [(64, 96), (70, 90), (66, 82)])
def test_the_padding_of_macroblocks_does_not_prevent_copying(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    source = write_video(tmp_path / "in.mp4", size=size)
    assert render(source, tmp_path / "out.mp4", HIDDEN) is not None


def box_at(data: bytes, path: list[bytes], start: int, end: int) -> list[int]:
    """Return the positions of the nested boxes of a path in an MP4 file."""
    heads = {b"stsd": 16, b"avc1": 86}
    while start < end:
        size, kind = struct.unpack(">I4s", data[start : start + 8])
        if kind == path[0]:
            inside = start + heads.get(kind, 8)
            rest = box_at(data, path[1:], inside, start + size) if path[1:] else []
            return [start, *rest]
        start += size
    raise AssertionError(f"no box {path[0]!r}")


def with_clean_aperture(source: Path, output: Path, height: int) -> Path:
    """Copy an MP4 file, whose index comes last, with a box that shows only ``height`` lines."""
    data = bytearray(source.read_bytes())
    names = [b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"avc1"]
    places = box_at(bytes(data), names, 0, len(data))
    numbers = struct.pack(">8I", SIZE[0], 1, height, 1, 0, 1, SIZE[1] // 2 - height // 2, 1)
    box = struct.pack(">I4s", 40, b"clap") + numbers
    last = places[-1] + struct.unpack(">I", data[places[-1] : places[-1] + 4])[0]
    for place in places:
        size = struct.unpack(">I", data[place : place + 4])[0]
        data[place : place + 4] = struct.pack(">I", size + len(box))
    data[last:last] = box
    output.write_bytes(data)
    return output


def test_frames_that_the_container_crops_are_not_copied(tmp_path: Path) -> None:
    plain = write_video(tmp_path / "plain.mp4")
    find_gops(Media(plain))
    source = with_clean_aperture(plain, tmp_path / "in.mp4", 48)
    with pytest.raises(Uncopyable, match="container crops"):
        find_gops(Media(source))


def test_a_header_with_another_profile_is_not_copied(tmp_path: Path) -> None:
    """Such files exist, and decoders believe the parameter set."""
    source = VideoSpec(count=COUNT, options={"g": "12"}).write(tmp_path / "in.mp4")
    data = source.read_bytes()
    at = data.index(b"avcC") + 5
    for profile in (66, 110, 244):
        source.write_bytes(data[:at] + bytes([profile]) + data[at + 1 :])
        with pytest.raises(Uncopyable, match="profile"):
            find_gops(Media(source))
        output = tmp_path / f"{profile}.mp4"
        assert render(source, output, HIDDEN) is None
        assert output.exists()


def test_a_real_video_with_a_face_in_the_cropped_part_is_not_copied(shared: Path) -> None:
    with pytest.raises(Uncopyable, match="cropped"):
        find_gops(Media(shared / "data" / "faults" / "cropped.mp4"))
