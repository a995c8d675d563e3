"""Crashes, hangs and floods in the process that reads the media: one request fails, no more."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from testmedia.clip import Clip
from testmedia.fetch import fetch
from tests.processes import wait_until
from tests.web.service_process import (
    FORM,
    HttpResponse,
    RunningService,
    form,
    read_response,
)

Clips = Callable[[str], Clip]
REPLACED_WITHIN = 3.0


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    with RunningService(
        tmp_path_factory.mktemp("spool"), metrics=1, stall_seconds=2, max_memory=2**30
    ) as running:
        yield running


@pytest.fixture(scope="module")
def portrait() -> bytes:
    return fetch("obama2.jpg").read_bytes()


def check_next_request(service: RunningService, portrait: bytes) -> None:
    """Check that the spool is empty and that the next request succeeds soon."""
    began = time.monotonic()
    assert service.request("GET", "/ping").status == 200
    assert service.invoke(portrait).status == 200
    assert time.monotonic() - began < REPLACED_WITHIN
    service.wait_until_clean()


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL, signal.SIGABRT, signal.SIGBUS])
def test_a_crash_fails_its_request_only(
    service: RunningService, clip: Clips, portrait: bytes, number: signal.Signals
) -> None:
    with service.begin(clip("edges").path.read_bytes(), "sampling=every") as client:
        service.wait_for_engine()
        with service.begin(portrait) as waiting:
            os.kill(service.engine, number)
            response = read_response(client)
            assert (response.status, response.code) == (422, "crashed")
            assert number.name in response.json["error"]["message"]
            service.wait_for_log(lambda line: number.name in line.get("reason", ""))
            assert read_response(waiting).status == 200, "a request that waits is not harmed"
    check_next_request(service, portrait)


def test_a_hang_is_stopped(service: RunningService, clip: Clips, portrait: bytes) -> None:
    with service.begin(clip("edges").path.read_bytes(), "sampling=every") as client:
        service.wait_for_engine()
        os.kill(service.engine, signal.SIGSTOP)
        assert service.request("GET", "/ping").status == 200
        response = read_response(client)
    assert (response.status, response.code) == (422, "crashed")
    assert "no progress" in response.json["error"]["message"]
    check_next_request(service, portrait)


def test_a_crash_while_idle_harms_no_request(service: RunningService, portrait: bytes) -> None:
    os.kill(service.engine, signal.SIGKILL)
    check_next_request(service, portrait)


def large_png(side: int, mode: str = "L") -> bytes:
    """A small file with a huge picture."""
    out = BytesIO()
    Image.new(mode, (side, side)).save(out, "png")
    return out.getvalue()


def test_a_huge_picture_is_refused_before_its_pixels(
    service: RunningService, portrait: bytes
) -> None:
    picture = large_png(13_000)
    assert len(picture) < 2**20
    began = time.monotonic()
    as_media = service.invoke(picture)
    as_photo = service.invoke(
        form(("people", "a.png", picture), ("media", "x", portrait)), Content_Type=FORM
    )
    assert time.monotonic() - began < 2
    assert (as_media.status, as_media.code) == (413, "too_large")
    assert (as_photo.status, as_photo.code) == (400, "bad_people")
    assert peak_memory(service.engine) < 700 * 2**20


def peak_memory(process: int) -> int:
    (line,) = (
        line
        for line in Path(f"/proc/{process}/status").read_text().splitlines()
        if line.startswith("VmHWM")
    )
    return int(line.split()[1]) * 1024


def test_memory_is_limited(tmp_path: Path, clip: Clips, portrait: bytes) -> None:
    """A picture within the limit of pixels needs more memory than the process may use."""
    with RunningService(tmp_path, max_memory=2**29) as service:
        response: HttpResponse = service.invoke(large_png(8_100, "RGB"))
        assert response.status in {413, 422}
        assert "memory" in response.json["error"]["message"]
        service.wait_until_clean()
        assert service.invoke(portrait).status == 200


def test_a_lost_spool_is_reported_by_ping(tmp_path: Path) -> None:
    with RunningService(tmp_path) as service:
        (spool,) = tmp_path.iterdir()
        spool.rename(tmp_path / "away")
        assert service.request("GET", "/ping").status == 503
        (tmp_path / "away").rename(spool)
        assert service.request("GET", "/ping").status == 200


def test_uploads_of_a_killed_service_are_removed_at_start(tmp_path: Path, clip: Clips) -> None:
    with RunningService(tmp_path, metrics=1) as first:
        with first.begin(clip("edges").path.read_bytes(), "sampling=every"):
            first.wait_for_work()
            processes = [first.process.pid, first.worker, first.engine]
            assert first.spooled()
            for process in processes[:2]:
                os.kill(process, signal.SIGKILL)
            first.process.wait()
        wait_until(lambda: not Path(f"/proc/{processes[2]}").exists())
        assert first.spooled()
        with RunningService(tmp_path) as second:
            assert second.spooled() == []
            assert len(list(tmp_path.iterdir())) == 1
