"""Draw the pictures of docs/review.md: the page of the review, with a synthetic clip.

    python -m scripts.review_picture [FOLDER]

The people are those of ``scripts.readme_picture``, whose portraits are in the public domain. A
Chromium must be installed.
"""

import argparse
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, ViewportSize, sync_playwright

import app
from app.review.desk import Case, Desk
from app.review.server import ReviewServer
from scripts.readme_picture import REFERENCES, collins
from testmedia.clip import write_clip
from testmedia.fetch import fetch
from testmedia.photos import OBAMA
from testmedia.scene import Actor, Background, Scene, Shot, keys, ramp

FOLDER = Path(__file__).parents[1] / "docs" / "images"
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
_PATIENCE = 120_000
"""Milliseconds until the pictures are there, on a busy machine."""
_SHOWN = """() => document.querySelector("video.after")?.readyState >= 2
  && [...document.images].every((image) => image.complete)"""
_SIZE: ViewportSize = {"width": 1440, "height": 900}


def scene() -> Scene:
    """Two people pass each other; after a cut one of them is far away, and hard to recognise."""
    first = (
        Actor(collins(), keys({0: (510, 150), 30: (430, 165), 89: (150, 160)}), 68),
        Actor(OBAMA, keys({0: (110, 180), 40: (230, 175), 89: (490, 185)}), ramp({0: 66, 89: 96})),
    )
    second = (
        Actor(OBAMA, keys({0: (200, 190), 89: (240, 190)}), 16),
        Actor(collins(), keys({0: (450, 170), 89: (430, 175)}), 90),
    )
    shots = (
        Shot(90, first, Background((90, 110, 130), (1.0, 0.5), seed=7)),
        Shot(90, second, Background((120, 100, 90), (0.5, 0.0), seed=8)),
    )
    return Scene((640, 360), shots)


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Analyse the clip, serve its review, and yield the address."""
    people = folder / "people" / "Barack"
    people.mkdir(parents=True)
    for name in REFERENCES:
        shutil.copyfile(fetch(name), people / name)
    clip, plan = folder / "interview.mp4", folder / "interview.plan.json"
    write_clip(scene(), clip)
    settings = app.Settings(people=people.parent)
    app.FaceBlur(settings).analyse(clip).write(plan)
    desk = Desk("Ann", settings)
    desk.add(Case(clip, plan, folder / "interview.hidden.mp4"))
    server = ReviewServer(desk)
    thread = threading.Thread(target=server.run, kwargs={"browse": False})
    thread.start()
    try:
        yield server.url
    finally:
        server.stop()
        thread.join()


def draw(url: str, folder: Path) -> None:
    """Write the picture of the page, and that of a drawn region."""
    browser = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if browser is None:
        raise app.UsageError("no Chromium is installed")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        page = chromium.new_page(viewport=_SIZE, color_scheme="light")
        page.goto(url)
        _save(page, folder / "review.jpg")
        _draw_region(page)
        _save(page, folder / "review-region.jpg")
        chromium.close()


def _draw_region(page: Page) -> None:
    """Draw a box in the second shot, as a reviewer does."""
    page.keyboard.press("b")
    box = page.locator("review-overlay, svg.overlay").first.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] * 0.3, box["y"] + box["height"] * 0.3
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 60, y + 90, steps=5)
    page.mouse.up()


def _save(page: Page, path: Path) -> None:
    """Save what the page shows when all its pictures are there."""
    page.wait_for_function(_SHOWN, timeout=_PATIENCE)
    page.wait_for_timeout(1500)
    page.screenshot(path=path, type="jpeg", quality=80)


def main() -> int:
    """Write the pictures; 0 if they were written."""
    parser = argparse.ArgumentParser(description="Draw the pictures of the page of the review.")
    parser.add_argument("folder", type=Path, nargs="?", default=FOLDER, help="folder to write to")
    folder: Path = parser.parse_args().folder
    try:
        with tempfile.TemporaryDirectory() as work, served(Path(work)) as url:
            draw(url, folder)
    except app.FaceBlurError as error:
        print(f"review_picture: error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
