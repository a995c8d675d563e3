"""A browser for tests of the page, a server for it, and videos whose frames tell their numbers."""

import base64
import io
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]

from app.config import Settings
from app.edits import Editor
from app.files import sha256_of
from app.plan import Person, Plan, PlanTrack, SourceRecord
from app.review.desk import Case, Desk
from app.review.server import ReviewServer
from app.types import Size
from app.video import Media
from testmedia.videos import BITS, VideoSpec, times
from tests.edits.edited_plans import NOBODY
from tests.test_plan import make_plan, make_track

WAIT = 8_000
"""Milliseconds that a test waits for the page: machines of tests are busy."""
_PICTURE = """() => {
  const video = document.querySelector("video.after, video.before, img.picture");
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth || video.naturalWidth;
  canvas.height = video.videoHeight || video.naturalHeight;
  canvas.getContext("2d").drawImage(video, 0, 0);
  return canvas.toDataURL("image/png").split(",")[1];
}"""
"""The pixels of the picture that is on the screen."""


@dataclass
class Window:
    """A window of the browser, and everything that went wrong in it."""

    page: Any
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def watch(self) -> None:
        """Record errors and the addresses of requests."""
        page = self.page
        page.set_default_timeout(WAIT)
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda one: self.requests.append(one.url))

    def _heard(self, message: Any) -> None:
        if message.type == "error":
            self.errors.append(message.text)

    def open(self, url: str) -> None:
        """Open a review, and wait until a picture is on the screen."""
        self.page.goto(url)
        self.wait_for_picture()

    def wait_for_picture(self) -> None:
        """Wait until the picture of the frame at the playhead is on the screen."""
        self.page.wait_for_function(
            "() => document.querySelector('review-overlay svg[data-frame]')?.dataset.frame ==="
            " (document.querySelector('.transport input[type=number]')?.value ?? '')"
        )

    def forgive(self, text: str) -> None:
        """Drop the errors with a text, of which there must be one: the browser notes refusals."""
        left = [error for error in self.errors if text not in error]
        assert len(left) < len(self.errors)
        self.errors[:] = left

    def barriers(self) -> list[str]:
        """Return the serious faults that axe finds: those that bar people from using the page."""
        found = Axe().run(self.page).response["violations"]
        return [one["id"] for one in found if one["impact"] in {"serious", "critical"}]

    def seek(self, frame: int) -> None:
        """Go to a frame."""
        self.page.fill(".transport input[type=number]", str(frame))
        self.page.keyboard.press("Enter")
        self.page.evaluate("document.activeElement.blur()")
        self.page.wait_for_function(
            f"() => document.querySelector('review-overlay svg')?.dataset.frame === '{frame}'"
        )

    def keys(self, *names: str) -> None:
        """Press keys one after another."""
        for name in names:
            self.page.keyboard.press(name)

    def place(self, x: float, y: float, size: Size) -> tuple[float, float]:
        """Return where a pixel of the upright frame lies on the screen."""
        at = self.page.locator(".stage").bounding_box()
        return at["x"] + x / size[0] * at["width"], at["y"] + y / size[1] * at["height"]

    def drag(self, start: tuple[float, float], end: tuple[float, float], size: Size) -> None:
        """Drag with the mouse from one pixel of the frame to another."""
        mouse = self.page.mouse
        mouse.move(*self.place(*start, size))
        mouse.down()
        mouse.move(*self.place((start[0] + end[0]) / 2, (start[1] + end[1]) / 2, size))
        mouse.move(*self.place(*end, size))
        mouse.up()

    def pixels(self) -> Any:
        """Return the picture on the screen, (h, w, 3)."""
        data = base64.b64decode(self.page.evaluate(_PICTURE))
        decoded = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        assert decoded is not None
        return decoded[..., ::-1]

    def saved(self, number: int) -> None:
        """Wait until so many edits are saved."""
        self.page.wait_for_function(
            "(number) => document.body.dataset.edits === number", arg=str(number)
        )


@contextmanager
def window(browser: Any, **options: Any) -> Iterator[Window]:
    """Open a window; at the end, no error was written and nothing was asked of other servers."""
    context = browser.new_context(**{"viewport": {"width": 1440, "height": 900}, **options})
    opened = Window(context.new_page())
    opened.watch()
    try:
        yield opened
        assert not opened.errors, opened.errors
        foreign = [
            url for url in opened.requests if not url.startswith(("http://127.0.0.1:", "blob:"))
        ]
        assert foreign == []
    finally:
        context.close()


@contextmanager
def served(video: Path, plan: Path, reviewer: str = "Ann", **settings: Any) -> Iterator[str]:
    """Serve a review in this process, and return its address."""
    desk = Desk(reviewer, Settings(**settings))
    desk.add(Case(video, plan, video.with_name("result" + video.suffix)))
    with serving_desk(desk) as url:
        yield url


@contextmanager
def serving_desk(desk: Desk) -> Iterator[str]:
    """Serve the videos of a desk, and return the address."""
    server = ReviewServer(desk)
    thread = threading.Thread(target=server.run, kwargs={"browse": False})
    thread.start()
    try:
        yield server.url
    finally:
        server.stop()
        thread.join()


def number_in(pixels: Any) -> int:
    """Return the number that ``testmedia.videos.picture`` has drawn into a picture."""
    height, width = pixels.shape[:2]
    columns = [width * (2 * bit + 1) // (2 * BITS) for bit in range(BITS)]
    return sum(int(pixels[height // 4, x].mean() > 125) << bit for bit, x in enumerate(columns))


def write_plan_of(video: Path, tracks: Sequence[PlanTrack], size: Size, **changes: Any) -> Path:
    """Write the plan of a video with these tracks, beside it."""
    count, last = len(times(video)), float(times(video)[-1])
    record = SourceRecord(sha256_of(Media(video)), video.name, count, *size, last)
    values: dict[str, Any] = {"source": record, "shots": ((0, count),), "people": ()}
    plan: Plan = make_plan(*tracks, **values | changes)
    path = video.with_name(f"{video.stem}.plan.json")
    plan.write(path)
    return path


def still(
    number: int, first: int, last: int, box: tuple[float, float, float, float], **changes: Any
) -> PlanTrack:
    """Return a track of a face that rests."""
    frames = np.arange(first, last + 1)
    rows = np.column_stack([frames, np.tile(box, (len(frames), 1))])
    return make_track(number, first, last, boxes=rows, **NOBODY, **{"shot": 0, **changes})


def hour(folder: Path, tracks: int = 2_000) -> tuple[Path, Path]:
    """Write a video of an hour, whose packets repeat, and a plan with many tracks."""
    size, group, rate = (320, 180), 250, 25
    spec = VideoSpec(size=size, count=group, options={"g": str(group), "bf": "0"})
    short = spec.write(folder / "short.mp4")
    video = folder / "hour.mp4"
    with av.open(str(short)) as source, av.open(str(video), "w") as output:
        stream = source.streams.video[0]
        copy = output.add_stream_from_template(stream)
        packets = [
            (bytes(packet), packet.pts, packet.is_keyframe)
            for packet in source.demux(stream)
            if packet.pts is not None
        ]
        length = group * spec.times()[1]
        for turn in range(3600 * rate // group):
            for data, pts, is_key in packets:
                packet = av.Packet(data)
                packet.stream, packet.time_base = copy, spec.base
                packet.pts = packet.dts = pts + turn * length
                packet.is_keyframe = is_key
                output.mux(packet)
    return video, _many_tracks(video, size, tracks)


def _many_tracks(video: Path, size: Size, count: int) -> Path:
    """Write a plan with ten tracks in each of many shots; one in forty is unsure."""
    frames = 90_000
    shots = count // 10
    length = frames // shots
    random = np.random.default_rng(0)
    tracks = []
    for number in range(count):
        shot, place = divmod(number, 10)
        first = shot * length + int(random.integers(0, length // 2))
        last = first + int(random.integers(10, length // 2))
        box = (place * 30.0 + 2, 20.0, place * 30.0 + 28, 60.0)
        card = None if place == 9 else f"Person {place + 1}"
        unclear = "too dark" if card is None and shot % 4 == 0 else None
        is_unsure = unclear is not None or (place == 3 and shot % 4 == 0)
        changes = {"shot": shot, "card": card, "uncertain": is_unsure, "unclear": unclear}
        decision = "blur" if place in {0, 9} else "keep"
        tracks.append(still(number, first, last, box, decision=decision, **changes))
    source = SourceRecord(sha256_of(Media(video)), video.name, frames, *size, 3600.0)
    borders = tuple((shot * length, (shot + 1) * length) for shot in range(shots))
    plan = make_plan(*tracks, source=source, shots=borders, people=(Person("bob", 1),))
    path = video.with_name("hour.plan.json")
    plan.write(path)
    return path


def state_of(plan: Path) -> bytes:
    """Return the reviewed plan as bytes, with notes and confirmations."""
    review = Editor.open(plan).review
    out = io.StringIO()
    copy = plan.with_name("state.json")
    review.to_plan().write(copy)
    out.write(copy.read_text("utf-8"))
    out.write(json.dumps(sorted(str(target) for target in review.confirmed)))
    out.write(json.dumps(sorted((str(k), v) for k, v in review.notes.items())))
    return out.getvalue().encode()
