"""An input that changes while it is used gives no result, in whatever way it is changed."""

import hashlib
import mmap
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from PIL import Image as Pillow

from app.config import Settings
from app.errors import MediaError
from app.pieces import propose, split
from app.pipeline import FaceBlur
from app.video import Media, open_source, pinned
from app.video.pinned import PinnedFile
from testmedia.videos import VideoSpec
from tests.pipeline.test_session import NoFace, OneFace, parts

COUNT = 50
Attack = Callable[[Path, bytes], None]


@cache
def film_data(count: int) -> bytes:
    """The content of a video of several blocks; all its frames depend on ``count``."""
    options = {"g": "5", "crf": "16"}
    spec = VideoSpec(size=(320, 240), count=count, noise=60 + count, options=options)
    with TemporaryDirectory() as folder:
        data = spec.write(Path(folder, "a.mp4")).read_bytes()
    assert len(data) > 4 * pinned._BLOCK
    return data


def film(path: Path, count: int = COUNT) -> Path:
    """Write a video of ``count`` frames."""
    path.write_bytes(film_data(count))
    return path


def overwrite(path: Path, other: bytes) -> None:
    with path.open("r+b") as file:
        file.write(other)


def overwrite_and_restore_times(path: Path, other: bytes) -> None:
    before = path.stat()
    overwrite(path, other)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def write_through_a_map(path: Path, other: bytes) -> None:
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        mapped[: len(other)] = other


def rename_another_over_it(path: Path, other: bytes) -> None:
    aside = path.with_name("aside")
    aside.write_bytes(other)
    aside.replace(path)


def overwrite_for_a_moment(path: Path, other: bytes) -> None:
    """The content is the right one again before anything is read."""
    before, status = path.read_bytes(), path.stat()
    overwrite(path, other)
    overwrite(path, before)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def append(path: Path, other: bytes) -> None:
    with path.open("ab") as file:
        file.write(other[:100])


ATTACKS: list[Attack] = [
    overwrite,
    overwrite_and_restore_times,
    write_through_a_map,
    rename_another_over_it,
    overwrite_for_a_moment,
    append,
]


def attacked(
    source: Path, output: Path, stage: str, attack: Callable[[], None], frame: int = 20
) -> None:
    """Blur a file while it is attacked at a frame of a pass."""

    def progress(name: str, done: int, _of: int | None) -> None:
        if (name, done) == (stage, frame):
            attack()

    settings = Settings(blur="everyone", effect="solid")
    FaceBlur(settings, parts=parts(OneFace())).blur(source, output, progress)


@pytest.fixture
def other() -> bytes:
    """The bytes of another film, no longer than the first."""
    return film_data(80)[: len(film_data(COUNT))]


@pytest.mark.parametrize("stage", ["analyse", "render"])
@pytest.mark.parametrize("attack", ATTACKS)
def test_nothing_is_returned_for_an_input_that_changed(
    tmp_path: Path, attack: Attack, stage: str, other: bytes
) -> None:
    source, output = film(tmp_path / "in.mp4"), tmp_path / "out.mp4"
    with pytest.raises(MediaError) as caught:
        attacked(source, output, stage, lambda: attack(source, other))
    assert caught.value.exit_code == 2
    assert {path.name for path in tmp_path.iterdir()} <= {"in.mp4"}


@pytest.mark.parametrize("stage", ["analyse", "render"])
def test_nothing_is_returned_for_a_link_that_points_elsewhere(tmp_path: Path, stage: str) -> None:
    first, second = film(tmp_path / "a.mp4"), film(tmp_path / "b.mp4", 80)
    link, output = tmp_path / "in.mp4", tmp_path / "out.mp4"
    link.symlink_to(first)

    def attack() -> None:
        link.unlink()
        link.symlink_to(second)

    with pytest.raises(MediaError, match="changed"):
        attacked(link, output, stage, attack)
    assert not output.exists()


def test_an_untouched_input_is_rendered(tmp_path: Path) -> None:
    source, output = film(tmp_path / "in.mp4"), tmp_path / "out.mp4"
    attacked(source, output, "render", lambda: None)
    assert output.exists()


@pytest.mark.parametrize("stage", ["analyse", "render"])
@pytest.mark.parametrize("attack", [overwrite, write_through_a_map])
def test_bytes_are_compared_where_times_say_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attack: Attack, stage: str, other: bytes
) -> None:
    """Some file systems change times late, or not at all."""
    monkeypatch.setattr(pinned, "_identity", lambda _status: ())
    source, output = film(tmp_path / "in.mp4"), tmp_path / "out.mp4"
    with pytest.raises(MediaError):
        attacked(source, output, stage, lambda: attack(source, other), frame=1)
    assert not output.exists()


def test_a_replaced_name_does_not_change_what_is_read(tmp_path: Path, other: bytes) -> None:
    source = film(tmp_path / "in.mp4")
    expected = hashlib.sha256(source.read_bytes()).hexdigest()
    media = Media(source)
    assert media.kind.name == "mp4"
    rename_another_over_it(source, other)
    assert media.sha256 == expected
    assert sum(1 for _ in open_source(media)) == COUNT
    with pytest.raises(MediaError, match="changed"):
        media.check_unchanged()


def test_readers_share_the_content_of_the_first_reading(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes(range(256)) * 4096)
    file = PinnedFile(path)
    reader = file.open("rb")
    assert reader.read(10) == bytes(range(10))
    assert reader.seek(-6, os.SEEK_END) == (1 << 20) - 6
    assert reader.read() == bytes(range(250, 256))
    overwrite(path, b"another content")
    assert reader.seek(0) == 0
    with pytest.raises(MediaError, match="changed"):
        file.open("rb").read(10)
    with pytest.raises(MediaError, match="changed"):
        file.check_unchanged()


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(MediaError, match="not a regular file"):
        PinnedFile(tmp_path / "pipe")


def test_nothing_is_returned_for_a_photo_that_changed(tmp_path: Path) -> None:
    photo, output = tmp_path / "a.jpg", tmp_path / "out.jpg"
    Pillow.fromarray(np.full((64, 64, 3), 128, np.uint8)).save(photo)

    def attack(stage: str, _done: int, _of: int | None) -> None:
        if stage == "render":
            overwrite(photo, b"\xff\xd8")

    with pytest.raises(MediaError):
        FaceBlur(Settings(blur="everyone"), parts=parts(NoFace())).blur(photo, output, attack)
    assert not output.exists()


def test_no_pieces_of_a_video_that_changed_after_the_proposal(tmp_path: Path, other: bytes) -> None:
    source = film(tmp_path / "in.mp4")
    proposal = propose(source, pieces=3, inside_shots=True)
    overwrite_and_restore_times(source, other)
    with pytest.raises(MediaError, match="changed"):
        split(proposal, tmp_path / "pieces")
    assert not (tmp_path / "pieces").exists()
