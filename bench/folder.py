"""Hide the faces in many small files: one command for each, or one for their folder.

    python -m bench.folder [--files N] [--workers N ...]

The files are photos, and a fifth of them short videos. The folder is also done in two runs, of
which the first is interrupted about in the middle. Times are wall-clock seconds of commands.
"""

import argparse
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from testmedia.fetch import fetch
from testmedia.videos import VideoSpec

_COMMAND = (sys.executable, "-m", "app.cli", "blur")
_PHOTOS = ("obama.jpg", "biden.jpg", "obama2.jpg", "obama3.jpg")
_VIDEO_EVERY = 5


def make_files(folder: Path, count: int) -> list[Path]:
    """Write the files, and return them."""
    video = VideoSpec(count=25).write(folder.parent / "clip.mp4")
    files = []
    for number in range(count):
        is_video = number % _VIDEO_EVERY == 0
        source = video if is_video else fetch(_PHOTOS[number % len(_PHOTOS)])
        files.append(Path(shutil.copyfile(source, folder / f"{number:04}{source.suffix}")))
    return files


def seconds_alone(files: Sequence[Path], output: Path) -> float:
    """Return the time of one command for each file."""
    output.mkdir()
    began = time.monotonic()
    for file in files:
        subprocess.run([*_COMMAND, file, "-o", output / file.name, "--quiet"], check=True)
    return time.monotonic() - began


def seconds_together(folder: Path, output: Path, workers: int) -> float:
    """Return the time of one command for the folder."""
    began = time.monotonic()
    subprocess.run(_together(folder, output, workers), check=True)
    return time.monotonic() - began


def seconds_interrupted(folder: Path, output: Path, count: int) -> tuple[float, int, float]:
    """Return the time until the interruption, the files done by then, and the time of the rest."""
    began = time.monotonic()
    process = subprocess.Popen(_together(folder, output, 1), stderr=subprocess.DEVNULL)
    while _done(output) < count // 2:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    process.wait()
    middle, done = time.monotonic(), _done(output)
    subprocess.run(_together(folder, output, 1), check=True)
    return middle - began, done, time.monotonic() - middle


def _together(folder: Path, output: Path, workers: int) -> list[str]:
    options = ("-o", f"{output}/", "--workers", str(workers), "--quiet")
    return [*_COMMAND, str(folder), *options]


def _done(output: Path) -> int:
    report = output / "reports" / "local.jsonl"
    return len(report.read_text("ascii").splitlines()) if report.exists() else 0


def main(argv: Sequence[str] | None = None) -> None:
    """Print the times."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "in")
        folder.mkdir()
        files = make_files(folder, args.files)
        print(f"one command for each file: {seconds_alone(files, Path(name, 'alone')):.1f} s")
        for workers in args.workers:
            seconds = seconds_together(folder, Path(name, f"workers-{workers}"), workers)
            print(f"the folder, {workers} workers: {seconds:.1f} s")
        seconds = seconds_together(folder, Path(name, "workers-1"), 1)
        print(f"the folder again: {seconds:.1f} s")
        first, done, rest = seconds_interrupted(folder, Path(name, "interrupted"), len(files))
        print(f"interrupted after {first:.1f} s and {done} files, the rest: {rest:.1f} s")


if __name__ == "__main__":
    main()
