"""Frames of AVI and its relatives are shown in the slots of the file, in presentation order."""

import struct
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from app.types import Size
from testmedia.videos import VideoSpec, copy_video, number_of

TICK = Fraction(1, 25)
AVI = VideoSpec(codec="mpeg4", base=TICK)
H264 = replace(AVI, codec="libx264")
B_FRAMES = {"bf": "2"}


def seen(path: Path) -> list[tuple[int, Any]]:
    """Return number and time of each frame in presentation order, decoded by the library alone."""
    with av.open(str(path)) as container:
        frames: list[Any] = list(container.decode(video=0))
    return [
        (number_of(f.to_ndarray(format="rgb24")), f.pts * Fraction(f.time_base)) for f in frames
    ]


def packets_of(path: Path) -> list[bytes]:
    """Return the data of the video packets of a file, in decoding order."""
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


def write_chunks(path: Path, chunks: Sequence[bytes], template: Path) -> Path:
    """Write an AVI file with these chunks, one in each slot."""
    with av.open(str(template)) as source, av.open(str(path), "w") as output:
        stream = output.add_stream_from_template(source.streams.video[0])
        for number, data in enumerate(chunks):
            packet: Any = av.Packet(data)
            packet.pts = packet.dts = number
            packet.time_base, packet.stream = TICK, stream
            packet.is_keyframe = number == 0
            output.mux(packet)
    return path


def placeholder(number: int) -> bytes:
    """Return a VOP without content (ISO/IEC 14496-2, 6.2.5) at a time of 1/25 s."""
    bits = f"0101{number % 25:05b}10" + "01111"
    return b"\0\0\1\xb6" + int(bits, 2).to_bytes(2, "big")


def packed(path: Path) -> Path:
    """Write MPEG-4 in which two frames share a chunk, and a placeholder follows, as XviD does."""
    source = replace(AVI, count=19, options=B_FRAMES).write(path.with_name("plain.avi"))
    plain = packets_of(source)
    label = b"\0\0\1\xb2DivX503b1393p\0"
    at = plain[0].index(b"\0\0\1\xb6")
    chunks = [plain[0][:at] + label + plain[0][at:]]
    for number in range(1, len(plain), 3):
        reference, *between = plain[number : number + 3]
        chunks += [reference + between[0], *between[1:], placeholder(number)]
    assert len(chunks) == len(plain)
    return write_chunks(path, chunks, source)


@pytest.mark.parametrize("suffix", [".avi", ".mkv", ".mp4"])
@pytest.mark.parametrize(
    "video",
    [H264, replace(H264, options=B_FRAMES), AVI, replace(AVI, options=B_FRAMES)],
    ids=["h264", "h264-b", "mpeg4", "mpeg4-b"],
)
def test_every_frame_is_shown_in_its_slot(video: VideoSpec, suffix: str, tmp_path: Path) -> None:
    source = video.write(tmp_path / "a.avi")
    output = copy_video(source, tmp_path / f"b{suffix}")
    assert seen(output) == [(number, number * TICK) for number in range(20)]


@pytest.mark.parametrize("suffix", [".avi", ".mkv"])
def test_packed_b_frames_are_read(suffix: str, tmp_path: Path) -> None:
    output = copy_video(packed(tmp_path / "a.avi"), tmp_path / f"b{suffix}")
    assert seen(output) == [(number, number * TICK) for number in range(19)]


@pytest.mark.parametrize("video", [AVI, replace(H264, options={"bf": "0"})], ids=["mpeg4", "h264"])
@pytest.mark.parametrize("suffix", [".avi", ".mkv"])
def test_empty_slots_stay_empty(video: VideoSpec, suffix: str, tmp_path: Path) -> None:
    slots = [0, 1, 2, 6, 7, 8, 12, 13]
    source = replace(video, pts=slots).write(tmp_path / "a.avi")
    output = copy_video(source, tmp_path / f"b{suffix}")
    assert seen(output) == [(number, slot * TICK) for number, slot in enumerate(slots)]


def test_a_placeholder_leaves_its_slot_empty(tmp_path: Path) -> None:
    source = replace(AVI, count=8, options={"bf": "0"}).write(tmp_path / "plain.avi")
    chunks = packets_of(source)
    chunks.insert(3, placeholder(3))
    output = copy_video(write_chunks(tmp_path / "a.avi", chunks, source), tmp_path / "b.mkv")
    assert seen(output) == [(n, (n + (n >= 3)) * TICK) for n in range(8)]


def test_avi_inside_matroska_has_slots(tmp_path: Path) -> None:
    plain = replace(AVI, options=B_FRAMES).write(tmp_path / "plain.avi")
    path = tmp_path / "a.mkv"
    with av.open(str(plain)) as source, av.open(str(path), "w") as output:
        video = source.streams.video[0]
        stream = output.add_stream_from_template(video)
        stream.codec_context.extradata = _bitmap_header((64, 48), b"XVID")
        for packet in source.demux(video):
            if packet.size:
                packet.pts, packet.stream = packet.dts, stream
                output.mux(packet)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"V_MPEG4/ISO/ASP", b"V_MS/VFW/FOURCC"))
    output_path = copy_video(path, tmp_path / "b.mkv")
    assert seen(output_path) == [(number, number * TICK) for number in range(20)]


def _bitmap_header(size: Size, tag: bytes) -> bytes:
    return struct.pack("<IiiHH4sIiiII", 40, *size, 1, 24, tag, size[0] * size[1] * 3, 0, 0, 0, 0)


@pytest.mark.parametrize(("codec", "format_"), [("mjpeg", "yuvj420p"), ("libx264", "yuvj420p")])
@pytest.mark.parametrize("suffix", [".avi", ".mkv", ".flv"])
def test_full_range_keeps_its_contrast(
    codec: str, format_: str, suffix: str, tmp_path: Path
) -> None:
    """Grey of 60 and 200 in full range is 60 and 200 in RGB, whatever the result stores."""
    with av.open(str(tmp_path / "a.avi"), "w") as output:
        stream: Any = output.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, format_
        stream.codec_context.color_range = 2
        for number in range(10):
            frame = av.VideoFrame(64, 48, format_)
            frame.pts, frame.time_base, frame.color_range = number, TICK, 2
            luma, *chroma = (np.frombuffer(memoryview(p), np.uint8) for p in frame.planes)
            luma[:] = np.repeat([60, 200], len(luma) // 2)
            for plane in chroma:
                plane[:] = 128
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    output_path = copy_video(tmp_path / "a.avi", tmp_path / f"b{suffix}")
    with av.open(str(output_path)) as container:
        pixels = next(container.decode(video=0)).to_ndarray(format="rgb24").astype(int)
    assert np.abs(pixels[:22] - 60).max() <= 2
    assert np.abs(pixels[26:] - 200).max() <= 2
