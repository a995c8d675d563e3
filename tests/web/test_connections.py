"""Slow, silent, malformed and half-closed clients; pings are answered beside all of them."""

import json
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from app.temporary import make_folder, temporary_folder
from testmedia.fetch import fetch
from tests.processes import wait_until
from tests.web.service_process import FORM, HttpResponse, RunningService, form, read_response

SILENT = 1100
SLOW = 50


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    with RunningService(tmp_path_factory.mktemp("spool"), metrics=1) as running:
        yield running


@pytest.fixture(scope="module")
def portrait() -> bytes:
    return fetch("obama2.jpg").read_bytes()


def connect(service: RunningService) -> socket.socket:
    return socket.create_connection(("127.0.0.1", service.port), 30)


def ping_seconds(service: RunningService, number: int) -> list[float]:
    """Return the times of pings, each over a new connection, in order of size."""
    times = []
    for _ in range(number):
        began = time.monotonic()
        assert service.request("GET", "/ping").status == 200
        times.append(time.monotonic() - began)
    return sorted(times)


def percentile(times: list[float]) -> float:
    """Return the 99th percentile."""
    return sorted(times)[int(0.99 * len(times))]


@pytest.mark.slow
def test_pings_are_answered_beside_silent_and_slow_clients(
    service: RunningService, portrait: bytes
) -> None:
    soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(most, 4096)), most))
    with ExitStack() as stack:
        for _ in range(SILENT):
            stack.enter_context(connect(service))
        slow = [stack.enter_context(connect(service)) for _ in range(SLOW)]
        for number, client in enumerate(slow):
            head = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n"
            client.sendall((head + b"\r\n" + portrait[:99])[: 60 if number % 2 else None])
        times = ping_seconds(service, 200)
        for client in slow:
            try:
                client.sendall(b"x")
            except OSError:  # refused and closed meanwhile
                continue
        times += ping_seconds(service, 100)
    assert percentile(times) < 0.2
    # The places of the clients that have gone are free once their threads have noticed it.
    wait_until(lambda: service.metric("face_blur_invocations_present") == 0, timeout=5)
    assert service.invoke(portrait).status == 200


def test_half_a_head_is_disconnected(service: RunningService) -> None:
    clients = [connect(service) for _ in range(20)]
    began = time.monotonic()
    for client in clients:
        client.sendall(b"GET /pi")
    assert ping_seconds(service, 5)[-1] < 1
    for client in clients:
        with client:
            assert client.recv(1) == b"", "closed without an answer"
    assert 9 < time.monotonic() - began < 15


def test_a_head_may_arrive_in_pieces(service: RunningService, portrait: bytes) -> None:
    head = f"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: {len(portrait)}\r\n\r\n"
    with connect(service) as client:
        for at in range(0, len(head), 7):
            client.sendall(head[at : at + 7].encode())
            time.sleep(0.01)
        client.sendall(portrait)
        assert read_response(client).status == 200


def test_a_connection_serves_pipelined_requests(service: RunningService) -> None:
    ping = b"GET /ping HTTP/1.1\r\nHost: x\r\n\r\n"
    with connect(service) as client:
        for _ in range(3):
            client.sendall(ping)
            assert read_response(client).status == 200
        client.sendall(ping + ping + ping[:9])
        client.sendall(ping[9:])
        received = b""
        while received.count(b"HTTP/1.1 200 OK") < 3:
            received += client.recv(4096)


def test_a_slow_upload_makes_place(tmp_path: Path, portrait: bytes) -> None:
    """The rate counts after 20 s; a byte at a time never reaches it."""
    with RunningService(tmp_path, queue=0, metrics=1) as service, connect(service) as slow:
        head = f"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Length: {len(portrait)}\r\n\r\n"
        slow.sendall(head.encode())
        slow.settimeout(0.5)
        began = time.monotonic()
        answer = b""
        while b"}}" not in answer and time.monotonic() - began < 40:
            try:
                slow.sendall(b"\xff")
                answer += slow.recv(4096)
            except TimeoutError:
                assert service.invoke(portrait).status == 503 or time.monotonic() - began > 20
        assert 18 < time.monotonic() - began < 30
        assert b" 400 " in answer
        assert b"incomplete_upload" in answer
        assert service.invoke(portrait).status == 200


def test_a_half_closed_client_gets_its_answer(service: RunningService, portrait: bytes) -> None:
    with service.begin(portrait) as client:
        client.shutdown(socket.SHUT_WR)
        response = read_response(client)
    assert (response.status, response.headers["Content-Type"]) == (200, "image/jpeg")


def test_a_half_closed_client_waits_through_long_work(service: RunningService) -> None:
    """The work takes longer than the time between two looks at the client."""
    with service.begin(fetch("carphone.mp4").read_bytes(), "sampling=every") as client:
        client.shutdown(socket.SHUT_WR)
        response = read_response(client)
    assert (response.status, response.headers["Content-Type"]) == (200, "video/mp4")


def is_json_error(response: HttpResponse, status: int) -> bool:
    return (
        response.status == status
        and response.headers["Content-Type"] == "application/json"
        and set(response.json["error"]) == {"code", "message"}
        and b"secret" not in response.body
    )


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("GET secret", 400),
        ("secret /ping HTTP/9.9", 400),
        ("GET /ping HTTP/1.1\r\nsecret header: x", 400),
        ("GET /ping HTTP/1.1\r\nx: secret\x00", 400),
        ("POST /invocations HTTP/1.1\r\nTransfer-Encoding: secret", 501),
        ("POST /invocations HTTP/1.1\r\nContent-Length: secret", 400),
        ("POST /invocations HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2", 400),
        ("GET /" + "secret" * 1000 + " HTTP/1.1", 414),
        ("GET / HTTP/1.1\r\n" + "secret: x\r\n" * 101, 431),
        ("GET / HTTP/1.1\r\nsecret: " + "x" * 70_000, 431),
    ],
)
def test_malformed_requests_are_answered_as_json(
    service: RunningService, head: str, status: int
) -> None:
    seen = len(service.log)
    with connect(service) as client:
        client.sendall(head.encode() + b"\r\n\r\n")
        assert is_json_error(read_response(client), status)
    line = service.wait_for_log(lambda line: line["event"] == "malformed request")
    assert line["level"] == "warning"
    assert "secret" not in json.dumps(service.log[seen:])


@pytest.mark.parametrize(
    "chunks",
    [b"zz\r\n", b"5\r\nabc", b"5\r\nabcdefgh\r\n", b"-1\r\n\r\n", b"5\r\nabcde\r\n", b""],
)
def test_bad_chunks_are_an_incomplete_upload(service: RunningService, chunks: bytes) -> None:
    with service.begin_chunks() as client:
        client.sendall(chunks)
        client.shutdown(socket.SHUT_WR)
        response = read_response(client)
        assert is_json_error(response, 400)
        assert response.code == "incomplete_upload"


@pytest.mark.parametrize("name", ["a." + "b" * 98, "ü" * 90 + "." + "ü" * 9, "a/" + "b" * 100])
def test_long_names_of_photos_are_refused(
    service: RunningService, portrait: bytes, name: str
) -> None:
    body = form(("people", name, portrait), ("media", "x", portrait))
    response = service.invoke(body, Content_Type=FORM)
    assert is_json_error(response, 400)
    assert response.code == "bad_people"


def test_abandoned_folders_are_removed(tmp_path: Path) -> None:
    (tmp_path / "mine-abandoned" / "request").mkdir(parents=True)
    (tmp_path / "other").mkdir()
    kept = make_folder(tmp_path, "mine-")
    with temporary_folder(tmp_path, "mine-") as second:
        assert kept.is_dir()
        assert {path.name for path in tmp_path.iterdir()} == {"other", kept.name, second.name}
    assert {path.name for path in tmp_path.iterdir()} == {"other", kept.name}
