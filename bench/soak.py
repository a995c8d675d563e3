"""Use the service for a long time with mixed requests, and check that it stays as it was.

    python -m bench.soak [--minutes N] [--clients N] [--crashes N]

A tenth of the requests is bad: damaged media, huge pictures, malformed HTTP, clients that leave or
stall. With --crashes the process that reads media is killed that often in an hour. Twice a minute
the clients pause, and memory, open files, threads and the spool are measured without a request in
progress; the first quarter of the time is not counted. The program fails if an answer is not one of
those that are expected, or if the median of the last quarter exceeds that of the second quarter:
memory by 5 % or more, open files or threads by 2 or more; or if files are left in the spool.
"""

import argparse
import http.client
import os
import random
import signal
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from PIL import Image

from bench.service import family, proportional_set, request, start_service
from testmedia.fetch import fetch

BAD_SHARE = 0.1
MEMORY_GROWTH = 1.05
"""The C library keeps freed memory, by amounts that depend on the order of requests."""
COUNT_GROWTH = 2
"""Pools start their threads when they are first needed."""
SAMPLE_SECONDS = 30.0
_CALM_SECONDS = 3.0
"""Time from the last answer to a measurement: connections linger for 2 s."""
TIMEOUT = 120.0
_BUSY_SECONDS = 0.2
_CHUNKED = b"POST /invocations HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
_PART = '--xXx\r\nContent-Disposition: form-data; name="{}"; filename="{}"\r\n\r\n'


@dataclass(frozen=True, slots=True)
class Sample:
    """The state of all processes of the service."""

    seconds: float
    memory: float
    files: int
    threads: int
    spooled: int


class Pause:
    """Lets all clients pause between two requests.

    Args:
        clients: number of clients that will call ``wait``.
    """

    def __init__(self, clients: int) -> None:
        self._condition = threading.Condition()
        self._clients, self._waiting, self._is_paused = clients, 0, False

    def wait(self) -> None:
        """Wait for the end of a pause, if there is one."""
        with self._condition:
            self._waiting += 1
            self._condition.notify_all()
            self._condition.wait_for(lambda: not self._is_paused)
            self._waiting -= 1

    def leave(self) -> None:
        """Count a client as waiting from now on."""
        with self._condition:
            self._waiting += 1
            self._condition.notify_all()

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Begin a pause, wait for all clients, and end the pause after the block."""
        with self._condition:
            self._is_paused = True
            self._condition.wait_for(lambda: self._waiting == self._clients)
        try:
            yield
        finally:
            with self._condition:
                self._is_paused = False
                self._condition.notify_all()


@dataclass(slots=True)
class Load:
    """The requests of one client, chosen at random with a seed."""

    port: int
    seed: int
    pause: Pause
    answers: Counter[str] = field(default_factory=Counter)
    crashed: int = 0
    wrong: list[str] = field(default_factory=list)

    def run(self, until: float) -> None:
        """Send requests until a time."""
        chance = random.Random(self.seed)  # noqa: S311 - a load, not a secret
        media = _media()
        try:
            while time.monotonic() < until:
                self.pause.wait()
                if chance.random() < BAD_SHARE:
                    self._send_bad(chance, media)
                else:
                    self._send_good(chance, media)
        finally:
            self.pause.leave()

    def _send_good(self, chance: random.Random, media: dict[str, bytes]) -> None:
        name = chance.choice(["photo", "photo", "photo", "form", "plan", "video"])
        headers = {"Accept": "application/json"} if name == "plan" else {}
        if name == "form":
            headers["Content-Type"] = "multipart/form-data; boundary=xXx"
        self._expect(name, self._post(media[name], headers), {200, 503})

    def _send_bad(self, chance: random.Random, media: dict[str, bytes]) -> None:
        kind = chance.choice(sorted(_BAD))
        self._expect(kind, _BAD[kind](self, chance, media), {0, 400, 413, 415, 422, 503})

    def _expect(self, name: str, status: int, expected: set[int]) -> None:
        self.answers[f"{name}: {status or 'none'}"] += 1
        if status not in expected:
            self.wrong.append(f"{name}: {status}")

    def _post(self, body: bytes, headers: dict[str, str]) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT)
        try:
            connection.request("POST", "/invocations", body, headers)
            response = connection.getresponse()
            answer = response.read()
        finally:
            connection.close()
        if response.status == 422 and b'"crashed"' in answer:
            self.crashed += 1
            return 503
        if response.status == 503:
            time.sleep(_BUSY_SECONDS)
        return response.status

    def damaged(self, chance: random.Random, media: dict[str, bytes]) -> int:
        """Send a video in which some bytes are wrong: it may still be readable."""
        data = bytearray(media["video"])
        for _ in range(20):
            data[chance.randrange(len(data))] = chance.randrange(256)
        status = self._post(bytes(data), {})
        return 0 if status == 200 else status

    def cut(self, chance: random.Random, media: dict[str, bytes]) -> int:
        """Send the beginning of a photo."""
        return self._post(media["photo"][: chance.randrange(10, 10_000)], {})

    def huge(self, _: random.Random, media: dict[str, bytes]) -> int:
        """Send a small file with a huge picture."""
        return self._post(media["huge"], {})

    def leaving(self, chance: random.Random, media: dict[str, bytes]) -> int:
        """Leave during the work."""
        with socket.create_connection(("127.0.0.1", self.port), TIMEOUT) as connection:
            body = media["video"]
            head = f"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
            connection.sendall(head.encode() + body[: chance.randrange(len(body) + 1)])
            time.sleep(chance.random())
        return 0

    def malformed(self, _: random.Random, __: dict[str, bytes]) -> int:
        """Send a request that is not HTTP, then a body whose chunk has no valid length."""
        for text in (b"nonsense\r\n\r\n", _CHUNKED + b"zz\r\n"):
            with socket.create_connection(("127.0.0.1", self.port), TIMEOUT) as connection:
                connection.sendall(text)
                status = int(connection.recv(4096).split()[1])
        return status

    def silent(self, chance: random.Random, _: dict[str, bytes]) -> int:
        """Send half a head, and leave."""
        with socket.create_connection(("127.0.0.1", self.port), TIMEOUT) as connection:
            connection.sendall(b"POST /invo")
            time.sleep(chance.random())
        return 0


_BAD: dict[str, Callable[[Load, random.Random, dict[str, bytes]], int]] = {
    "damaged": Load.damaged,
    "cut": Load.cut,
    "huge": Load.huge,
    "leaving": Load.leaving,
    "malformed": Load.malformed,
    "silent": Load.silent,
}


def _media() -> dict[str, bytes]:
    photo, other = fetch("obama2.jpg").read_bytes(), fetch("biden.jpg").read_bytes()
    huge = BytesIO()
    Image.new("L", (13_000, 13_000)).save(huge, "png")
    parts = (("people", "a.jpg", photo), ("people", "b.jpg", other), ("media", "x.jpg", photo))
    form = b"".join(
        _PART.format(name, file).encode() + content + b"\r\n" for name, file, content in parts
    )
    return {
        "photo": photo,
        "plan": photo,
        "video": fetch("carphone.mp4").read_bytes(),
        "form": form + b"--xXx--\r\n",
        "huge": huge.getvalue(),
    }


def look(process: int, spool: Path, began: float) -> Sample:
    """Measure all processes of the service."""
    processes = list(family(process))
    return Sample(
        time.monotonic() - began,
        sum(map(proportional_set, processes)) / 1024,
        sum(len(list(Path(f"/proc/{one}/fd").iterdir())) for one in processes),
        sum(len(list(Path(f"/proc/{one}/task").iterdir())) for one in processes),
        sum(1 for folder in spool.glob("face-blur-*") for _ in folder.iterdir()),
    )


def faults_of(samples: Sequence[Sample], last: Sample) -> list[str]:
    """Return what has grown, as sentences."""
    quarter = len(samples) // 4
    early, late = samples[quarter : 2 * quarter], samples[-quarter:]
    faults = []
    if not early or not late:
        return ["too few samples; use more minutes"]
    middle = [
        [statistics.median(getattr(one, name) for one in part) for part in (early, late)]
        for name in ("memory", "files", "threads")
    ]
    memory, files, threads = middle
    if memory[1] >= MEMORY_GROWTH * memory[0]:
        faults.append(f"memory grew from {memory[0]:.0f} to {memory[1]:.0f} MiB")
    for name, (before, after) in (("open files", files), ("threads", threads)):
        if after >= before + COUNT_GROWTH:
            faults.append(f"{name} grew from {before:g} to {after:g}")
    if last.spooled:
        faults.append(f"{last.spooled} folders are left in the spool")
    return faults


def soak(minutes: float, clients: int, crashes: float) -> int:
    """Use the service for some minutes; print the samples and the answers; return an exit code."""
    with tempfile.TemporaryDirectory() as name:
        process, port = start_service(Path(__file__).resolve().parents[1], name)
        began = time.monotonic()
        until = began + 60 * minutes
        pause = Pause(clients)
        loads = [Load(port, seed, pause) for seed in range(clients)]
        threads = [threading.Thread(target=load.run, args=(until,)) for load in loads]
        try:
            for thread in threads:
                thread.start()
            samples = _watch(process.pid, Path(name), began, until, crashes=crashes, pause=pause)
            for thread in threads:
                thread.join()
            request(port, "GET", "/ping")  # a service without requests gets pings
            time.sleep(_CALM_SECONDS)
            last = look(process.pid, Path(name), began)
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()
    return _report(samples, last, loads, int(60 * minutes * crashes / 3600) if crashes else 0)


def _watch(
    process: int, spool: Path, began: float, until: float, *, crashes: float, pause: Pause
) -> list[Sample]:
    """Measure in pauses until a time, and kill the engine at times."""
    samples: list[Sample] = []
    between = min(SAMPLE_SECONDS, (until - began) / 20)
    next_crash = began + 3600 / crashes if crashes else until + 1
    while time.monotonic() < until:
        time.sleep(between)
        with pause.hold():
            time.sleep(_CALM_SECONDS)
            samples.append(look(process, spool, began))
        if next_crash <= time.monotonic() < until - between:  # and it is replaced before the end
            next_crash += 3600 / crashes
            os.kill(list(family(process))[-1], signal.SIGSEGV)
    return samples


def _report(samples: Sequence[Sample], last: Sample, loads: Sequence[Load], crashes: int) -> int:
    print("| minutes | memory, MiB | open files | threads | spool |\n|---|---|---|---|---|")
    for one in (*samples[:: max(1, len(samples) // 12)], last):
        print(
            f"| {one.seconds / 60:.1f} | {one.memory:.0f} | {one.files} | {one.threads} "
            f"| {one.spooled} |"
        )
    answers = sum((load.answers for load in loads), Counter[str]())
    print("\n" + ", ".join(f"{name} {count}" for name, count in sorted(answers.items())))
    faults = faults_of(samples, last)
    crashed = sum(load.crashed for load in loads)
    if crashed > crashes:
        faults.append(f"{crashed} requests crashed, but the engine was killed {crashes} times")
    faults += sorted({f"unexpected answer: {one}" for load in loads for one in load.wrong})
    for fault in faults:
        print(f"FAULT: {fault}")
    return int(bool(faults))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the soak of the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--clients", type=int, default=3)
    parser.add_argument("--crashes", type=float, default=6, help="crashes in an hour")
    args = parser.parse_args(argv)
    return soak(args.minutes, args.clients, args.crashes)


if __name__ == "__main__":
    sys.exit(main())
