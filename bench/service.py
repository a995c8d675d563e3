"""Measure the service: time until it answers pings, requests per second, memory.

    python -m bench.service [FOLDER ...] [--runs N] [--requests N]

Each FOLDER is a checkout of this project (default: this one); two of them are compared. Runs
alternate, so that other load affects all alike, and figures are medians. Each run starts the
service, waits for the first ping that succeeds, sends a photo several times, and a video once. The
memory is the sum of the proportional set sizes (PSS) of all its processes after the last request.
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


@dataclass(frozen=True, slots=True)
class Run:
    """Seconds until the first ping, per photo, and for the video; memory in MiB."""

    start: float
    photo: float
    video: float
    memory: float


def measure(root: Path, requests: int) -> Run:
    """Start the service of a checkout, use it, and stop it."""
    with tempfile.TemporaryDirectory() as spool:
        began = time.monotonic()
        process, port = start_service(root, spool)
        try:
            request(port, "GET", "/ping")
            start = time.monotonic() - began
            return Run(start, *_use(port, requests), _memory(process.pid))
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


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
    photo, video = fetch("obama2.jpg").read_bytes(), fetch("carphone.mp4").read_bytes()
    request(port, "POST", "/invocations", photo)
    began = time.monotonic()
    for _ in range(requests):
        request(port, "POST", "/invocations", photo)
    middle = time.monotonic()
    request(port, "POST", "/invocations", video)
    return (middle - began) / requests, time.monotonic() - middle


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
    print(
        "| checkout | start, s | photo, s | carphone.mp4, s | memory, MiB |\n|---|---|---|---|---|"
    )
    for folder, done in runs.items():
        figures = (statistics.median(column) for column in zip(*map(astuple, done), strict=True))
        start, photo, video, memory = figures
        print(f"| {folder.name} | {start:.3f} | {photo:.4f} | {video:.3f} | {memory:.0f} |")


if __name__ == "__main__":
    main()
