"""A review that begins without a video: files are chosen in the page."""

import json
import urllib.parse
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from app.config import Settings
from app.review.desk import Desk
from testmedia.clip import Clip
from testmedia.fetch import fetch
from testmedia.videos import VideoSpec
from tests.processes import wait_until
from tests.review.served import Client, serving

Clips = Callable[[str], Clip]


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    with serving(Desk("Ann", Settings(), tmp_path / "review")) as client:
        yield client


def reviews(client: Client) -> Any:
    status, body, _ = client.send("/api/reviews")
    assert status == HTTPStatus.OK
    return json.loads(body)["reviews"]


def choose_photo(client: Client, person: str, content: bytes, name: str = "a.jpg") -> Any:
    query = urllib.parse.urlencode({"name": person, "file": name})
    return client.upload(f"/api/people?{query}", content)


@pytest.mark.slow
def test_from_dropped_files_to_the_review(client: Client, clip: Clips, tmp_path: Path) -> None:
    assert reviews(client) == []
    status, person = choose_photo(client, "Barack", fetch("obama2.jpg").read_bytes())
    assert (status, person) == (200, {"name": "Barack", "photos": 1, "doubts": []})
    video = clip("calm").path.read_bytes()
    status, chosen = client.upload("/api/files?name=holiday.mp4", video)
    assert (status, chosen) == (200, {"id": "0"})
    body = json.dumps({"file": "0", "blur": "listed"}).encode()
    client.headers["Content-Type"] = "application/json"
    status, begun = client.upload("/api/analyse", body)
    assert (status, begun) == (200, {"id": "0"})
    wait_until(lambda: reviews(client)[0]["state"] in {"ready", "failed"}, timeout=120)
    assert reviews(client)[0]["state"] == "ready", reviews(client)
    state = client.get()
    assert [person["name"] for person in state["people"]] == ["Barack"]
    assert state["photos"] == {"Barack": 1}
    folder = tmp_path / "review"
    kept = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    assert sorted(kept) == [
        "people/Barack/a.jpg", "results/holiday.plan.json", "videos/holiday.mp4"
    ]  # fmt: skip
    assert client.picture("/photo/Barack/0.jpg").shape[2] == 3


def test_a_photo_without_a_face_is_refused_and_not_kept(client: Client, tmp_path: Path) -> None:
    video = VideoSpec(count=1).write(tmp_path / "one.mp4").read_bytes()
    for content in (b"no photo", video):
        status, answer = choose_photo(client, "Barack", content)
        assert status == HTTPStatus.BAD_REQUEST, answer
        assert answer["error"]["code"] == "bad_people"
    assert client.upload("/api/people", b"", "GET")[1] == {"people": []}
    assert not (tmp_path / "review/people/Barack").exists()


@pytest.mark.parametrize("name", ["../evil.mp4", "a/b.mp4", ".hidden", "a\nb", "..", "x" * 300])
def test_names_that_lead_elsewhere_are_refused(client: Client, name: str, tmp_path: Path) -> None:
    query = urllib.parse.urlencode({"name": name})
    assert client.upload(f"/api/files?{query}", b"x")[0] == HTTPStatus.BAD_REQUEST
    assert choose_photo(client, name, b"x")[0] == HTTPStatus.BAD_REQUEST
    assert client.upload(f"/api/people/{urllib.parse.quote(name, safe='')}", b"", "DELETE")[0] in {
        HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND
    }  # fmt: skip
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_file_that_is_no_video_is_refused_and_not_kept(client: Client, tmp_path: Path) -> None:
    status, answer = client.upload("/api/files?name=a.mp4", b"no video at all")
    assert (status, answer["error"]["code"]) == (415, "unsupported_media")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_equal_names_are_two_files(client: Client, tmp_path: Path) -> None:
    video = VideoSpec().write(tmp_path / "one.mp4").read_bytes()
    for number in range(2):
        status, chosen = client.upload("/api/files?name=a.mp4", video)
        assert (status, chosen["id"]) == (200, str(number))
    names = sorted(path.name for path in (tmp_path / "review/videos").iterdir())
    assert names == ["a-2.mp4", "a.mp4"]


def test_nobody_can_be_listed_without_photos(client: Client, tmp_path: Path) -> None:
    video = VideoSpec().write(tmp_path / "one.mp4").read_bytes()
    client.upload("/api/files?name=a.mp4", video)
    client.headers["Content-Type"] = "application/json"
    for request in ({"file": "0", "blur": "listed"}, {"file": "1", "blur": "everyone"}, {}):
        status, answer = client.upload("/api/analyse", json.dumps(request).encode())
        assert (status, answer["error"]["code"]) == (400, "bad_option")
    assert reviews(client) == []
