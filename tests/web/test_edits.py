"""The running service with a plan and the edits of a reviewer."""

import io
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from app.edits import Editor, Target, edits_path, with_edits
from app.plan import read_plan
from testmedia.clip import Clip
from tests.web.service_process import FORM, HttpResponse, RunningService, form
from tests.web.test_plans import commands, contains, hidden_people, needs_curl, run_all

Clips = Callable[[str], Clip]


@pytest.fixture(scope="module")
def shared_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    with RunningService(tmp_path_factory.mktemp("spool"), max_frames=170) as running:
        yield running


@pytest.fixture
def service(shared_service: RunningService) -> Iterator[RunningService]:
    yield shared_service
    shared_service.wait_until_clean()


@pytest.fixture(scope="module")
def calm(clip: Clips) -> Clip:
    return clip("calm")


@pytest.fixture(scope="module")
def analysed(shared_service: RunningService, calm: Clip) -> bytes:
    """The plan of a clip of two people, with both hidden."""
    content = calm.path.read_bytes()
    options = "effect=solid, blur=everyone"
    return shared_service.invoke(content, options, Accept="application/json").body


@pytest.fixture
def plan(analysed: bytes, tmp_path: Path) -> Path:
    path = tmp_path / "plan.json"
    path.write_bytes(analysed)
    return path


def person_of(plan: Path, number: int, calm: Clip) -> str:
    """The person of a track, by the truth of the clip."""
    track = read_plan(plan).tracks[number]
    frame, x1, y1, x2, y2 = track.boxes[len(track.boxes) // 2]
    middle = float(x1 + x2) / 2, float(y1 + y2) / 2
    (person,) = {seen.person for seen in calm.truth.at(int(frame)) if contains(seen, *middle)}
    return str(person)


def keep(plan: Path, *numbers: int) -> bytes:
    """Keep tracks, and return the journal."""
    editor = Editor.open(plan)
    for number in numbers:
        editor.edit("decide", Target("track", number), "keep", "Ann")
    return edits_path(plan).read_bytes()


def send(
    service: RunningService, calm: Clip, plan: Path, edits: bytes, *more: Any, **headers: str
) -> HttpResponse:
    parts = [
        ("edits", "e.jsonl", edits),
        ("media", "x.mp4", calm.path.read_bytes()),
        ("plan", "p.json", plan.read_bytes()),
    ]
    body = form(*parts, *more)
    return service.request("POST", "/invocations", body, **{"Content-Type": FORM}, **headers)


def test_edits_are_applied(service: RunningService, calm: Clip, plan: Path) -> None:
    response = send(service, calm, plan, keep(plan, 0))
    assert response.status == 200, response.body
    kept = person_of(plan, 0, calm)
    others = set(calm.truth.people) - {kept}
    expected = {kept: {False}, **{str(name): {True} for name in others}}
    assert hidden_people(response.body, calm) == expected
    summary = "frames=60 tracks=2 hidden=1 uncertain=0 unclear=0 not_found=0"
    summary += " edits=1 open_doubts=0 review_required=0"
    assert response.headers["X-Face-Blur-Summary"] == summary
    line = service.log_line(response)
    assert (line["edits"], "Ann" in str(line)) == (1, False)


def test_open_doubts_are_in_the_header(service: RunningService, calm: Clip, plan: Path) -> None:
    response = send(service, calm, plan, keep(plan, 0, 1))
    expected = "hidden=0 uncertain=0 unclear=0 not_found=0 edits=2 open_doubts=1 review_required=1"
    assert expected in response.headers["X-Face-Blur-Summary"]


def test_the_plan_comes_back_as_it_was_sent(
    service: RunningService, calm: Clip, plan: Path, tmp_path: Path
) -> None:
    """So the edits still belong to it."""
    plan.write_text(json.dumps(json.loads(plan.read_bytes()), indent=2))
    edits = keep(plan, 0)
    response = send(service, calm, plan, edits, Accept="application/zip")
    with ZipFile(io.BytesIO(response.body)) as archive:
        sent, media = archive.read("plan.json"), archive.read("result.mp4")
    assert sent == plan.read_bytes()
    assert hidden_people(media, calm)[person_of(plan, 0, calm)] == {False}
    again = tmp_path / "again.json"
    again.write_bytes(sent)
    edits_path(again).write_bytes(edits)
    assert with_edits(again).edits == 1


def test_wrong_edits_are_refused(service: RunningService, calm: Clip, plan: Path) -> None:
    changed = plan.with_name("changed.json")
    changed.write_bytes(plan.read_bytes() + b"\n")
    edits = keep(plan, 0, 1)
    cases: list[tuple[Path, bytes, str, str]] = [
        (changed, edits, "bad_edits", "the edits: the edits belong to another plan"),
        (plan, edits.replace(b"Ann", b"Eve", 1), "bad_edits", "the edits: line 1: was changed"),
        (plan, edits.splitlines(keepends=True)[1], "bad_edits", "belong to another plan"),
        (plan, b"", "bad_edits", "the edits: has no edits"),
        (plan, b"{}\n", "bad_edits", "the edits: line 1"),
        (plan, b"[" * 100_000 + b"\n", "bad_edits", "the edits: line 1"),
        (plan, b"\xff\xfe\n", "bad_edits", "the edits: line 1"),
    ]
    for path, content, code, message in cases:
        response = send(service, calm, path, content)
        assert (response.status, response.code) == (400, code), response.body
        text = response.json["error"]["message"]
        assert message in text, text
        assert len(text.splitlines()) == 1
        assert not any(secret in text for secret in (str(service.spool), "given", "Ann", "Eve"))


def test_edits_need_their_plan(service: RunningService, calm: Clip, plan: Path) -> None:
    parts = [("media", "x.mp4", calm.path.read_bytes()), ("edits", "e.jsonl", keep(plan, 0))]
    response = service.invoke(form(*parts), Content_Type=FORM)
    assert (response.status, response.code) == (400, "bad_option")
    assert "add -F plan=@FILE" in response.json["error"]["message"]
    second = ("edits", "f.jsonl", b"")
    response = send(service, calm, plan, keep(plan, 1), second)
    assert "several parts called edits" in response.json["error"]["message"]


@needs_curl
def test_the_documented_command_works(
    service: RunningService, calm: Clip, plan: Path, tmp_path: Path
) -> None:
    shutil.copy(calm.path, tmp_path / "interview.mp4")
    keep(plan, 0)
    run_all(commands(service, "Edits of a plan"), tmp_path)
    content = (tmp_path / "hidden.mp4").read_bytes()
    assert hidden_people(content, calm)[person_of(plan, 0, calm)] == {False}
