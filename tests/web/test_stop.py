"""SIGTERM during work: it may finish or is stopped, and leaves no files."""

import time
from collections.abc import Callable
from pathlib import Path

from testmedia.clip import Clip
from tests.processes import wait_until
from tests.web.service_process import RunningService, read_response

Clips = Callable[[str], Clip]


def test_running_work_may_finish(tmp_path: Path, clip: Clips) -> None:
    with RunningService(tmp_path, metrics=1) as service:
        with service.begin(clip("calm").path.read_bytes(), "sampling=every") as connection:
            service.wait_for_work()
            assert service.stop() == 0
            response = read_response(connection)
        assert (response.status, response.headers["Content-Type"]) == (200, "video/mp4")
        assert int(response.headers["Content-Length"]) == len(response.body)
    assert list(tmp_path.iterdir()) == []


def test_work_is_stopped_after_the_grace_period(tmp_path: Path, clip: Clips) -> None:
    video = clip("edges").path.read_bytes()
    with (
        RunningService(tmp_path, metrics=1, stop_seconds=0.5, queue=2) as service,
        service.begin(video, "sampling=every") as working,
    ):
        service.wait_for_work()
        with (
            service.begin(video) as waiting,
            service.begin(video, length=2 * len(video)) as stalled,
        ):
            wait_until(lambda: service.metric("face_blur_invocations_present") == 3)
            began = time.monotonic()
            assert service.stop() == 0
            assert time.monotonic() - began < 10, "well below the limit of 25 seconds"
            for connection in (working, waiting, stalled):
                response = read_response(connection)
                assert (response.status, response.code) == (503, "interrupted")
                assert "Retry-After" in response.headers
    assert list(tmp_path.iterdir()) == []


def test_files_of_a_crashed_worker_are_removed(tmp_path: Path, clip: Clips) -> None:
    with RunningService(tmp_path, metrics=1) as service:
        with service.begin(clip("edges").path.read_bytes(), "sampling=every"):
            service.wait_for_work()
            assert service.spooled()
            seen = len(service.log)
            service.kill_worker()
            wait_until(lambda: any(line["event"] == "ready" for line in service.log[seen:]))
        assert service.spooled() == []
        assert service.request("GET", "/ping").status == 200
    assert list(tmp_path.iterdir()) == []
