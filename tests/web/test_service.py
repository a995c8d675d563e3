"""The running service: its responses, its errors, and the files that it leaves."""

import logging
import re
import shutil
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from testmedia.clip import Clip
from testmedia.fetch import fetch
from testmedia.heic import heic
from tests.processes import wait_until
from tests.web.service_process import (
    FORM,
    OPTIONS,
    HttpResponse,
    RunningService,
    form,
    read_response,
)

Clips = Callable[[str], Clip]
README = Path(__file__).parents[2] / "README.md"
LOGGER = logging.getLogger(__name__)
"""Logs measurements: pytest --log-cli-level=INFO shows them."""
SLOW = "sampling=every, effect=solid"
"""Options with which the work on a clip takes seconds."""


@pytest.fixture(scope="module")
def shared_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    spool = tmp_path_factory.mktemp("spool")
    with RunningService(
        spool,
        metrics=1,
        idle_seconds=2,
        queue=1,
        max_bytes=2 * 2**30,
        max_frames=170,
        max_seconds=10,
        max_pixels=1300 * 1000,
    ) as running:
        LOGGER.info("start to first ping: %.2f s", running.seconds_to_ping)
        yield running


@pytest.fixture
def service(shared_service: RunningService) -> Iterator[RunningService]:
    """The running service; its spool must be empty after each test."""
    yield shared_service
    shared_service.wait_until_clean()
    assert shared_service.process.poll() is None
    assert shared_service.request("GET", "/ping").status == 200


@pytest.fixture(scope="module")
def portrait() -> bytes:
    return fetch("obama.jpg").read_bytes()


@pytest.fixture(scope="module")
def video(clip: Clips) -> bytes:
    """A clip on which the work takes seconds with ``SLOW``."""
    return clip("edges").path.read_bytes()


def _frames(content: bytes, path: Path) -> int:
    path.write_bytes(content)
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def _blocks(content: bytes, size: int = 50_000) -> Iterator[bytes]:
    return (content[at : at + size] for at in range(0, len(content), size))


def test_ping_and_execution_parameters(service: RunningService) -> None:
    ping = service.request("GET", "/ping")
    assert (ping.status, ping.body) == (200, b"")
    parameters = service.request("GET", "/execution-parameters")
    assert (parameters.status, parameters.json) == (
        200,
        {"MaxConcurrentTransforms": 1, "MaxPayloadInMB": 0},
    )


@pytest.mark.parametrize("chunked", [False, True])
def test_a_video_is_returned_in_its_format(
    service: RunningService, carphone: Path, tmp_path: Path, *, chunked: bool
) -> None:
    content = carphone.read_bytes()
    kind = "video/mp4" if chunked else "application/x-www-form-urlencoded"
    response = service.invoke(_blocks(content) if chunked else content, Content_Type=kind)
    assert (response.status, response.headers["Content-Type"]) == (200, "video/mp4")
    assert int(response.headers["Content-Length"]) == len(response.body)
    assert (
        response.headers["X-Face-Blur-Summary"]
        == "frames=120 tracks=1 hidden=1 uncertain=0 unclear=0 not_found=0"
    )
    assert _frames(response.body, tmp_path / "answer.mp4") == 120


def test_an_image_is_returned_in_its_format(
    service: RunningService, portrait: bytes, tmp_path: Path
) -> None:
    response = service.invoke(portrait, "effect=solid", Content_Type="application/x-image")
    assert (response.status, response.headers["Content-Type"]) == (200, "image/jpeg")
    path = tmp_path / "answer.jpg"
    path.write_bytes(response.body)
    with Image.open(path) as image, Image.open(fetch("obama.jpg")) as before:
        assert image.size == before.size
        assert max(image.getpixel((490, 250))) < 10, "in the middle of the face"  # type: ignore[arg-type]


def test_a_photo_of_a_phone_is_hidden_by_a_photo_of_a_phone(
    service: RunningService, tmp_path: Path
) -> None:
    """HEIC is read by the child process, and returned as JPEG."""
    photos = []
    for medium in ("obama.jpg", "obama2.jpg"):
        with Image.open(fetch(medium)) as image:
            half = np.array(image.convert("RGB").reduce(2))
        photos.append(heic(half[: len(half) // 2 * 2, : half.shape[1] // 2 * 2]))
    media, person = photos
    body = form(
        ("media", "x.heic", media), ("people", "alice.HEIC", person), ("effect", None, b"solid")
    )
    response = service.invoke(body, Content_Type=FORM)
    assert (response.status, response.headers["Content-Type"]) == (200, "image/jpeg")
    (tmp_path / "answer.jpg").write_bytes(response.body)
    with Image.open(tmp_path / "answer.jpg") as image:
        assert max(image.getpixel((245, 125))) < 10, "in the middle of the face"  # type: ignore[arg-type]
    with Path(f"/proc/{service.worker}/maps").open() as maps:
        assert "libheif" not in maps.read(), "the parent opens no media"


def test_accepting_json_returns_the_plan(service: RunningService, portrait: bytes) -> None:
    response = service.invoke(portrait, "blur=everyone", Accept="application/json")
    assert (response.status, response.headers["Content-Type"]) == (200, "application/json")
    plan = response.json
    assert (plan["version"], plan["source"]["name"], plan["source"]["frames"]) == (1, "media", 1)
    assert [track["decision"] for track in plan["tracks"]] == ["blur"]
    assert plan["models"]["recogniser"] is None, "no recogniser was needed"


def test_a_form_contains_media_people_and_options(
    service: RunningService, clip: Clips, people: Path
) -> None:
    photos = sorted((people / "obama").iterdir())
    parts = [("people", f"obäma/{path.name}", path.read_bytes()) for path in photos]
    body = form(
        ("media", "x.mp4", clip("calm").path.read_bytes()), *parts, ("effect", None, b"pixelate")
    )
    response = service.invoke(_blocks(body), Content_Type=FORM, Accept="application/json")
    assert response.status == 200, response.body
    plan = response.json
    assert plan["settings"]["effect"] == "pixelate"
    assert plan["people"] == [{"name": "obäma", "photos": 2}]
    decisions = {track["person"]: track["decision"] for track in plan["tracks"]}
    assert decisions == {"obäma": "blur", None: "keep"}


def _png(path: Path, width: int, height: int) -> bytes:
    Image.fromarray(np.zeros((height, width), np.uint8)).save(path)
    return path.read_bytes()


def test_bad_requests(
    service: RunningService, clip: Clips, portrait: bytes, tmp_path: Path
) -> None:
    calm = clip("calm").path.read_bytes()
    photo = ("people", "alice.png", _png(tmp_path / "nobody.png", 100, 100))
    cases: list[tuple[bytes, dict[str, str], int, str, str]] = [
        (portrait, {OPTIONS: "bogus=1"}, 400, "bad_option", "bogus; valid are: blur"),
        (portrait, {OPTIONS: "margin=7"}, 400, "bad_option", "valid are: blur"),
        (portrait, {OPTIONS: "threads=1"}, 400, "bad_option", "unknown option threads"),
        (portrait, {OPTIONS: "blur=listed"}, 400, "bad_option", "needs people or select"),
        (portrait, {OPTIONS: "select=0,1,1"}, 400, "bad_option", "the image shows a face at 0,"),
        (portrait, {OPTIONS: "select=0:01.5,1,1"}, 400, "bad_option", "an image has only frame 0"),
        (portrait, {OPTIONS: "select=0,99999,1"}, 400, "bad_option", "lies outside the picture"),
        (portrait, {"Accept": "application/json; embeddings=1"}, 400, "bad_option", "disabled"),
        (form(photo), {"Content-Type": FORM}, 400, "bad_option", "no file called media"),
        (b"--xXx\r\n\r\n", {"Content-Type": FORM}, 400, "bad_option", "malformed"),
        (
            form(("media", "x", portrait), photo), {"Content-Type": FORM},
            400, "bad_people", "photo 1 of the form: no face found",
        ),
        (
            form(("media", "x", portrait), ("people", "../alice.jpg", b"")),
            {"Content-Type": FORM}, 400, "bad_people", "NAME.jpg or NAME/x.jpg",
        ),
        (_png(tmp_path / "large.png", 2000, 1000), {}, 413, "too_large", "2000 x 1000"),
        (b'{"input": "s3://alice/a"}', {}, 400, "bad_ticket", "tickets are disabled"),
        (b"hello " * 30_000, {}, 415, "unsupported_media", "not a supported video or image"),
        (b"#EXTM3U\n/etc/passwd\n", {}, 415, "unsupported_media", "not a playlist"),
        (b"", {}, 422, "broken_media", "the file is empty"),
        (calm[:-20_000], {}, 422, "broken_media", "media: cut off"),
    ]  # fmt: skip
    for body, headers, status, code, message in cases:
        response = service.request("POST", "/invocations", body, **headers)
        assert (response.status, response.code) == (status, code), response.body
        actual = response.json["error"]["message"]
        assert message in actual
        secrets = ("alice", str(service.spool), "request-")
        assert not any(secret in actual for secret in secrets), actual


@pytest.mark.parametrize(
    ("frames", "rate", "message"), [(171, 25, "170 frames"), (22, 2, "longer than the 10 s")]
)
def test_too_long_videos_are_refused(
    service: RunningService, tmp_path: Path, frames: int, rate: int, message: str
) -> None:
    response = service.invoke(_black(tmp_path / "long.mp4", frames, rate))
    assert (response.status, response.code) == (413, "too_large")
    assert message in response.json["error"]["message"]


def test_a_video_that_declares_too_little_is_refused_all_the_same(
    service: RunningService, tmp_path: Path
) -> None:
    content = _black(tmp_path / "long.mkv", 22, 2)
    at = content.index(b"\x44\x89\x88") + 3
    assert struct.unpack(">d", content[at : at + 8]) == (11000,), "milliseconds"
    content = content[:at] + struct.pack(">d", 500) + content[at + 8 :]
    response = service.invoke(content)
    assert (response.status, response.code) == (413, "too_large")
    assert "although it declares less" in response.json["error"]["message"]


def test_a_format_that_is_only_read_is_returned_as_matroska(
    service: RunningService, tmp_path: Path
) -> None:
    response = service.invoke(_black(tmp_path / "video.mpg", 5, 25, "mpeg2video"))
    assert (response.status, response.headers["Content-Type"]) == (200, "video/x-matroska")
    assert _frames(response.body, tmp_path / "answer.mkv") == 5


def _black(path: Path, frames: int, rate: int, codec: str = "libx264") -> bytes:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=rate)
        assert isinstance(stream, av.VideoStream)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for _ in range(frames):
            frame = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path.read_bytes()


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_curl_command_of_the_readme_works(
    service: RunningService, clip: Clips, tmp_path: Path
) -> None:
    line = re.search(
        r"^curl (.*localhost:8080/invocations .*)$", README.read_text("utf-8"), re.MULTILINE
    )
    assert line is not None
    shutil.copy(clip("calm").path, tmp_path / "interview.mp4")
    shutil.copy(fetch("obama2.jpg"), tmp_path / "alice.jpg")
    arguments = line[1].replace("localhost:8080", f"127.0.0.1:{service.port}").split()
    subprocess.run(["curl", "--silent", *arguments], cwd=tmp_path, check=True, timeout=60)
    assert _frames((tmp_path / "hidden.mp4").read_bytes(), tmp_path / "copy.mp4") == 60


def test_a_too_large_content_length_is_refused_at_once(service: RunningService) -> None:
    with service.begin(b"", length=3 * 2**30) as connection:
        response = read_response(connection)
    assert (response.status, response.code) == (413, "too_large")


def test_other_content_than_media_is_refused_early(service: RunningService) -> None:
    with service.begin(b"hello " * 300_000, length=2**30) as connection:
        response = read_response(connection)
    assert (response.status, response.code) == (415, "unsupported_media")


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/invocations", 405), ("GET", "/x", 404)]
)
def test_other_routes(service: RunningService, method: str, path: str, status: int) -> None:
    response = service.request(method, path)
    assert response.status == status
    assert response.json["error"]["message"]


def test_a_body_shorter_than_declared_is_refused(service: RunningService, portrait: bytes) -> None:
    with service.begin(portrait, length=len(portrait) + 1) as connection:
        connection.shutdown(1)
        response = read_response(connection)
    assert (response.status, response.code) == (400, "incomplete_upload")


def test_an_incomplete_chunked_body_is_refused(service: RunningService, portrait: bytes) -> None:
    with service.begin_chunks() as connection:
        connection.sendall(b"%x\r\n%s\r\n" % (len(portrait), portrait))
        connection.shutdown(1)
        response = read_response(connection)
    assert (response.status, response.code) == (400, "incomplete_upload")


def test_an_idle_client_is_disconnected(service: RunningService, portrait: bytes) -> None:
    with service.begin(portrait, length=len(portrait) + 1) as connection:
        response = read_response(connection)
    assert (response.status, response.code) == (400, "incomplete_upload")


@pytest.mark.parametrize("working", [False, True])
def test_work_stops_when_the_client_disconnects(
    service: RunningService, video: bytes, *, working: bool
) -> None:
    connection = service.begin(video, SLOW, length=None if working else 2 * len(video))
    if working:
        service.wait_for_work()
    else:
        wait_until(lambda: bool(service.spooled()))
    connection.close()
    service.wait_until_clean()
    code = "interrupted" if working else "incomplete_upload"
    line = service.wait_for_log(
        lambda line: line.get("received_bytes") == len(video) and line["code"] == code
    )
    assert "render" not in line["seconds"]


def test_one_request_runs_one_waits_and_the_next_is_refused(
    service: RunningService, video: bytes, portrait: bytes
) -> None:
    first = service.begin(video, SLOW)
    service.wait_for_work()
    second = service.begin(portrait)
    wait_until(lambda: service.metric("face_blur_invocations_present") == 2)
    third = service.invoke(portrait)
    assert (third.status, third.code) == (503, "busy")
    assert int(third.headers["Retry-After"]) > 0
    assert service.metric("face_blur_invocations_working") == 1
    first.close()
    with second:
        assert read_response(second).status == 200


def test_two_simultaneous_requests_both_succeed(service: RunningService, portrait: bytes) -> None:
    responses: list[HttpResponse] = []
    threads = [
        threading.Thread(target=lambda: responses.append(service.invoke(portrait)))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [response.status for response in responses] == [200, 200]
    assert responses[0].body == responses[1].body


def test_pings_are_answered_during_work(service: RunningService, video: bytes) -> None:
    with service.begin(video, SLOW):
        service.wait_for_work()
        times: list[float] = []
        while service.metric("face_blur_invocations_working") == 1 and len(times) < 200:
            began = time.perf_counter()
            assert service.request("GET", "/ping").status == 200
            times.append(time.perf_counter() - began)
    assert len(times) >= 50
    p50, p99 = np.percentile(times, [50, 99]) * 1000
    LOGGER.info("ping during work: p50 %.1f ms, p99 %.1f ms, %d pings", p50, p99, len(times))
    assert p99 < 200


def _resident(pid: int, what: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(what):
            return int(line.split()[1]) * 1024
    raise AssertionError(what)


def test_a_large_body_takes_no_memory(service: RunningService) -> None:
    """1 GiB in chunks that begins like an MP4 is spooled, and contains no video."""
    worker = service.worker
    before = _resident(worker, "VmRSS")
    Path(f"/proc/{worker}/clear_refs").write_text("5")  # the peak counts from here
    with service.begin_chunks() as connection:
        for start in (
            struct.pack(">I4s8s", 16, b"ftyp", b"isom"),
            struct.pack(">I4s", 2**30, b"free"),
        ):
            connection.sendall(b"%x\r\n%s\r\n" % (len(start), start))
        zeros = b"100000\r\n" + b"\0" * 2**20 + b"\r\n"
        for _ in range(1023):
            connection.sendall(zeros)
        connection.sendall(b"ffff8\r\n" + b"\0" * (2**20 - 8) + b"\r\n0\r\n\r\n")
        response = read_response(connection)
    grown = _resident(worker, "VmHWM") - before
    assert (response.status, response.code) == (422, "broken_media")
    line = service.log_line(response)
    LOGGER.info(
        "1 GiB: RSS %d MiB, at most %d more; %s", before >> 20, grown >> 20, line["seconds"]
    )
    assert line["received_bytes"] == 2**30 + 16
    assert grown < 64 * 2**20


def test_the_log_has_times_and_counts_and_no_names(
    service: RunningService, portrait: bytes
) -> None:
    response = service.invoke(
        form(("media", "secret.jpg", portrait), ("people", "alice.jpg", portrait)),
        Content_Type=FORM,
    )
    line = service.log_line(response)
    assert line["status"] == 200
    assert {"receive", "wait", "people", "analyse", "render", "total"} == line["seconds"].keys()
    assert (line["frames"], line["people"], line["hidden"]) == (1, 1, 1)
    # The line of the start names the folder of the spool, but none of those of requests in it.
    started, lines = (
        [one for one in service.log if (one["event"] == "ready") == wanted]
        for wanted in (True, False)
    )
    assert [line["spool"] for line in started] == [str(service.spool)]
    text = str(lines)
    assert not any(secret in text for secret in ("alice", "secret", "obäma", str(service.spool)))
    assert not any(folder.name in str(started) for folder in service.spool.iterdir())
