"""Misbehaving containers: the job ends correctly and in time, and stores no invalid result."""

import time
from dataclasses import replace

import pytest

from tests.local_sagemaker import HURRIED, MakeLocal

SEE_LOGS = "See job logs for more information"
PING = (
    "AlgorithmError: Model container failed to respond to ping. Please ensure /ping endpoint is "
    "implemented and responds with an HTTP 200 status code"
)
SOON = 20.0
"""Seconds; what is not bounded lasts for half an hour or longer."""
LARGE = bytes(8_000_000)
"""More than the buffers of a connection hold."""


def test_the_job_waits_for_a_slow_container(make_local: MakeLocal) -> None:
    local = make_local("late")
    local.put(**{"a.mp4": b"a"})
    local.model()
    began = time.monotonic()
    assert local.run_job().state == "Completed"
    assert time.monotonic() - began > 0.6
    assert set(local.results()) == {"out/a.mp4.out"}


@pytest.mark.parametrize("mode", ["never ready", "unhealthy"])
def test_a_container_that_is_never_ready_fails_the_job_after_the_timeout(
    make_local: MakeLocal, mode: str
) -> None:
    local = make_local(mode, timeouts=replace(HURRIED, ping=1.5))
    local.put(**{"a.mp4": b"a"})
    local.model()
    began = time.monotonic()
    assert local.run_job().state == "Failed"
    assert 1.5 <= time.monotonic() - began < SOON
    described = local.describe()
    assert (described["TransformJobStatus"], described["FailureReason"]) == ("Failed", PING)
    assert local.results() == {}
    assert any(PING in line for line in local.data_log())


def test_a_container_that_exits_early_fails_the_job_at_once(make_local: MakeLocal) -> None:
    local = make_local("exit", timeouts=replace(HURRIED, ping=1800, ping_every=0.1))
    local.put(**{"a.mp4": b"a"})
    local.model()
    began = time.monotonic()
    ended = local.run_job()
    assert time.monotonic() - began < SOON
    assert ended.reason == "AlgorithmError: Model container exited with code 3 before it was ready"
    assert local.printed() == ["no models"]
    assert local.results() == {}


@pytest.mark.parametrize(
    ("mode", "fault", "lines"),
    [
        ("status 500", "AlgorithmError", ["Bad HTTP status received from algorithm: 500"]),
        ("status 507", "AlgorithmError", ["Bad HTTP status received from algorithm: 507"]),
        ("status 302", "AlgorithmError", ["Bad HTTP status received from algorithm: 302"]),
        ("status 204", "AlgorithmError", ["Bad HTTP status received from algorithm: 204"]),
        ("status 415", "ClientError", ["ClientError: 415", 'Message: {"error": {"code": "no"}}']),
        ("short", "AlgorithmError", ["the response ends after 4 of 8 bytes"]),
        ("broken chunks", "AlgorithmError", ["Unable to get response from algorithm"]),
        ("half a chunk", "AlgorithmError", ["Unable to get response from algorithm"]),
        ("empty", "AlgorithmError", ["the response is empty"]),
        ("no length", "AlgorithmError", ["neither a length nor chunks"]),
        ("silent", "AlgorithmError", ["Unable to get response from algorithm"]),
        ("crash", "AlgorithmError", ["Unable to get response from algorithm"]),
        ("early 200", "AlgorithmError", ["Unable to get response from algorithm"]),
        ("early 413", "ClientError", ["ClientError: 413"]),
    ],
)
def test_an_invalid_response_fails_the_object_and_is_not_stored(
    make_local: MakeLocal, mode: str, fault: str, lines: list[str]
) -> None:
    local = make_local(mode)
    local.put(**{"a.mp4": LARGE})
    local.model()
    ended = local.run_job()
    assert (ended.state, ended.reason) == ("Failed", f"{fault}: {SEE_LOGS}")
    assert [(one.state, one.fault) for one in ended.outcomes] == [("failed", fault)]
    assert local.describe()["FailureReason"] == ended.reason
    log = [line for line in local.data_log() if "[sagemaker logs]: videos/in/a.mp4: " in line]
    assert all(any(wanted in line for line in log) for wanted in lines), log
    assert local.results() == {}


@pytest.mark.parametrize("mode", ["hang", "drip"])
def test_a_late_response_does_not_count(make_local: MakeLocal, mode: str) -> None:
    local = make_local(mode)
    local.put(**{"a.mp4": b"a"})
    local.model()
    began = time.monotonic()
    ended = local.run_job(client={"InvocationsTimeoutInSeconds": 1})
    assert 1 <= time.monotonic() - began < SOON
    assert (ended.state, ended.reason) == ("Failed", f"AlgorithmError: {SEE_LOGS}")
    assert "no complete response in 1 s" in ended.outcomes[0].message
    assert local.results() == {}


def test_a_crashed_container_gets_no_more_requests(make_local: MakeLocal) -> None:
    local = make_local("crash")
    local.put(**{"a.mp4": LARGE, "b.mp4": LARGE})
    local.model()
    first, second = local.run_job().outcomes
    assert first.state == second.state == "failed"
    assert "has exited" in second.message
    assert local.results() == {}


def test_a_container_that_ignores_sigterm_is_killed(make_local: MakeLocal) -> None:
    local = make_local("stubborn", timeouts=replace(HURRIED, kill_after=0.5))
    local.put(**{"a.mp4": b"a"})
    local.model()
    began = time.monotonic()
    assert local.run_job(client={"InvocationsTimeoutInSeconds": 1}).state == "Failed"
    assert 1.5 <= time.monotonic() - began < SOON
    assert local.leftover_processes() == []


def test_descendants_of_a_container_are_killed(make_local: MakeLocal) -> None:
    local = make_local("children")
    local.put(**{"a.mp4": b"a"})
    local.model()
    assert local.run_job().state == "Completed"
    assert local.leftover_processes() == []


def test_an_invocation_is_retried_as_often_as_the_job_allows(make_local: MakeLocal) -> None:
    local = make_local("flaky")
    local.put(**{"a.mp4": b"a"})
    local.model()
    assert local.run_job("once", client={"InvocationsMaxRetries": 0}).state == "Failed"
    assert local.results() == {}
    assert local.run_job("twice", client={"InvocationsMaxRetries": 1}).state == "Completed"
    assert set(local.results()) == {"out/a.mp4.out"}
    assert any("algorithm: 500" in line for line in local.data_log("twice"))


def test_the_retried_statuses_can_be_chosen(make_local: MakeLocal) -> None:
    local = make_local("flaky", timeouts=replace(HURRIED, retried=lambda status: status == 503))
    local.put(**{"a.mp4": b"a"})
    local.model()
    assert local.run_job(client={"InvocationsMaxRetries": 3}).state == "Failed"


def test_a_client_error_is_not_retried(make_local: MakeLocal) -> None:
    local = make_local("status 400")
    local.put(**{"a.mp4": b"a"})
    local.model()
    assert local.run_job(client={"InvocationsMaxRetries": 3}).state == "Failed"
    assert len([line for line in local.data_log() if "ClientError: 400" in line]) == 1
