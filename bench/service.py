"""Measure the service: time until it answers pings, seconds per request, memory.

    python -m bench.service [FOLDER ...] [--runs N] [--requests N]

Each FOLDER is a checkout of this project (default: this one); two of them are compared. Runs
alternate, so that other load affects all alike, and figures are medians. Each run starts the
service, waits for the first ping that succeeds, and sends a photo and a video several times. The
memory is the sum of the proportional set sizes (PSS) of all its processes after the last request.
Then the library does the same work in a process without HTTP or child processes: the difference is
what the service itself costs.
"""

import argparse
import http.client
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

from testmedia.fetch import fetch

ROOT = Path(__file__).resolve().parents[1]
_LIBRARY = """
import sys, time
from pathlib import Path
from tempfile import TemporaryDirectory
import app

session = app.FaceBlur(app.Settings.load(blur="everyone")).load()
with TemporaryDirectory() as folder:
    for name in sys.argv[2:]:
        output = Path(folder, Path(name).name)
        session.blur(app.Media(name), output, overwrite=True)
        began = time.monotonic()
        for _ in range(int(sys.argv[1])):
            session.blur(app.Media(name), output, overwrite=True)
        print((time.monotonic() - began) / int(sys.argv[1]))
"""
"""Prints the seconds for each file."""
_COLUMNS = (
    "start, s",
    "photo, s",
    "video, s",
    "memory, MiB",
    "photo by the library, s",
    "video by the library, s",
)
_FILES = ("obama2.jpg", "carphone.mp4")


@dataclass(frozen=True, slots=True)
class Run:
    """Seconds but for ``memory``, which is in MiB."""

    start: float
    photo: float
    video: float
    memory: float
    library_photo: float
    library_video: float


def measure(root: Path, requests: int) -> Run:
    """Start the service of a checkout, use it, and stop it."""
    with tempfile.TemporaryDirectory() as spool:
        began = time.monotonic()
        process, port = start_service(root, spool)
        try:
            request(port, "GET", "/ping")
            start = time.monotonic() - began
            used = _use(port, requests), _memory(process.pid)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()
    return Run(start, *used[0], used[1], *_use_library(root, requests))


def start_service(root: Path, spool: str) -> "tuple[subprocess.Popen[str], int]":
    """Start the service of a checkout; return its process and its port when it is ready.

    Raises:
        RuntimeError: it ended.
    """
    settings = {"HOST": "127.0.0.1", "SPOOL": spool}
    named = {f"FACE_BLUR_{name}": value for name, value in settings.items()}
    process = subprocess.Popen(
        [sys.executable, str(root / "serve")],
        env=os.environ | named | {"SAGEMAKER_BIND_TO_PORT": "0", "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    port = _port(process)
    # Its log must not fill the pipe.
    threading.Thread(target=_discard, args=(process,), daemon=True).start()
    return process, port


def _discard(process: "subprocess.Popen[str]") -> None:
    assert process.stdout is not None
    for _ in process.stdout:
        pass


def _port(process: "subprocess.Popen[str]") -> int:
    """Return the port of the service, and wait until it has loaded the models."""
    assert process.stdout is not None
    port = 0
    for line in process.stdout:
        if found := re.search(r"Listening at: http://[\d.]+:(\d+)", line):
            port = int(found[1])
        if '"ready"' in line:
            return port
    raise RuntimeError("the service ended")


def request(port: int, method: str, path: str, body: bytes = b"") -> None:
    """Send a request.

    Raises:
        RuntimeError: it failed.
    """
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request(method, path, body)
    response = connection.getresponse()
    response.read()
    connection.close()
    if response.status != 200:
        raise RuntimeError(f"{path}: HTTP {response.status}")


def _use(port: int, requests: int) -> tuple[float, float]:
    photo, video = (fetch(name).read_bytes() for name in _FILES)
    return _seconds(port, photo, requests), _seconds(port, video, requests)


def _seconds(port: int, body: bytes, requests: int) -> float:
    request(port, "POST", "/invocations", body)
    began = time.monotonic()
    for _ in range(requests):
        request(port, "POST", "/invocations", body)
    return (time.monotonic() - began) / requests


def _use_library(root: Path, requests: int) -> tuple[float, float]:
    files = [str(fetch(name)) for name in _FILES]
    done = subprocess.run(
        [sys.executable, "-c", _LIBRARY, str(requests), *files],
        env=os.environ | {"PYTHONPATH": str(root)},
        cwd=root,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    photo, video = map(float, done.stdout.split())
    return photo, video


def _memory(process: int) -> float:
    return sum(proportional_set(one) for one in family(process)) / 1024


def family(process: int) -> Iterator[int]:
    """Yield a process and all that it started, parents first."""
    yield process
    for task in Path(f"/proc/{process}/task").iterdir():
        for child in (task / "children").read_text().split():
            yield from family(int(child))


def proportional_set(process: int) -> int:
    """Return the proportional set size of a process in KiB."""
    text = Path(f"/proc/{process}/smaps_rollup").read_text()
    return sum(int(size) for size in re.findall(r"^Pss:\s+(\d+) kB$", text, re.MULTILINE))


def main(argv: Sequence[str] | None = None) -> None:
    """Measure the checkouts of the command line, and print a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folders", nargs="*", type=Path, default=[ROOT])
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--requests", type=int, default=20)
    args = parser.parse_args(argv)
    runs: dict[Path, list[Run]] = {folder: [] for folder in args.folders}
    for _ in range(args.runs):
        for folder, done in runs.items():
            done.append(measure(folder.resolve(), args.requests))
    print(f"| checkout | {' | '.join(_COLUMNS)} |\n|{'---|' * (1 + len(_COLUMNS))}")
    for folder, done in runs.items():
        figures = (statistics.median(column) for column in zip(*map(astuple, done), strict=True))
        print(f"| {folder.name} | {' | '.join(f'{figure:.4g}' for figure in figures)} |")


if __name__ == "__main__":
    main()
