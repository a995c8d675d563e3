"""A review that is really served, and a client for it."""

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from app.config import Settings
from app.plan import Plan, SourceRecord
from app.review.desk import Case, Desk
from app.review.server import ReviewServer
from app.types import Image
from app.video import Media
from testmedia.videos import VideoSpec
from tests.edits.edited_plans import track
from tests.processes import wait_until
from tests.test_plan import make_plan

TOKEN = "test-token"
SIZE = (640, 360)
COUNT = 100
LOW = 260
"""Top of the faces in pixels: below the bits that tell the number of a picture."""


@dataclass
class Client:
    """Sends requests to a review as its own page does."""

    port: int
    headers: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.headers = {
            "Authorization": f"Bearer {TOKEN}",
            "Origin": f"http://127.0.0.1:{self.port}",
            **self.headers,
        }

    def send(
        self, path: str, value: Any = None, method: str | None = None, **headers: str
    ) -> tuple[int, bytes, dict[str, str]]:
        """Send a request; return status, body and headers of the response."""
        data = None if value is None else json.dumps(value).encode()
        given = {key.replace("_", "-"): text for key, text in headers.items()}
        sent = {k: v for k, v in (self.headers | given).items() if v}
        if data is not None:
            sent["Content-Type"] = "application/json"
        url = f"http://127.0.0.1:{self.port}{path}"
        request = urllib.request.Request(url, data, sent, method=method)
        opener = urllib.request.build_opener(_NoRedirect)
        try:
            with opener.open(request, timeout=30) as response:
                return response.status, response.read(), dict(response.headers)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read(), dict(error.headers)

    def upload(self, path: str, content: bytes, method: str = "POST") -> tuple[int, Any]:
        """Send a file; return status and JSON of the response."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", content, self.headers, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return response.status, json.loads(response.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    def get(self, path: str = "") -> Any:
        """Return the JSON of a part of the first review."""
        status, body, _ = self.send(f"/api/reviews/0{path}")
        assert status == HTTPStatus.OK, body
        return json.loads(body)

    def picture(self, path: str) -> Image:
        """Return a JPEG of the first review as RGB."""
        status, body, headers = self.send(f"/api/reviews/0{path}")
        assert (status, headers["Content-Type"]) == (HTTPStatus.OK, "image/jpeg"), body
        pixels = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR)
        assert pixels is not None
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), np.uint8)

    def edit(self, number: int, **edit: Any) -> tuple[int, Any]:
        """Make an edit; ``number`` is that of the edits that are known."""
        match = f'"{number}"'
        status, body, _ = self.send("/api/reviews/0/edits", edit, If_Match=match)
        return status, json.loads(body)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Follow no redirect."""


def made_video(path: Path, **changes: Any) -> Path:
    """Write a video of numbered pictures with noise, in groups of 12."""
    options = {"g": "12", "sc_threshold": "0", "preset": "ultrafast", "crf": "12"}
    spec = VideoSpec(size=SIZE, count=COUNT, noise=30, options=options, **changes)
    return spec.write(path)


def plan_of(video: Path, **changes: Any) -> Plan:
    """Return a plan with two people, one of whom is hidden, and a doubt."""
    source = SourceRecord(Media(video).sha256, video.name, COUNT, *SIZE, 4.0)
    tracks = [
        track(0, 0, 49, 100, LOW, card="alice"),
        track(1, 0, 49, 400, LOW, card="Person 1", decision="keep"),
        track(2, 50, 99, 400, LOW, card="alice", uncertain=True),
        track(3, 50, 99, 100, LOW, card="Person 1", decision="keep"),
    ]
    return make_plan(*tracks, source=source, shots=((0, 50), (50, COUNT)), **changes)


@contextmanager
def serving(desk: Desk, port: int = 0) -> Iterator[Client]:
    """Serve a desk in another thread until the end of the block."""
    server = ReviewServer(desk, port, TOKEN)
    thread = threading.Thread(target=server.run, kwargs={"browse": False})
    thread.start()
    try:
        yield Client(server.port)
    finally:
        server.stop()
        thread.join()


@contextmanager
def reviewing(folder: Path, video: Path | None = None) -> Iterator[Client]:
    """Serve the review of a made video in a folder, with its edits of before."""
    clip = video or folder / "clip.mp4"
    if not clip.exists():
        made_video(clip)
    plan = folder / "clip.plan.json"
    if not plan.exists():
        plan_of(clip).write(plan)
    desk = Desk("Ann", Settings(blur="everyone", effect="solid"))
    desk.add(Case(clip, plan, folder / "clip.hidden.mp4"))
    with serving(desk) as client:
        wait_until(lambda: client.get()["times_ready"])
        yield client
