"""Measure a review as an editor sees it: until the first picture, and for one correction.

    python -m bench.review [--lines 360 1080]

For each size a video of one minute is made (that of ``bench.corrections``), with a plan in which
one face is hidden all the time, and a second one is visible for three seconds. The command is
started, and a headless Chromium opens its page. Measured are the seconds from the start of the
command to its address, from opening the page to the first picture, and from a click on "hide" until
the corrected video is complete; before that, everything is rendered once.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import which
from typing import IO

from playwright.sync_api import Browser, Page, sync_playwright

from app.video import Media
from bench.corrections import CLIP_FRAMES, LINES, REPEATS, plan_of, repeated
from bench.long_video import make

BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
_SECONDS = 3
_PATIENCE = 600_000
"""Milliseconds for a rendering of a minute on a busy machine."""
_PICTURE = """() => {
  const video = document.querySelector("video.after");
  const image = document.querySelector("img.picture");
  return (video && video.readyState >= 2) || (image && image.naturalWidth > 0);
}"""


@contextmanager
def serving(video: Path) -> Iterator[tuple[str, float]]:
    """Run the command; yield its address and the seconds until it was printed."""
    command = [sys.executable, "-m", "app.cli", "review", str(video), "--no-browser", "--quiet"]
    begin = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield _line(process.stdout), time.perf_counter() - begin
        finally:
            process.kill()


def _line(output: IO[str] | None) -> str:
    assert output is not None
    return output.readline().strip()


def measure(lines: int, folder: Path, browser: Browser) -> str:
    """Measure a video of some lines; return the text to print."""
    size = (lines * 16 // 9 // 2 * 2, lines)
    clip = make(CLIP_FRAMES, folder / f"clip{lines}.mp4", size=size).path
    video = repeated(clip, folder / f"minute{lines}.mp4", REPEATS)
    plan_of(Media(video), _SECONDS).write(video.with_name(f"minute{lines}.plan.json"))
    with serving(video) as (url, started):
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        begin = time.perf_counter()
        page.goto(url)
        page.wait_for_function(_PICTURE)
        seen = time.perf_counter() - begin
        first = _rendered(page)
        begin = time.perf_counter()
        page.evaluate(_HIDE)
        _rendered(page)
        corrected = time.perf_counter() - begin
        page.close()
    return (
        f"{lines:5} lines: address {started:5.2f} s, first picture {seen:5.2f} s,"
        f" first result {first:6.1f} s, correction {corrected:5.1f} s"
    )


_HIDE = """async () => {
  const state = await (await fetch("/api/reviews/0")).json();
  await fetch("/api/reviews/0/edits", {
    method: "POST",
    headers: {"Content-Type": "application/json", "If-Match": `"${state.number}"`},
    body: JSON.stringify({operation: "decide", target: {track: 1}, after: "blur"}),
  });
}"""
"""What a click on "hide" sends; the button itself is tested in ``tests/review``."""
_RENDER = """async () => {
  await fetch("/api/reviews/0/render", {
    method: "POST", headers: {"Content-Type": "application/json"}, body: "{}"});
  for (;;) {
    const progress = await (await fetch("/api/reviews/0/render")).json();
    if (progress.state !== "running") return progress.state;
    await new Promise((done) => setTimeout(done, 50));
  }
}"""


def _rendered(page: Page) -> float:
    """Render, and return the seconds until the result is complete."""
    page.set_default_timeout(_PATIENCE)
    begin = time.perf_counter()
    state = page.evaluate(_RENDER)
    if state != "done":
        raise SystemExit(f"review: the rendering has {state}")
    return time.perf_counter() - begin


def main() -> int:
    """Print the times."""
    parser = argparse.ArgumentParser(description="Measure a review.")
    parser.add_argument("--lines", type=int, nargs="+", default=LINES, help="sizes of the video")
    sizes: list[int] = parser.parse_args().lines
    program = next((found for name in BROWSERS if (found := which(name))), None)
    if program is None:
        print("review: no Chromium is installed", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for lines in sizes:
            print(measure(lines, Path(folder), browser), flush=True)
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
