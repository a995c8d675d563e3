"""Temporary files of killed processes are removed, and those of living ones are not."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from app.errors import OutputError
from app.files import PendingFile, remove_leftovers, replacing, write_file
from testmedia.videos import VideoSpec, copy_video

PROGRAM = """
import sys, time
from pathlib import Path
from app.files import PendingFile
pending = PendingFile(Path(sys.argv[1]), overwrite=True)
with pending.opened() as file:
    file.write(b"half")
    file.flush()
    print("ready", flush=True)
    time.sleep(600)
"""


def begin(output: Path) -> "subprocess.Popen[str]":
    """Start a process that is in the middle of writing a file."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(output)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def end(process: "subprocess.Popen[str]", number: int) -> None:
    process.send_signal(number)
    process.communicate()


def parts(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name.endswith(".part"))


def test_the_next_run_into_a_folder_removes_what_a_killed_one_left(tmp_path: Path) -> None:
    alive, killed = begin(tmp_path / "alive.mp4"), begin(tmp_path / "killed.mp4")
    try:
        end(killed, signal.SIGKILL)
        assert len(parts(tmp_path)) == 2
        source = VideoSpec(count=5).write(tmp_path / "in.mp4")
        copy_video(source, tmp_path / "out.mp4")
        (left,) = parts(tmp_path)
        assert left.startswith(".alive.mp4.")
        assert (tmp_path / left).read_bytes() == b"half"
    finally:
        end(alive, signal.SIGKILL)
    remove_leftovers(tmp_path)
    assert parts(tmp_path) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4", "out.mp4"]


def test_only_files_with_our_names_are_removed(tmp_path: Path) -> None:
    ours = {f".a.mp4.{'0' * 32}.part", f".b.{'f' * 32}.part"}
    others = {"a.mp4", ".a.mp4.part", f"a.mp4.{'0' * 32}.part", f".a.mp4.{'0' * 31}.part"}
    for name in ours | others:
        (tmp_path / name).touch()
    target = tmp_path / "target"
    target.touch()
    (tmp_path / f".link.{'1' * 32}.part").symlink_to(target)
    (tmp_path / f".folder.{'2' * 32}.part").mkdir()
    os.mkfifo(tmp_path / f".pipe.{'3' * 32}.part")
    before = time.monotonic()
    remove_leftovers(tmp_path)
    remove_leftovers(tmp_path / "nowhere")
    assert time.monotonic() - before < 5, "nothing waits for a pipe"
    assert target.exists()
    assert {path.name for path in tmp_path.iterdir()} >= others
    assert not {path.name for path in tmp_path.iterdir()} & ours


def test_files_of_one_process_do_not_remove_each_other(tmp_path: Path) -> None:
    first, second = (PendingFile(tmp_path / name, overwrite=True) for name in "ab")
    first.claim()
    with second.opened() as file:
        file.write(b"second")
        remove_leftovers(tmp_path)
        write_file(tmp_path / "c", b"third")
        with replacing(tmp_path / "d") as other:
            other.write(b"fourth")
    assert len(parts(tmp_path)) == 2
    first.path.write_bytes(b"first")
    for one in (first, second):
        one.commit()
        one.discard()
    contents = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert contents == {"a": b"first", "b": b"second", "c": b"third", "d": b"fourth"}


def test_a_discarded_file_is_let_go(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        pending = PendingFile(tmp_path / "a", overwrite=True)
        pending.claim()
        pending.discard()
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 1
    assert parts(tmp_path) == []


def test_a_file_that_cannot_be_created_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot be written"):
        PendingFile(tmp_path / "nowhere" / "a", overwrite=True).claim()
