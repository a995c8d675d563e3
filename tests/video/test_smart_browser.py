"""A browser shows every frame around every border of copied and encoded GOPs."""

import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from app.video import open_source
from testmedia.videos import VideoSpec
from tests.browsers import PROGRAMS
from tests.video.smart_videos import frames_hidden, render

COUNT = 60

PAGE = """<!doctype html><body><script>
const bits = 8, wanted = WANTED;
function read(video, context) {
  context.drawImage(video, 0, 0);
  const at = (x, y) => context.getImageData(x, y, 1, 1).data;
  let number = 0;
  for (let bit = 0; bit < bits; bit++) {
    const x = Math.floor(video.videoWidth * (2 * bit + 1) / (2 * bits));
    if (at(x, Math.floor(video.videoHeight / 4))[0] > 125) number |= 1 << bit;
  }
  const below = at(Math.floor(video.videoWidth / 4), Math.floor(video.videoHeight * 3 / 4));
  return [number, below[0] > below[2] + 60];
}
async function run() {
  const video = document.createElement('video');
  video.muted = true;
  const blob = await (await fetch('/video.mp4')).blob();
  const failed = new Promise((_, no) => { video.onerror = () => no(video.error.message); });
  const once = (name) => Promise.race([failed, new Promise((yes) => {
    video.addEventListener(name, yes, {once: true});
  })]);
  video.src = URL.createObjectURL(blob);
  await once('loadeddata');
  const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
  const context = canvas.getContext('2d', {willReadFrequently: true});
  const seeks = [];
  for (const time of wanted) {
    // 'seeked' may come before the frame; a frame that is shown already is not shown again
    const shown = new Promise((yes) => video.requestVideoFrameCallback(yes));
    video.currentTime = time;
    await once('seeked');
    await Promise.race([shown, new Promise((yes) => setTimeout(yes, 2000))]);
    seeks.push(read(video, context));
  }
  video.currentTime = 0;
  await once('seeked');
  video.playbackRate = 0.5;
  const played = new Set();
  const see = () => {
    played.add(read(video, context)[0]);
    video.requestVideoFrameCallback(see);
  };
  video.requestVideoFrameCallback(see);
  const ended = once('ended');
  await video.play();
  await ended;
  return {seeks, played: played.size, duration: video.duration};
}
run().catch((error) => ({error: String(error)})).then(
  (found) => fetch('/found', {method: 'POST', body: JSON.stringify(found)}));
</script>"""


class _Handler(BaseHTTPRequestHandler):
    """Serves the page and the video, and receives the findings of the page."""

    server: "_Server"

    def do_GET(self) -> None:
        """Serve the page or the video."""
        body = self.server.answers.get(self.path, b"")
        self.send_response(200 if body else 404)
        self.send_header("Content-Type", "video/mp4" if "video" in self.path else "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        """Receive the findings."""
        self.server.found = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(204)
        self.end_headers()
        self.server.done.set()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the base
        """Log nothing."""


class _Server(ThreadingHTTPServer):
    def __init__(self, answers: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers = answers
        self.found: dict[str, Any] = {}
        self.done = threading.Event()


@contextmanager
def serving(answers: dict[str, bytes]) -> Iterator[_Server]:
    with _Server(answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def browser() -> str:
    found = next((path for name in PROGRAMS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("Chromium is not installed")
    return found


def shown(browser: str, video: Path, wanted: list[float], folder: Path) -> dict[str, Any]:
    """Return what the browser shows at times in seconds, and while it plays."""
    page = PAGE.replace("WANTED", json.dumps(wanted)).encode()
    with serving({"/": page, "/video.mp4": video.read_bytes()}) as server:
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        place = [f"--user-data-dir={folder}", f"http://127.0.0.1:{server.server_port}/"]
        quiet = subprocess.DEVNULL
        command = [browser, *options, "--remote-debugging-port=0", *place]
        with subprocess.Popen(
            command, stdout=quiet, stderr=quiet, start_new_session=True
        ) as process:
            try:
                assert server.done.wait(60), "the browser did not answer"
            finally:
                # The command may be a script that waits for the browser: end both.
                os.killpg(process.pid, signal.SIGKILL)
        return server.found


@pytest.mark.parametrize("profile", ["high", "baseline"])
def test_a_browser_shows_each_frame_at_its_time(profile: str, browser: str, tmp_path: Path) -> None:
    made = VideoSpec(size=(128, 96), count=COUNT, options={"g": "12", "profile": profile})
    source = made.write(tmp_path / "in.mp4")
    hidden = frames_hidden(COUNT, (0, 2), (26, 28), (50, 51))
    assert render(source, tmp_path / "out.mp4", hidden) is not None
    frames = open_source(tmp_path / "out.mp4")
    base = frames.info.time_base
    times = [float((frame.pts + 256) * base) for frame in frames]
    # From far to near, and back over every border.
    order = [*range(COUNT - 1, -1, -3), *range(0, COUNT, 2), *range(COUNT - 2, -1, -3)]
    found = shown(browser, tmp_path / "out.mp4", [times[n] for n in order], tmp_path / "profile")
    assert "error" not in found, found
    expected = [[0 if hidden[number] else number, True] for number in order]
    assert found["seeks"] == expected
    assert found["played"] > COUNT // 2
    assert found["duration"] == pytest.approx(COUNT / 25, abs=0.05)
