"""The contract of every frame sink: videos and images."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from app.errors import MediaError, OutputError
from app.types import Boxes
from app.video import Writing, open_sink, open_source
from testmedia.videos import NO_BOXES, VideoSpec, picture

SIZE = (64, 48)
VIDEOS = {
    ".mp4": VideoSpec(size=SIZE),
    ".mov": VideoSpec(size=SIZE),
    ".mkv": VideoSpec(size=SIZE, base=Fraction(1, 1000)),
    ".webm": VideoSpec(size=SIZE, codec="libvpx-vp9", base=Fraction(1, 1000)),
    ".avi": VideoSpec(size=SIZE, codec="mpeg4", base=Fraction(1, 25)),
    ".ts": VideoSpec(size=SIZE, base=Fraction(1, 90000)),
    ".flv": VideoSpec(size=SIZE, base=Fraction(1, 1000)),
}
IMAGES = {".jpg": "JPEG", ".png": "PNG", ".webp": "WEBP"}
BOX: Boxes = np.array([[16, 8, 32, 24]], np.float32)


@pytest.fixture(params=[*VIDEOS, *IMAGES])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / f"in{request.param}"
    if request.param in VIDEOS:
        return VIDEOS[request.param].write(path)
    Pillow.fromarray(picture(0, SIZE)).save(path, IMAGES[request.param])
    return path


@pytest.fixture
def output(source: Path) -> Path:
    return source.with_stem("out")


def names(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.parent.iterdir())


def test_changes_of_frames_are_written(source: Path, output: Path) -> None:
    with open_sink(source, output) as sink:
        for frame in open_source(source):
            for plane in frame.planes():
                rows = slice(8 >> plane.shift_y, 24 >> plane.shift_y)
                columns = slice(16 >> plane.shift_x, 32 >> plane.shift_x)
                grey = plane.pixels.ndim == 2
                plane.pixels[rows, columns] = plane.black[0] if grey else plane.black
            sink.write(frame, BOX)
        sink.commit()
    pairs = list(zip(open_source(source), open_source(output), strict=True))
    assert pairs
    for before, after in pairs:
        assert after.rgb(region=(18, 10, 30, 22)).max() < 30
        # Below the box, the frame is unchanged.
        was, now = (f.rgb(region=(0, 32, 64, 48)).astype(int) for f in (before, after))
        assert np.abs(was - now).mean() < 12
    assert names(output) == sorted([source.name, output.name])


def test_the_output_does_not_exist_before_the_commit(source: Path, output: Path) -> None:
    with open_sink(source, output) as sink:
        for frame in open_source(source):
            sink.write(frame, NO_BOXES)
        assert not output.exists()
        for name in names(output):
            assert name == source.name or name.startswith("."), "unfinished files are hidden"
    assert names(output) == [source.name]


def test_an_error_leaves_nothing(source: Path, output: Path) -> None:
    def interrupted() -> None:
        with open_sink(source, output) as sink:
            sink.write(next(iter(open_source(source))), NO_BOXES)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert names(output) == [source.name]


def test_a_sink_without_frames_is_an_error(source: Path, output: Path) -> None:
    with open_sink(source, output) as sink, pytest.raises(MediaError, match="no frame"):
        sink.commit()
    assert names(output) == [source.name]


def test_an_existing_output_is_refused(source: Path, output: Path) -> None:
    output.write_text("precious")
    with pytest.raises(OutputError, match="already exists"):
        open_sink(source, output)
    assert output.read_text() == "precious"


def test_the_input_is_never_the_output(source: Path) -> None:
    before = source.read_bytes()
    with pytest.raises(OutputError, match="input itself"):
        open_sink(source, source, Writing(overwrite=True))
    assert source.read_bytes() == before


def test_frames_of_another_source_are_refused(source: Path, output: Path) -> None:
    class Strange:
        index, pts, size = 0, 0, SIZE

    with open_sink(source, output) as sink, pytest.raises(TypeError, match="expected"):
        sink.write(Strange(), NO_BOXES)  # type: ignore[arg-type]
