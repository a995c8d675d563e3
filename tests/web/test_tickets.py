"""Tickets: media and results in S3, with the running service."""

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import av
import numpy as np
import pytest

from app.config import ServiceSettings, Settings
from app.errors import DiskFull, TicketError, UsageError
from app.identity.gallery import Gallery
from app.isolation import Work
from app.pipeline import FaceBlur, Parts
from app.plan import read_plan
from app.storage import parse_prefixes
from app.web.media_job import JobContext
from app.web.metrics import RequestStats
from app.web.ticket_job import TicketJob
from app.web.tickets import is_ticket, receive_ticket
from testmedia.clip import Clip
from testmedia.fetch import fetch
from testmedia.truth import leaked, spilled
from tests.processes import wait_until
from tests.storage.buckets import NAME, Bucket, S3Request, make_bucket
from tests.web.service_process import RunningService

Clips = Callable[[str], Clip]
ALLOWED = f"s3://{NAME}/in/, s3://{NAME}/out/,s3://{NAME}/cast/"
CLIP = "calm"


@pytest.fixture(scope="module")
def shared_bucket() -> Iterator[Bucket]:
    with make_bucket() as bucket:
        yield bucket


@pytest.fixture(scope="module")
def shared_service(
    shared_bucket: Bucket, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningService]:
    spool = tmp_path_factory.mktemp("spool")
    with RunningService(
        spool, shared_bucket.variables, tickets=ALLOWED, metrics=1, max_frames=170, max_bytes=10**7
    ) as running:
        yield running


@pytest.fixture
def bucket(shared_bucket: Bucket, clip: Clips) -> Iterator[Bucket]:
    """The bucket with a clip, and photos of a person in the clip."""
    shared_bucket.put("in/alice.mp4", clip(CLIP).path.read_bytes())
    for number in (2, 3):
        shared_bucket.put(f"cast/obama/{number}.jpg", fetch(f"obama{number}.jpg").read_bytes())
    shared_bucket.requests.clear()
    yield shared_bucket
    shared_bucket.clear()


@pytest.fixture
def service(shared_service: RunningService, bucket: Bucket) -> Iterator[RunningService]:
    """The running service; each test must leave an empty spool and no incomplete uploads."""
    yield shared_service
    bucket.fault = lambda request: None
    shared_service.wait_until_clean()
    assert bucket.uploads() == []
    assert "alice" not in str(shared_service.log)
    assert shared_service.request("GET", "/ping").status == 200


def ticket(output: str = "out/alice.mp4", source: str = "in/alice.mp4", **more: Any) -> bytes:
    places = {"input": f"s3://{NAME}/{source}", "output": f"s3://{NAME}/{output}"}
    return json.dumps(places | more).encode()


PEOPLE = {"people": f"s3://{NAME}/cast/"}


def _packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]


def _check_hidden(path: Path, clip: Clip, person: str) -> None:
    """Check that in every frame the centre of this person's face is black, and no other face."""
    faces = list(clip.truth.recognisable())
    with av.open(str(path)) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(frames) == clip.truth.frames
    for face in faces:
        x1, y1, x2, y2 = face.box
        middle = frames[face.frame][int(y1 + y2) // 2 - 3 :, int(x1 + x2) // 2 - 3 :][:6, :6]
        assert (float(middle.mean()) < 12) is (face.person == person), face
    assert {face.person for face in faces} > {person}


def test_a_ticket_is_processed_once(
    service: RunningService, bucket: Bucket, clip: Clips, tmp_path: Path
) -> None:
    body = ticket(
        plan=f"s3://{NAME}/out/alice.json", options={"effect": "solid", "cells": 1, **PEOPLE}
    )
    response = service.invoke(body, Content_Type="application/json", Accept="video/mp4")
    assert (response.status, response.headers["Content-Type"]) == (200, "application/json")
    content, made = clip(CLIP).path.read_bytes(), bucket.get("out/alice.mp4")
    report = response.json
    assert report.pop("seconds") > 0
    assert report == {
        "frames": 60, "tracks": 2, "hidden": 1, "uncertain": 0, "unclear": 0, "not_found": 0,
        "sha256": {
            "source": hashlib.sha256(content).hexdigest(),
            "result": hashlib.sha256(made).hexdigest(),
        },
        "bytes": {"source": len(content), "result": len(made)},
        "output": f"s3://{NAME}/out/alice.mp4", "repeated": False,
    }  # fmt: skip
    head = bucket.head("out/alice.mp4")
    assert head["ContentType"] == "video/mp4"
    assert "obama" not in str(head["Metadata"])
    assert "alice" not in str(head["Metadata"])
    result, plan = tmp_path / "result.mp4", tmp_path / "plan.json"
    result.write_bytes(made)
    plan.write_bytes(bucket.get("out/alice.json"))
    assert leaked(clip(CLIP).truth, read_plan(plan), {"obama"}) == []
    assert spilled(clip(CLIP).truth, read_plan(plan), {"obama"}) == []
    _check_hidden(result, clip(CLIP), "obama")
    assert _packets(result) == _packets(clip(CLIP).path)
    line = service.log_line(response)
    assert line["seconds"].keys() == {
        *("receive", "wait", "people", "analyse", "render", "send", "total")
    }
    assert line["source_bytes"] == len(content)
    # Batch Transform may send the same ticket again; the work is not repeated.
    before = bucket.head("out/alice.mp4")["LastModified"]
    bucket.requests.clear()
    again = service.invoke(body, Accept="multipart/mixed").json
    assert (again.pop("repeated"), again.pop("seconds") > 0) == (True, True)
    assert again == {key: value for key, value in report.items() if key != "repeated"}
    assert bucket.head("out/alice.mp4")["LastModified"] == before
    assert {request.method for request in bucket.requests} == {"GET", "HEAD"}
    assert not [request for request in bucket.requests if request.range]


def test_a_ticket_with_other_settings_does_not_replace_the_result(
    service: RunningService, bucket: Bucket
) -> None:
    assert service.invoke(ticket(options={"effect": "solid"})).status == 200
    first = bucket.get("out/alice.mp4")
    other = service.invoke(ticket(options={"effect": "blur"}))
    assert (other.status, other.code) == (400, "bad_ticket")
    assert "the output: already exists" in other.json["error"]["message"]
    assert bucket.get("out/alice.mp4") == first
    # The header and the options of the ticket are equivalent.
    replaced = service.invoke(ticket(overwrite=True), "effect=blur")
    assert (replaced.status, replaced.json["repeated"]) == (200, False)
    assert bucket.get("out/alice.mp4") != first
    assert service.invoke(ticket(), "effect=blur").json["repeated"] is True


def test_an_image_is_written_under_the_given_name(service: RunningService, bucket: Bucket) -> None:
    bucket.put("in/alice.jpg", fetch("obama.jpg").read_bytes())
    response = service.invoke(b"\n " + ticket("out/deep/ä b.JPEG", "in/alice.jpg"))
    assert response.status == 200, response.body
    assert response.json["hidden"] == 1
    assert bucket.head("out/deep/ä b.JPEG")["ContentType"] == "image/jpeg"


def _png() -> bytes:
    return bytes.fromhex("89504e470d0a1a0a") + b"\0" * 100


def test_failing_tickets(service: RunningService, bucket: Bucket, clip: Clips) -> None:
    bucket.put("in/text.mp4", b"hello " * 1000)
    bucket.put("in/cut.mp4", clip(CLIP).path.read_bytes()[:-20_000])
    bucket.put("in/empty.mp4", b"")
    bucket.put("in/damaged.png", _png())
    bucket.put("in/long.mp4", clip("edges").path.read_bytes())
    bucket.put("in/large.mp4", b"\0" * (10**7 + 1))
    bucket.put("cast2/x", b"")
    bucket.put("in/cast/alice.jpg", _png())
    elsewhere = {"people": f"s3://{NAME}/cast2/"}
    faceless = {"people": f"s3://{NAME}/in/cast/"}
    nobody = {"people": f"s3://{NAME}/in/nobody/"}
    cases: list[tuple[bytes, int, str, str]] = [
        (ticket(source="in/none.mp4"), 400, "bad_ticket", "the input: does not exist"),
        (ticket(source="secret/alice.mp4"), 400, "bad_ticket", "input: is outside"),
        (ticket(output="alice.mp4"), 400, "bad_ticket", "output: is outside"),
        (ticket(options=elsewhere), 400, "bad_ticket", "options.people: is outside"),
        (ticket(options=nobody), 400, "bad_people", "has 0 photos"),
        (ticket(options=faceless), 400, "bad_people", "photo 1 of people"),
        (ticket(options={"margin": 7}), 400, "bad_option", "margin"),
        (ticket(options={"blur": "listed"}), 400, "bad_option", "needs people or select"),
        (ticket(source="in/text.mp4"), 415, "unsupported_media", "the input: not a supported"),
        (ticket(source="in/empty.mp4"), 422, "broken_media", "the input: the file is empty"),
        (ticket(source="in/cut.mp4"), 422, "broken_media", "the input: cut off"),
        (ticket("out/a.png", "in/damaged.png"), 422, "broken_media", "the input: damaged"),
        (ticket(source="in/large.mp4"), 413, "too_large", "10000000 bytes"),
        (ticket("out/a.jpg"), 400, "bad_output", "the output: cannot write"),
        (b"{}", 400, "bad_ticket", "input: missing; output: missing"),
    ]
    for body, status, code, message in cases:
        response = service.invoke(body)
        assert (response.status, response.code) == (status, code), response.body
        actual = response.json["error"]["message"]
        assert message in actual, actual
        assert not any(word in actual for word in ("alice", NAME, str(service.spool))), actual
        assert bucket.keys("out/") == []


@pytest.mark.parametrize("fault", ["error", "cut", "whole", "changed"])
def test_a_failing_or_changed_input_fails_the_ticket(
    service: RunningService, bucket: Bucket, fault: str
) -> None:
    def failing(request: S3Request) -> str | None:
        if request.range is None:
            return None
        if fault == "changed":
            bucket.put("in/alice.mp4", b"other")
        return fault

    bucket.fault = failing
    response = service.invoke(ticket())
    expected = (400, "bad_ticket") if fault == "changed" else (503, "storage_failed")
    assert (response.status, response.code) == expected, response.body
    assert ("Retry-After" in response.headers) is (response.status == 503)
    assert response.json["error"]["message"].startswith("the input: ")
    assert bucket.keys("out/") == []


@pytest.mark.parametrize("part", ["uploads", "partNumber", "uploadId"])
def test_a_failing_upload_leaves_no_output(
    service: RunningService, bucket: Bucket, part: str
) -> None:
    bucket.fault = lambda request: (
        "error" if request.method in {"PUT", "POST"} and part in request.query else None
    )
    response = service.invoke(ticket(options={"sampling": "adaptive"}))
    assert (response.status, response.code) == (503, "storage_failed")
    assert response.json["error"]["message"].startswith("the output: ")
    assert bucket.keys("out/") == []


def test_a_ticket_stops_when_the_client_disconnects(
    service: RunningService, bucket: Bucket, clip: Clips
) -> None:
    bucket.put("in/long.mp4", clip("edges").path.read_bytes())
    seen = len(service.log)
    connection = service.begin(ticket(source="in/long.mp4"), "sampling=every")
    service.wait_for_work()
    wait_until(lambda: any(request.range for request in bucket.requests))
    connection.close()
    wait_until(lambda: any(line.get("code") == "interrupted" for line in service.log[seen:]))
    assert bucket.keys("out/") == []


def test_missing_credentials_are_reported(bucket: Bucket, tmp_path: Path) -> None:
    alone = bucket.variables | {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    with RunningService(tmp_path, alone, tickets=ALLOWED) as service:
        response = service.invoke(ticket())
        assert (response.status, response.code) == (400, "bad_ticket")
        assert "no AWS credentials" in response.json["error"]["message"]
        assert "EnableNetworkIsolation" in response.json["error"]["message"]


def test_a_result_must_fit_on_the_disk(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ticket is refused before the input is read."""
    bucket.configure(monkeypatch)
    limits = ServiceSettings()
    parts = cast("Parts", "no parts")
    face_blur = FaceBlur(Settings(), parts=parts, gallery=Gallery(()))
    work = cast("Work", SimpleNamespace(check=lambda: None))
    job = TicketJob(JobContext(face_blur, limits, RequestStats(), work), tmp_path, {})
    size = bucket.head("in/alice.mp4")["ContentLength"]
    usage = SimpleNamespace(free=limits.min_free + size - 1)
    monkeypatch.setattr("app.web.ticket_job.shutil.disk_usage", lambda folder: usage)
    with pytest.raises(DiskFull, match="processing job with a larger volume, or split"):
        job.run(receive_ticket([ticket()], PREFIXES), Settings())
    assert not [request for request in bucket.requests if request.range]
    usage.free += 1
    with pytest.raises(AttributeError, match="models"):
        job.run(receive_ticket([ticket()], PREFIXES), Settings())


PREFIXES = parse_prefixes([f"s3://{NAME}/in/", f"s3://{NAME}/out/"])


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"input": ', "is not valid JSON"),
        (b'{"input": "a", "input": "b", "output": "c"}', "duplicate key"),
        (b'{"\xff": 1}', "is not valid JSON"),
        (b"{" + b'"a":{' * 5000, "is not valid JSON"),
        (b"{" + b" " * 70_000 + b"}", "at most 65536 bytes"),
        (ticket(bucket="x"), "bucket: unknown key; its keys are input, output,"),
        (ticket(options=[]), "options: is not an object"),
        (ticket(overwrite="yes"), "overwrite: is not true or false"),
        (
            ticket(options={"select": [1]}),
            "options.select: must be a string, a number, true or false",
        ),
        (ticket(options={"threads": 1}), "unknown option threads"),
        (ticket(options={"people": 1}), "options.people: is not a string"),
        (ticket(input=7), "input: is not a string"),
        (ticket(input=f"s3://{NAME}/in/../alice.mp4"), "input: the key is not accepted"),
        (ticket(input="/etc/passwd"), "input: is not of the form"),
        (ticket(source="in/"), "input: is a prefix"),
        (ticket(output="out/a"), "output: must end with one of .mp4"),
        (ticket(output="out/a.json"), "output: must end with one of .mp4"),
        (ticket(output="in/alice.mp4"), "must be different objects"),
        (ticket(plan=f"s3://{NAME}/out/alice.mp4"), "must be different objects"),
        (ticket(plan=f"s3://{NAME}/plan.json"), "plan: is outside"),
        (ticket(options={"people": f"s3://{NAME}/out"}), "must not be among the photos of people"),
    ],
)
def test_invalid_tickets_are_refused(body: bytes, message: str) -> None:
    assert is_ticket(body)
    with pytest.raises(UsageError) as caught:
        receive_ticket([body[:7], body[7:]], PREFIXES)
    assert message in str(caught.value)
    assert "alice" not in str(caught.value)
    with pytest.raises(TicketError, match="disabled"):
        receive_ticket([body], ())


def test_media_is_not_taken_for_a_ticket(clip: Clips) -> None:
    heads = [clip(CLIP).path.read_bytes(), fetch("obama.jpg").read_bytes(), b"", b"[]", b"\x1aE"]
    assert not any(is_ticket(head) for head in heads)
    assert np.all([is_ticket(head) for head in (b"{", b" \r\n\t{}")])
