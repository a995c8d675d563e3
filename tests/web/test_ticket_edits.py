"""Tickets with the edits of a plan, with S3 and the running service."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.edits import Editor, Target, edits_path
from app.plan import read_plan
from testmedia.clip import Clip
from tests.storage.buckets import NAME, Bucket, make_bucket
from tests.web.service_process import RunningService
from tests.web.test_edits import Clips, person_of
from tests.web.test_plans import hidden_people
from tests.web.test_tickets import ALLOWED, PEOPLE, ticket

PLAN = {"plan": f"s3://{NAME}/out/a.plan.json"}
EDITS = PLAN | {"edits": f"s3://{NAME}/out/a.plan.edits.jsonl"}


@pytest.fixture(scope="module")
def shared_bucket() -> Iterator[Bucket]:
    with make_bucket() as bucket:
        yield bucket


@pytest.fixture(scope="module")
def shared_service(
    shared_bucket: Bucket, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningService]:
    spool = tmp_path_factory.mktemp("spool")
    with RunningService(spool, shared_bucket.variables, tickets=ALLOWED) as running:
        yield running


@pytest.fixture
def calm(clip: Clips) -> Clip:
    return clip("calm")


@pytest.fixture
def bucket(shared_bucket: Bucket, calm: Clip) -> Iterator[Bucket]:
    shared_bucket.put("in/alice.mp4", calm.path.read_bytes())
    yield shared_bucket
    shared_bucket.clear()


@pytest.fixture
def service(shared_service: RunningService, bucket: Bucket) -> Iterator[RunningService]:
    yield shared_service
    shared_service.wait_until_clean()
    assert bucket.uploads() == []
    assert not any(name in str(shared_service.log) for name in ("alice", "Ann"))


@pytest.fixture
def plan(service: RunningService, bucket: Bucket, tmp_path: Path) -> Path:
    """The plan that a ticket has written to S3; both people are hidden."""
    response = service.invoke(ticket("out/first.mp4", **PLAN, options={"effect": "solid"}))
    assert response.status == 200, response.body
    path = tmp_path / "a.plan.json"
    path.write_bytes(bucket.get("out/a.plan.json"))
    assert {track.decision for track in read_plan(path).tracks} == {"blur"}
    return path


def keep(bucket: Bucket, plan: Path, number: int) -> bytes:
    """Keep a track, store the journal, and return it."""
    Editor.open(plan).edit("decide", Target("track", number), "keep", "Ann")
    content = edits_path(plan).read_bytes()
    bucket.put("out/a.plan.edits.jsonl", content)
    return content


def test_a_ticket_with_edits_is_rendered(
    service: RunningService, bucket: Bucket, plan: Path, calm: Clip
) -> None:
    edits = keep(bucket, plan, 0)
    response = service.invoke(ticket("out/second.mp4", **EDITS))
    assert response.status == 200, response.body
    report = response.json
    made = bucket.get("out/second.mp4")
    kept = person_of(plan, 0, calm)
    others = {str(name): {True} for name in set(calm.truth.people) - {kept}}
    assert hidden_people(made, calm) == {kept: {False}, **others}, "the effect is that of the plan"
    assert (report["hidden"], report["edits"], report["open_doubts"]) == (1, 1, 0)
    assert report["review_required"] is False
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in (
        ("source", calm.path.read_bytes()),
        ("result", made),
        ("plan", plan.read_bytes()),
        ("edits", edits),
    )}  # fmt: skip
    assert report["sha256"] == hashes
    assert bucket.get("out/a.plan.json") == plan.read_bytes()
    assert "analyse" not in service.log_line(response)["seconds"]
    again = service.invoke(ticket("out/second.mp4", **EDITS)).json
    assert (again["repeated"], again["edits"]) == (True, 1)
    # More edits are other work.
    keep(bucket, plan, 1)
    response = service.invoke(ticket("out/second.mp4", **EDITS))
    assert (response.status, response.code) == (400, "bad_ticket")
    report = service.invoke(ticket("out/second.mp4", **EDITS, overwrite=True)).json
    assert (report["repeated"], report["review_required"]) == (False, True)
    assert hidden_people(bucket.get("out/second.mp4"), calm)[kept] == {False}


def test_wrong_edits_are_refused(service: RunningService, bucket: Bucket, plan: Path) -> None:
    edits = keep(bucket, plan, 0)
    nowhere = EDITS | {"edits": f"s3://{NAME}/out/none.jsonl"}
    cases: list[tuple[bytes, dict[str, Any], str, str]] = [
        (edits.replace(b"Ann", b"Eve"), EDITS, "bad_edits", "the edits: line 1: was changed"),
        (b"", EDITS, "bad_edits", "the edits: has no edits"),
        (edits, nowhere, "bad_ticket", "the edits: does not exist"),
        (edits, {"edits": EDITS["edits"]}, "bad_ticket", "edits: need the plan"),
        (edits, EDITS | {"edits": PLAN["plan"]}, "bad_ticket", "must be different objects"),
        (edits, EDITS | {"options": PEOPLE}, "bad_option", "people: not possible"),
        (edits, EDITS | {"options": {"pad": 2}}, "bad_option", "pad: not possible"),
    ]
    for content, more, code, message in cases:
        bucket.put("out/a.plan.edits.jsonl", content)
        response = service.invoke(ticket("out/second.mp4", **more))
        assert (response.status, response.code) == (400, code), response.body
        text = response.json["error"]["message"]
        assert message in text, text
        assert not any(word in text for word in ("alice", "Ann", "Eve", NAME, "given")), text
        assert "out/second.mp4" not in bucket.keys("out/")


def test_a_plan_with_edits_is_not_replaced(
    service: RunningService, bucket: Bucket, plan: Path
) -> None:
    keep(bucket, plan, 0)
    response = service.invoke(ticket("out/first.mp4", **PLAN, overwrite=True))
    assert (response.status, response.code) == (400, "bad_ticket")
    assert "the plan: has edits" in response.json["error"]["message"]
    assert bucket.get("out/a.plan.json") == plan.read_bytes()
    # The ticket that has made the plan may be sent again: it changes nothing.
    first = ticket("out/first.mp4", **PLAN, options={"effect": "solid"})
    assert service.invoke(first).json["repeated"] is True


def test_a_plan_of_another_file_is_refused(
    service: RunningService, bucket: Bucket, plan: Path, clip: Clips
) -> None:
    keep(bucket, plan, 0)
    bucket.put("in/alice.mp4", clip("edges").path.read_bytes())
    response = service.invoke(ticket("out/second.mp4", **EDITS))
    assert (response.status, response.code) == (400, "bad_plan"), response.body
    assert json.loads(response.body)["error"]["message"].startswith("the input: the plan was made")
    assert "out/second.mp4" not in bucket.keys("out/")
