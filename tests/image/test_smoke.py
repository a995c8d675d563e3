"""The smoke test: it must fail if a face is not hidden."""

import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

import av
import pytest

from scripts import smoke

Box = tuple[float, float, float, float]


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("smoke")
    subprocess.run([sys.executable, "-m", "testmedia.smoke_media", folder], check=True)
    return folder


@pytest.fixture(autouse=True)
def here(media: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smoke, "HERE", media)


def painted(media: Path, places: Collection[Box], frames: int = 30) -> bytes:
    """Return the video with grey boxes, and without its last frames."""
    target = media / "painted.mp4"
    with av.open(str(media / "clip.mp4"), "r") as source, av.open(str(target), "w") as out:
        video = out.add_stream("libx264", rate=30)
        video.width, video.height, video.pix_fmt = 640, 360, "yuv420p"
        video.options = {"crf": "18", "preset": "veryfast"}
        sound = out.add_stream_from_template(source.streams.audio[0])
        for number, frame in enumerate(source.decode(video=0)):
            picture = frame.to_ndarray(format="rgb24")
            for x1, y1, x2, y2 in places:
                picture[int(y1) : int(y2), int(x1) : int(x2)] = 128
            if number < frames:
                out.mux(video.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(video.encode(None))
        source.seek(0)
        for packet in source.demux(audio=0):
            if packet.dts is not None:
                packet.stream = sound
                out.mux(packet)
    return target.read_bytes()


OBAMA: Box = (90, 80, 280, 240)
BIDEN: Box = (380, 90, 560, 250)


def test_a_correct_video_passes(media: Path) -> None:
    smoke.hidden(painted(media, [OBAMA]), {"obama"})
    smoke.hidden(painted(media, [OBAMA, BIDEN]), {"obama", "biden"})


@pytest.mark.parametrize(
    ("places", "people", "fault"),
    [
        ([], {"obama"}, "frame 0: obama: "),
        ([BIDEN], {"obama"}, "frame 0: obama: "),
        ([OBAMA, BIDEN], {"obama"}, "frame 0: biden: "),
        ([OBAMA], {"obama", "biden"}, "frame 0: biden: "),
    ],
)
def test_wrongly_hidden_people_are_found(
    media: Path, places: list[Box], people: set[str], fault: str
) -> None:
    with pytest.raises(smoke.Fault, match=fault):
        smoke.hidden(painted(media, places), people)


def test_missing_frames_are_found(media: Path) -> None:
    with pytest.raises(smoke.Fault, match="29 frames instead of 30"):
        smoke.hidden(painted(media, [OBAMA], frames=29), {"obama"})


@pytest.mark.parametrize(
    ("address", "port", "state", "expected"),
    [
        ("00000000", 8080, "0A", True),
        ("0100007F", 8080, "0A", False),
        ("00000000", 8081, "0A", False),
        ("00000000", 8080, "01", False),
    ],
)
def test_a_service_on_the_loopback_is_found(
    tmp_path: Path, address: str, port: int, state: str, *, expected: bool
) -> None:
    (tmp_path / "proc" / "net").mkdir(parents=True)
    head = "  sl  local_address rem_address   st tx_queue rx_queue\n"
    row = f"   0: {address}:{port:04X} 00000000:0000 {state} 00000000:00000000\n"
    (tmp_path / "proc" / "net" / "tcp").write_text(head + row)
    assert smoke.reachable(8080, tmp_path) is expected


def processes(root: Path, *rows: tuple[int, int, int]) -> Path:
    """Write the kernel's files about processes: id, parent, and oom_score_adj."""
    for process, parent, score in rows:
        folder = root / str(process)
        folder.mkdir()
        (folder / "stat").write_text(f"{process} (a b) c) S {parent} 1 1 0 -1\n")
        (folder / "oom_score_adj").write_text(f"{score}\n")
    return root


def test_the_child_of_the_service_is_found(tmp_path: Path) -> None:
    # Process 9 belongs to another program.
    root = processes(tmp_path, (9, 1, 1000), (5, 1, 0), (7, 6, 1000), (6, 5, 0))
    assert smoke.media_child(5, root) == 7


@pytest.mark.parametrize(("score", "count"), [(0, 0), (1000, 2)])
def test_a_service_without_one_child_that_is_ended_first_fails(
    tmp_path: Path, score: int, count: int
) -> None:
    root = processes(tmp_path, (5, 1, 0), (6, 5, score), (7, 5, score))
    with pytest.raises(smoke.Fault, match=f"{count} processes of the service"):
        smoke.media_child(5, root)
