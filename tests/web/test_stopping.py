"""SIGTERM in the middle: what runs may end, or is dropped; nothing is left behind."""

import time
from collections.abc import Callable
from pathlib import Path

from testmedia.clip import Clip
from tests.web.running import Running, read_answer, until

Clips = Callable[[str], Clip]


def test_running_work_ends_in_peace(tmp_path: Path, clip: Clips) -> None:
    with Running(tmp_path, metrics=1) as service:
        with service.begin(clip("calm").path.read_bytes(), "sampling=every") as connection:
            service.wait_for_work()
            assert service.stop() == 0
            answer = read_answer(connection)
        assert (answer.status, answer.headers["Content-Type"]) == (200, "video/mp4")
        assert int(answer.headers["Content-Length"]) == len(answer.body)
    assert list(tmp_path.iterdir()) == []


def test_work_that_lasts_too_long_is_dropped(tmp_path: Path, clip: Clips) -> None:
    film = clip("edges").path.read_bytes()
    with (
        Running(tmp_path, metrics=1, stop_seconds=0.5, queue=2) as service,
        service.begin(film, "sampling=every") as working,
    ):
        service.wait_for_work()
        with (
            service.begin(film) as waiting,
            service.begin(film, length=2 * len(film)) as stalled,
        ):
            until(lambda: service.metric("face_blur_invocations_present") == 3)
            began = time.monotonic()
            assert service.stop() == 0
            assert time.monotonic() - began < 10, "of 25 seconds"
            for connection in (working, waiting, stalled):
                answer = read_answer(connection)
                assert (answer.status, answer.code) == (503, "interrupted")
                assert "Retry-After" in answer.headers
    assert list(tmp_path.iterdir()) == []


def test_a_crash_of_the_worker_leaves_nothing_to_its_successor(tmp_path: Path, clip: Clips) -> None:
    with Running(tmp_path, metrics=1) as service:
        with service.begin(clip("edges").path.read_bytes(), "sampling=every"):
            service.wait_for_work()
            assert service.spooled()
            seen = len(service.log)
            service.kill_worker()
            until(lambda: any(line["event"] == "ready" for line in service.log[seen:]))
        assert service.spooled() == []
        assert service.ask("GET", "/ping").status == 200
    assert list(tmp_path.iterdir()) == []
