"""Test the image as its users would, with only the contents of the image.

    python smoke.py contents cpu|cuda   is the right software installed, and nothing else?
    python smoke.py hidden VIDEO        is the listed person hidden, and nobody else?
    python smoke.py service URL         does the web service give such results?
    python smoke.py crash URL PROCESS   does it go on after the end of its child process?

Reads clip.mp4, truth.json and people/ next to itself, as made by smoke_media.py.
"""

import ctypes.util
import http.client
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib import import_module, metadata
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import av
import numpy as np
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
READY = 60.0
"""Seconds until the service must answer /ping."""
HIDDEN, SHOWN = 0.5, 0.8
"""A hidden face keeps a smaller part of its detail than the first value, a visible one more than
the second."""
BUSY = 10
"""Ticks of CPU time (0.1 s) that the child uses for nothing but a request."""
_BLOCK = 1 << 16


class Fault(Exception):
    """A check failed."""


def expect(true: bool, message: str) -> None:
    """Raise ``Fault`` unless a condition holds."""
    if not true:
        raise Fault(message)


def contents(variant: str) -> None:
    """Check the installed software, and that the program runs without privileges."""
    compilers = [name for name in ("gcc", "cc", "g++", "make", "pip", "pip3") if shutil.which(name)]
    expect(not compilers, f"build tools are installed: {', '.join(compilers)}")
    expect(os.geteuid() != 0, "it runs as root")
    expect(not os.access("/opt", os.W_OK), "the program is writable")
    expect(os.environ.get("ORT_DISABLE_TELEMETRY") == "1", "telemetry is not switched off")
    expected = {"cpu": "onnxruntime", "cuda": "onnxruntime-gpu"}[variant]
    packages = {one.name for one in metadata.distributions()}
    runtimes = packages & {"onnxruntime", "onnxruntime-gpu"}
    expect(runtimes == {expected}, f"the installed runtimes are {runtimes}")
    expect("opencv-python" not in packages, "opencv-python is installed too")
    import_module("insightface.model_zoo")
    if variant == "cuda":
        _cuda_libraries()


def _cuda_libraries() -> None:
    """Check that CUDA could be used with a GPU: only the driver may be missing."""
    runtime = import_module("onnxruntime")
    expect("CUDAExecutionProvider" in runtime.get_available_providers(), "no CUDA provider")
    provider = Path(str(runtime.__file__)).parent / "capi" / "libonnxruntime_providers_cuda.so"
    listed = subprocess.run(["/usr/bin/ldd", provider], capture_output=True, text=True, check=True)
    lines = [line.split()[0] for line in listed.stdout.splitlines() if "not found" in line]
    missing = set(lines) - {"libcuda.so.1"}
    expect(not missing, f"libraries are missing: {', '.join(sorted(missing))}")
    expect(ctypes.util.find_library("cudnn_graph") is not None, "the loader does not find cuDNN")


def hidden(data: bytes, people: Collection[str]) -> None:
    """Check a video: all frames, sound, and the hidden people in every frame.

    Args:
        data: the file.
        people: the names of the people to be hidden; the others in the video must stay visible.
    """
    truth = json.loads((HERE / "truth.json").read_text("utf-8"))
    before, after = frames((HERE / "clip.mp4").read_bytes()), frames(data)
    expect(len(after) == truth["frames"], f"{len(after)} frames instead of {truth['frames']}")
    expect(before[0].shape == after[0].shape, f"the size is {after[0].shape}")
    with av.open(io.BytesIO(data), "r") as container:
        expect(len(container.streams.audio) == 1, "the sound is missing")
    for frame, person, *box in truth["faces"]:
        left = detail(after[frame], box) / detail(before[frame], box)
        where = f"frame {frame}: {person}: {left:.0%} of the detail is left"
        expect(left < HIDDEN if person in people else left > SHOWN, where)


def frames(data: bytes) -> list[NDArray[np.float32]]:
    """Return every frame of a video as (h, w) luma, 0..255."""
    with av.open(io.BytesIO(data), "r") as container:
        pictures = container.decode(video=0)
        return [picture.to_ndarray(format="gray").astype(np.float32) for picture in pictures]


def detail(light: NDArray[np.float32], box: list[float]) -> float:
    """Return the mean difference of neighbouring pixels in the middle of a box."""
    x1, y1, x2, y2 = box
    x, y, w, h = (x1 + x2) / 2, (y1 + y2) / 2, (x2 - x1) * 0.35, (y2 - y1) * 0.35
    part = light[int(y - h) : int(y + h), int(x - w) : int(x + w)]
    return float(np.abs(np.diff(part, axis=0)).mean() + np.abs(np.diff(part, axis=1)).mean())


class Service:
    """The web service at a URL."""

    def __init__(self, url: str) -> None:
        self._address = urlsplit(url).netloc

    def ask(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, str, bytes]:
        """Return status, type and body of a response; an iterable body is sent in chunks."""
        connection = http.client.HTTPConnection(self._address, timeout=300)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        try:
            connection.request(method, path, body, named)
            answer = connection.getresponse()
            data = answer.read()
        finally:
            connection.close()
        if answer.status == 200 and data:
            expect(answer.getheader("Content-Length") == str(len(data)), "no Content-Length")
        return answer.status, answer.getheader("Content-Type", ""), data

    def wait(self) -> None:
        """Wait until /ping returns 200."""
        end = time.monotonic() + READY
        while True:
            try:
                status = self.ask("GET", "/ping")[0]
            except OSError:
                status = 0
            if status == 200:
                return
            expect(time.monotonic() < end, f"/ping returns {status}, not 200")
            time.sleep(0.2)

    def invoke(self, body: Any, kind: str, accept: str, **headers: str) -> bytes:
        """Return the body of a response of /invocations; check its status and type."""
        headers |= {"Content_Type": kind, "Accept": accept}
        status, got, data = self.ask("POST", "/invocations", body, **headers)
        expect(status == 200, f"/invocations returns {status}: {data[:300]!r}")
        expect(got.partition(";")[0] == accept, f"the response is {got}, not {accept}")
        return data


def service(url: str) -> None:
    """Check the service: the three kinds of requests, and a body that is not a video."""
    client = Service(url)
    client.wait()
    expect(reachable(urlsplit(url).port or 80), "it listens on the loopback only")
    status, _, data = client.ask("GET", "/execution-parameters")
    expect(status == 200 and "MaxConcurrentTransforms" in json.loads(data), "execution-parameters")
    clip = (HERE / "clip.mp4").read_bytes()
    truth = json.loads((HERE / "truth.json").read_text("utf-8"))
    everyone = {face[1] for face in truth["faces"]}
    # In chunks, as SageMaker sends it, and then with a length, as curl does.
    hidden(client.invoke(blocks(clip), "video/mp4", "video/mp4"), everyone)
    plan = json.loads(client.invoke(clip, "video/mp4", "application/json"))
    expect(plan["source"]["frames"] == truth["frames"], "the plan has another number of frames")
    expect([track["decision"] for track in plan["tracks"]] == ["blur"] * 2, "the plan is wrong")
    kind, form = multipart(clip)
    hidden(client.invoke(form, kind, "video/mp4"), {truth["listed"]})
    status, _, data = client.ask("POST", "/invocations", b"no video", Content_Type="video/mp4")
    expect(400 <= status < 500 and "code" in json.loads(data)["error"], f"no video: {status}")


def crash(url: str, process: str) -> None:
    """Kill the child of the service during a request: this one fails, the next one does not.

    Args:
        url: address of the service.
        process: process id of the service.
    """
    client = Service(url)
    client.wait()
    clip = (HERE / "clip.mp4").read_bytes()
    child = media_child(int(process))
    limited(child)
    with ThreadPoolExecutor(1) as pool:
        before = ticks(child)
        request = pool.submit(client.ask, "POST", "/invocations", clip, Content_Type="video/mp4")
        until(lambda: request.done() or ticks(child) >= before + BUSY, "the child does not work")
        os.kill(child, signal.SIGKILL)
        status, _, data = request.result()
    expect(status == 422, f"a request whose child is killed gets {status}: {data[:300]!r}")
    expect(json.loads(data)["error"]["code"] == "crashed", f"it gets the answer {data[:300]!r}")
    status = client.ask("GET", "/ping")[0]
    expect(status == 200, f"/ping returns {status} after the end of the child")
    truth = json.loads((HERE / "truth.json").read_text("utf-8"))
    hidden(client.invoke(clip, "video/mp4", "video/mp4"), {face[1] for face in truth["faces"]})
    limited(media_child(int(process)))


def media_child(service: int, root: Path = Path("/proc")) -> int:
    """Return the process that works on media for a service.

    It is the descendant of the service that asks the kernel to be ended first.
    """
    parents = {}
    for path in root.glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended
            parents[int(path.parent.name)] = int(_fields(path.read_text("utf-8"))[1])
    family, size = {service}, 0
    while len(family) > size:
        size = len(family)
        family |= {process for process, parent in parents.items() if parent in family}
    found = [
        process
        for process in family
        if (root / str(process) / "oom_score_adj").read_text("ascii").strip() == "1000"
    ]
    expect(len(found) == 1, f"{len(found)} processes of the service have oom_score_adj 1000, not 1")
    return found[0]


def limited(child: int) -> None:
    """Check that a child has limits of its own."""
    text = Path(f"/proc/{child}/limits").read_text("ascii")
    found = {
        name: int(soft) for name, soft in re.findall(r"^(Max .+?)  +(\d+)", text, re.MULTILINE)
    }
    expect(found.get("Max core file size") == 0, "the child may write core files")
    expect(found.get("Max open files", 1 << 20) <= 512, "the child may open many files")
    # Not with a GPU, whose driver maps far more than it uses.
    expect("Max data size" in found or Path("/dev/nvidiactl").exists(), "its memory has no limit")


def ticks(process: int) -> int:
    """Return the CPU time of a process in ticks."""
    return sum(map(int, _fields(Path(f"/proc/{process}/stat").read_text("utf-8"))[11:13]))


def _fields(stat: str) -> list[str]:
    """Return the fields of a stat file of the kernel after the name, which may have spaces."""
    return stat.rpartition(")")[2].split()


def until(true: Callable[[], bool], message: str) -> None:
    """Wait until a condition holds."""
    end = time.monotonic() + READY
    while not true():
        expect(time.monotonic() < end, message)
        time.sleep(0.01)


def reachable(port: int, root: Path = Path("/")) -> bool:
    """Whether a socket listens to a port on all addresses, by the kernel's tables in ``root``.

    Source: https://docs.kernel.org/networking/proc_net_tcp.html; state 0A is listening.
    """
    tables = [root / "proc/net" / name for name in ("tcp", "tcp6")]
    rows = [
        line.split()
        for table in tables
        if table.exists()
        for line in table.read_text("ascii").splitlines()
    ]
    listening = [row[1].split(":") for row in rows if row[3] == "0A"]
    return any(int(one, 16) == port and not int(address, 16) for address, one in listening)


def blocks(data: bytes) -> Iterator[bytes]:
    """Yield the data in blocks."""
    return (data[start : start + _BLOCK] for start in range(0, len(data), _BLOCK))


def multipart(clip: bytes) -> tuple[str, bytes]:
    """Return content type and body of a form with the video and the photos of the listed person."""
    border = uuid.uuid4().hex
    photos = sorted((HERE / "people").rglob("*.jpg"))
    parts = [("media", "clip.mp4", "video/mp4", clip)]
    for photo in photos:
        name = f"{photo.parent.name}/{photo.name}"
        parts.append(("people", name, "image/jpeg", photo.read_bytes()))
    body = b""
    for field, name, kind, data in parts:
        head = (
            f'--{border}\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n'
        )
        body += f"{head}Content-Type: {kind}\r\n\r\n".encode() + data + b"\r\n"
    return f"multipart/form-data; boundary={border}", body + f"--{border}--\r\n".encode()


def main() -> int:
    """Run the check of the command line; return 1 if it fails."""
    what, argument, *process = sys.argv[1:]
    listed = {json.loads((HERE / "truth.json").read_text("utf-8"))["listed"]}
    try:
        if what == "contents":
            contents(argument)
        elif what == "hidden":
            hidden(Path(argument).read_bytes(), listed)
        elif what == "crash":
            crash(argument, *process)
        else:
            service(argument)
    except Fault as fault:
        print(f"smoke: {what}: {fault}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
