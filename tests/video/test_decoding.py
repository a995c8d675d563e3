"""Every packet that is decoded must make a frame."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from app.errors import MediaError
from app.video.decoding import DecodeCheck
from testmedia.videos import VideoSpec


@pytest.fixture(scope="module")
def coded(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Any], list[Any]]:
    """Packets and frames of a video with B-frames."""
    video = VideoSpec(base=Fraction(1, 1000), options={"bf": "2"})
    path = video.write(tmp_path_factory.mktemp("coded") / "a.mkv")
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        frames = [frame for packet in packets for frame in packet.decode()]
    return packets, frames[:15]


def account(codec: str, packets: list[Any], frames: list[Any]) -> None:
    check = DecodeCheck(Path("a.mkv"), codec)
    for packet in packets:
        check.add_packet(packet, packet.pts)
    for frame in frames:
        check.add_frame(frame, frame.pts)
    check.finish()


def test_a_complete_video_passes(coded: tuple[list[Any], list[Any]]) -> None:
    packets, frames = coded
    shown = {frame.pts for frame in frames}
    account("h264", [p for p in packets if p.pts in shown], frames)


@pytest.mark.parametrize("lost", [3, 14])
def test_a_lost_frame_is_detected(lost: int, coded: tuple[list[Any], list[Any]]) -> None:
    packets, frames = coded
    shown = {frame.pts for frame in frames}
    with pytest.raises(MediaError, match=f"the frame at {frames[lost].pts} cannot"):
        account("h264", [p for p in packets if p.pts in shown], frames[:lost] + frames[lost + 1 :])


def test_leading_frames_may_be_missing_but_not_a_key_frame(
    coded: tuple[list[Any], list[Any]],
) -> None:
    packets, frames = coded
    shown = {frame.pts for frame in frames}
    kept = [p for p in packets if p.pts in shown]
    account("h264", [p for p in kept if not p.is_keyframe], frames[3:])
    with pytest.raises(MediaError, match="the frame at 0 cannot"):
        account("h264", kept, frames[3:])


def test_times_must_increase(coded: tuple[list[Any], list[Any]]) -> None:
    packets, frames = coded
    with pytest.raises(MediaError, match="do not increase"):
        account("mpeg4", packets, [frames[1], frames[0]])


def test_decoders_that_may_skip_frames_are_not_checked(
    coded: tuple[list[Any], list[Any]],
) -> None:
    packets, frames = coded
    account("mpeg4", packets, frames[::2])
