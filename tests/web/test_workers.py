"""Several engines: requests at the same time, each on its own."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from app.isolation.limits import default_memory
from testmedia.fetch import fetch
from tests.processes import children, cpu_ticks, is_running, wait_until
from tests.storage.buckets import NAME, make_bucket
from tests.web.service_process import HttpResponse, RunningService, read_response

SLOW = "sampling=every, effect=solid"
BUSY_TICKS = 10
"""CPU time that shows that an engine works on a request, not only waits for it."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service with two engines, each with one thread: then a result has always the same bytes."""
    spool = tmp_path_factory.mktemp("spool")
    with RunningService(spool, workers=2, threads=1, queue=0, metrics=1) as running:
        yield running


@pytest.fixture(scope="module")
def video(carphone: Path) -> bytes:
    """A clip on which the work takes a second with ``SLOW``."""
    return carphone.read_bytes()


@pytest.fixture(scope="module")
def alone(service: RunningService, video: bytes) -> bytes:
    """The result of the video if nothing else is in work."""
    response = service.invoke(video, SLOW)
    assert response.status == 200
    return response.body


def engines(service: RunningService) -> list[int]:
    return children(service.worker)


class InFlight:
    """Two requests that two engines have at the same time.

    The engines are stopped while the requests are sent, so that neither can end before the other
    begins.
    """

    def __init__(self, service: RunningService, *bodies: bytes) -> None:
        self._service, self._bodies = service, bodies
        self._stack = ExitStack()

    def __enter__(self) -> "InFlight":
        service = self._service
        self.engines = engines(service)
        self._before = {one: cpu_ticks(one) for one in self.engines}
        assert len(self.engines) == len(self._bodies) == 2
        self.signal(signal.SIGSTOP, *self.engines)
        self._connections = [
            self._stack.enter_context(service.begin(body, SLOW)) for body in self._bodies
        ]
        wait_until(lambda: service.metric("face_blur_invocations_working") == 2)
        return self

    def __exit__(self, *error: object) -> None:
        self.signal(signal.SIGCONT, *self.engines)
        self._stack.close()

    def signal(self, number: signal.Signals, *processes: int) -> None:
        for process in processes:
            with suppress(ProcessLookupError):
                os.kill(process, number)

    def go_on(self, *processes: int) -> None:
        """Let engines go on, and wait until each computes."""
        self.signal(signal.SIGCONT, *processes)
        for one in processes:
            wait_until(lambda one=one: cpu_ticks(one) > self._before[one] + BUSY_TICKS)  # type: ignore[misc]

    def responses(self) -> list[HttpResponse]:
        return [read_response(connection) for connection in self._connections]


def test_the_parameters_are_the_number_of_engines(service: RunningService) -> None:
    assert service.request("GET", "/execution-parameters").json == {
        "MaxConcurrentTransforms": 2,
        "MaxPayloadInMB": 0,
    }
    assert service.wait_for_log(lambda line: line["event"] == "ready")["workers"] == 2


def test_two_videos_at_once_have_the_results_of_one_at_a_time(
    service: RunningService, video: bytes, alone: bytes
) -> None:
    with InFlight(service, video, video) as both:
        assert service.request("GET", "/ping").status == 200
        third = service.invoke(fetch("obama.jpg").read_bytes())
        assert (third.status, third.code) == (503, "busy")
        both.go_on(*both.engines)
        responses = both.responses()
    assert [(one.status, one.body == alone) for one in responses] == [(200, True)] * 2
    assert service.invoke(fetch("obama.jpg").read_bytes()).status == 200
    service.wait_until_clean()


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL])
def test_a_crash_leaves_the_other_request_alone(
    service: RunningService, video: bytes, alone: bytes, number: signal.Signals
) -> None:
    with InFlight(service, video, video) as both:
        one, other = both.engines
        both.go_on(other)
        os.kill(other, number)
        wait_until(lambda: service.metric("face_blur_invocations_working") == 1)
        both.go_on(one)
        first, second = sorted(both.responses(), key=lambda response: response.status)
    assert (first.status, first.body == alone) == (200, True)
    assert (second.status, second.code) == (422, "crashed")
    wait_until(lambda: len(engines(service)) == 2)
    assert set(both.engines) & set(engines(service)) == {one}
    with InFlight(service, video, video) as both:
        both.go_on(*both.engines)
        assert [response.status for response in both.responses()] == [200, 200]
    service.wait_until_clean()


def test_engines_that_end_while_idle_are_replaced(service: RunningService) -> None:
    before = engines(service)
    for engine in before:
        os.kill(engine, signal.SIGKILL)

    def replaced() -> bool:
        assert service.request("GET", "/ping").status == 200
        return not set(engines(service)) & set(before)

    wait_until(replaced)
    assert len(engines(service)) == 2
    assert service.invoke(fetch("obama.jpg").read_bytes()).status == 200


def test_the_engines_share_the_memory(service: RunningService) -> None:
    """The limit of the kernel is 1 GiB above that of each engine."""
    expected = str(default_memory() // 2 + 2**30)

    def limit(engine: int) -> str:
        lines = Path(f"/proc/{engine}/limits").read_text().splitlines()
        return next(line.split()[3] for line in lines if line.startswith("Max data size"))

    # A new engine sets it when it has loaded.
    wait_until(lambda: [limit(engine) for engine in engines(service)] == [expected] * 2)


def test_one_hang_is_ended_and_the_other_request_goes_on(
    tmp_path: Path, video: bytes, alone: bytes
) -> None:
    with RunningService(tmp_path, workers=2, threads=1, metrics=1, stall_seconds=2) as service:
        with InFlight(service, video, video) as both:
            both.go_on(both.engines[0])
            both.signal(signal.SIGSTOP, both.engines[0])
            both.go_on(both.engines[1])
            first, second = sorted(both.responses(), key=lambda one: one.status)
        assert (first.status, first.body == alone) == (200, True)
        assert (second.status, second.code) == (422, "crashed")
        assert "no progress" in second.json["error"]["message"]


def test_both_requests_may_finish_after_sigterm(tmp_path: Path, video: bytes, alone: bytes) -> None:
    with (
        RunningService(tmp_path, workers=2, threads=1, metrics=1, stop_seconds=23) as service,
        InFlight(service, video, video) as both,
    ):
        both.go_on(*both.engines)
        assert service.stop() == 0
        responses = both.responses()
    assert [(one.status, one.body == alone) for one in responses] == [(200, True)] * 2
    assert list(tmp_path.iterdir()) == []
    wait_until(lambda: not any(map(is_running, both.engines)))


def test_both_requests_are_stopped_after_the_grace_period(tmp_path: Path, video: bytes) -> None:
    with (
        RunningService(tmp_path, workers=2, metrics=1, stop_seconds=0) as service,
        InFlight(service, video, video) as both,
    ):
        both.go_on(*both.engines)
        assert service.stop() == 0
        responses = both.responses()
    assert [(one.status, one.code) for one in responses] == [(503, "interrupted")] * 2
    assert list(tmp_path.iterdir()) == []
    wait_until(lambda: not any(map(is_running, both.engines)))


def test_two_tickets_at_once(tmp_path: Path, video: bytes, alone: bytes) -> None:
    outputs = ("out/a.mp4", "out/b.mp4")
    with make_bucket() as bucket:
        bucket.put("in/a.mp4", video)
        bodies = [
            json.dumps({"input": f"s3://{NAME}/in/a.mp4", "output": f"s3://{NAME}/{key}"}).encode()
            for key in outputs
        ]
        settings: dict[str, Any] = {"workers": 2, "threads": 1, "metrics": 1}
        settings["tickets"] = f"s3://{NAME}/"
        with (
            RunningService(tmp_path, bucket.variables, **settings) as service,
            InFlight(service, *bodies) as both,
        ):
            both.go_on(*both.engines)
            assert [one.status for one in both.responses()] == [200, 200]
        assert [bucket.get(key) == alone for key in outputs] == [True, True]
