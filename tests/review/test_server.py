"""The server of a review: what it shows, whom it answers, and what stays after it."""

import io
import json
import shutil
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from app.edits import Editor, Target
from app.plan import read_plan
from app.video import open_source
from testmedia.videos import number_of
from tests.processes import wait_until
from tests.review.served import COUNT, SIZE, Client, made_video, reviewing

BOX = (400, 260, 440, 300)
"""Place of the second person in the first shot: x1, y1, x2, y2."""


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_video(tmp_path_factory.mktemp("review") / "clip.mp4")


@pytest.fixture
def client(tmp_path: Path, video: Path) -> Iterator[Client]:
    shutil.copy(video, tmp_path / "clip.mp4")
    with reviewing(tmp_path) as client:
        yield client


def rendered(client: Client) -> Any:
    """Render, and return the state of the finished rendering."""
    status, _, _ = client.send("/api/reviews/0/render", {})
    assert status == HTTPStatus.ACCEPTED
    wait_until(lambda: client.get("/render")["state"] != "running")
    state = client.get("/render")
    assert state["state"] == "done", state
    return state


def detail(pixels: Any) -> float:
    """Return the deviation of the red channel, which is noise where nothing is hidden."""
    return float(pixels[..., 0].std())


def difference(one: Any, other: Any) -> float:
    return float(np.abs(one.astype(int) - other.astype(int)).mean())


def test_the_state_shows_the_people_and_the_doubts(client: Client) -> None:
    state = client.get()
    assert [(card["name"], card["decision"]) for card in state["cards"]] == [
        ("alice", "blur"), ("Person 1", "keep")
    ]  # fmt: skip
    assert [doubt["target"] for doubt in state["doubts"]] == [{"track": 2}]
    boxes = np.frombuffer(client.send("/api/reviews/0/boxes")[1], "<f4").reshape(-1, 4)
    assert boxes.shape == (200, 4)
    assert boxes[50].tolist() == list(BOX)
    assert client.get("/times")["times"][:3] == [0.0, 0.04, 0.08]


def test_a_frame_after_hiding_is_that_of_the_result(client: Client, tmp_path: Path) -> None:
    client.edit(0, operation="decide", target={"track": 1}, after="blur")
    rendered(client)
    results = list(open_source(tmp_path / "clip.hidden.mp4"))
    assert len(results) == COUNT
    for number in range(0, COUNT, 5):
        shown = client.picture(f"/frame/{number}.jpg?height=360")
        assert number_of(shown) == number
        result = results[number].rgb()
        assert difference(shown, result) < 8
        # A hidden face is black; the place of a visible one is red on the left, blue on the right.
        for picture in (shown, result):
            assert (picture[260:300, 100:140, 0].mean() < 60) == (number < 50)
            assert picture[260:300, 400:440, 2].mean() < 60


def test_clear_pictures_are_sent_only_when_they_were_asked_for(client: Client) -> None:
    for path in ("/frame/10.jpg?side=before", "/segment/before/0/clear.mp4"):
        assert client.send(f"/api/reviews/0{path}")[0] == HTTPStatus.FORBIDDEN
    hidden = client.picture("/face/0/10.jpg?size=160")
    client.send("/api/reviews/0/clear", {"clear": True})
    clear = client.picture("/face/0/10.jpg?size=160")
    before = client.picture("/frame/10.jpg?side=before&height=360")
    # The middle of the picture is the middle of the face.
    assert detail(hidden[60:100, 60:100]) < detail(clear[60:100, 60:100]) / 3
    [source] = [frame for frame in open_source(before_path(client)) if frame.index == 10]
    assert difference(before, source.rgb()) < 8
    client.send("/api/reviews/0/clear", {"clear": False})
    assert client.send("/api/reviews/0/frame/10.jpg?side=before")[0] == HTTPStatus.FORBIDDEN


def rgb(frame: av.VideoFrame) -> Any:
    return frame.to_ndarray(format="rgb24")


def before_path(client: Client) -> Path:
    return Path(client.get("/render")["path"]).with_name("clip.mp4")


def test_segments_have_the_frames_and_times_of_the_video(client: Client) -> None:
    segments = client.get()["segments"]
    assert segments["bounds"] == [0, 50, 100]
    for number, key in enumerate(segments["after"]):
        status, body, _ = client.send(f"/api/reviews/0/segment/after/{number}/{key}.mp4")
        assert status == HTTPStatus.OK
        with av.open(io.BytesIO(body), "r") as container:
            stream = container.streams.video[0]
            profile = (stream.codec_context.extradata or b"")[1:4].hex()
            assert f"avc1.{profile}" in segments["mime"]
            frames = list(container.decode(stream))
            times = [float((frame.pts or 0) * (stream.time_base or 1)) for frame in frames]
        assert times == pytest.approx([n * 0.04 for n in range(50)])
        first = segments["bounds"][number]
        assert [number_of(rgb(f)) for f in frames] == list(range(first, first + 50))


def test_an_edit_changes_the_keys_of_its_segments_only(client: Client) -> None:
    before = client.get()["segments"]["after"]
    status, state = client.edit(0, operation="decide", target={"track": 3}, after="blur")
    assert status == HTTPStatus.CREATED
    after = state["segments"]["after"]
    assert (before[0] == after[0], before[1] == after[1]) == (True, False)
    assert client.send(f"/api/reviews/0/segment/after/1/{before[1]}.mp4")[0] == 404


def test_the_second_of_two_windows_learns_who_was_first(client: Client) -> None:
    client.edit(0, operation="decide", target={"track": 1}, after="blur")
    status, answer = client.edit(0, operation="decide", target={"track": 1}, after="keep")
    assert status == HTTPStatus.CONFLICT
    error = answer["error"]
    assert (error["reviewer"], error["number"], error["target"]) == ("Ann", 1, {"track": 1})
    assert client.get()["tracks"][1]["decision"] == "blur"


def test_another_program_that_edits_is_noticed(client: Client, tmp_path: Path) -> None:
    editor = Editor.open(tmp_path / "clip.plan.json")
    editor.edit("decide", Target("track", 1), "blur", "Bob")
    status, answer = client.edit(0, operation="decide", target={"track": 3}, after="blur")
    assert (status, answer["error"]["reviewer"]) == (HTTPStatus.CONFLICT, "Bob")
    assert client.get()["number"] == 1


def test_edits_are_there_after_a_restart(tmp_path: Path) -> None:
    with reviewing(tmp_path) as client:
        client.edit(0, operation="decide", target={"card": "Person 1"}, after="blur")
        client.edit(1, operation="note", target={"track": 0}, after="<script>alert(1)</script>")
    with reviewing(tmp_path) as client:
        state = client.get()
        assert state["number"] == 2
        assert [track["decision"] for track in state["tracks"]] == ["blur"] * 4
        assert state["tracks"][0]["note"] == "<script>alert(1)</script>"


def test_only_changed_groups_are_encoded_again(client: Client, tmp_path: Path) -> None:
    rendered(client)
    first = packets(tmp_path / "clip.hidden.mp4")
    assert client.get()["rendered"]["stale"] is False
    client.edit(0, operation="decide", target={"track": 3}, after="blur")
    state = client.get()["rendered"]
    assert (state["stale"], state["changes"], state["changed_segments"]) == (True, 1, 1)
    rendered(client)
    second = packets(tmp_path / "clip.hidden.mp4")
    assert len(first) == len(second) == COUNT
    same = [one == other for one, other in zip(first, second, strict=True)]
    # Track 3 begins at frame 50.
    assert sum(same) >= 36
    assert not any(same[50:])
    assert read_plan(tmp_path / "clip.plan.json").tracks[3].decision == "keep"


def packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/", {"Authorization": ""}, 403),
        ("/?token=wrong", {"Authorization": ""}, 403),
        ("/api/reviews", {"Authorization": "Bearer wrong"}, 403),
        ("/api/reviews", {"Host": "evil.example"}, 403),
        ("/api/reviews", {"Host": "127.0.0.1:1"}, 403),
        ("/api/reviews", {"Origin": "http://evil.example"}, 403),
        ("/api/reviews", {"Origin": "null"}, 403),
        ("/static/../routes.py", {}, 404),
        ("/static/%2e%2e%2froutes.py", {}, 404),
        ("/static/..%5croutes.py", {}, 404),
        ("/static/nothing.js", {}, 404),
        ("/api/reviews/..%2f0", {}, 404),
        ("/api/reviews/1", {}, 400),
        ("/api/reviews/-1", {}, 400),
        ("/api/reviews/0/frame/999.jpg", {}, 400),
        ("/api/reviews/0/frame/1.jpg?height=99999", {}, 400),
        ("/api/reviews/0/frame/1.jpg?side=..", {}, 400),
        ("/api/reviews/0/photo/..%2f..%2fetc/0.jpg", {}, 404),
        ("/api/reviews/0/photo/alice/0.jpg", {}, 400),
        ("/api/reviews/0/segment/after/7/x.mp4", {}, 404),
        ("/api/reviews/0/result", {}, 404),
    ],
)
def test_strangers_and_tricks_are_refused(
    client: Client, path: str, headers: dict[str, str], status: int
) -> None:
    found, body, _ = client.send(path, **headers)
    assert found == status, body


@pytest.mark.parametrize("origin", ["", "http://evil.example", "http://localhost.evil:80"])
def test_changes_need_the_origin_of_the_page(client: Client, origin: str) -> None:
    edit = {"operation": "decide", "target": {"track": 1}, "after": "blur"}
    path = "/api/reviews/0/edits"
    status, _, _ = client.send(path, edit, Origin=origin, If_Match='"0"')
    assert status == HTTPStatus.FORBIDDEN
    assert client.get()["number"] == 0


def test_the_address_gives_a_cookie_that_scripts_and_other_sites_do_not_get(client: Client) -> None:
    status, _, headers = client.send("/?token=test-token", Authorization="", Origin="")
    assert status == HTTPStatus.SEE_OTHER
    assert headers["Location"] == "/"
    cookie = headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    name = cookie.partition(";")[0]
    status, _, _ = client.send("/api/reviews", Authorization="", Origin="", Cookie=name)
    assert status == HTTPStatus.OK


def test_nothing_is_kept_in_caches(client: Client) -> None:
    for path in ("/api/reviews", "/api/reviews/0", "/api/reviews/0/frame/1.jpg", "/nothing", "/"):
        _, _, headers = client.send(path)
        assert headers["Cache-Control"] == "no-store"
        assert "default-src 'none'" in headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    "edit",
    [
        {},
        {"operation": "decide"},
        {"operation": "decide", "target": {"track": 1, "card": "alice"}, "after": "blur"},
        {"operation": "decide", "target": {"track": "1"}, "after": "blur"},
        {"operation": "decide", "target": {"tractor": 1}, "after": "blur"},
        {"operation": "explode", "target": {"track": 1}, "after": "blur"},
        {"operation": "undo"},
        {"operation": 3},
    ],
)
def test_wrong_edits_are_refused_with_a_reason(client: Client, edit: dict[str, Any]) -> None:
    status, answer = client.edit(0, **edit)
    assert status == HTTPStatus.BAD_REQUEST
    assert answer["error"]["message"]
    assert client.get()["number"] == 0


def test_a_rotated_video_is_shown_upright(tmp_path: Path) -> None:
    turned = [0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30]
    video = made_video(tmp_path / "clip.mp4", matrix=turned)
    frames = list(open_source(video))
    assert frames[0].size == SIZE
    with reviewing(tmp_path, video) as client:
        for number in (0, 33, 99):
            shown = client.picture(f"/frame/{number}.jpg?height=360")
            assert shown.shape[1::-1] == SIZE
            assert number_of(shown) == number


def test_a_request_without_json_is_refused(client: Client) -> None:
    status, body, _ = client.send("/api/reviews/0/clear", [1])
    assert (status, json.loads(body)["error"]["code"]) == (400, "bad_option")
