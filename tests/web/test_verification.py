"""The running service with FACE_BLUR_VERIFY=1: it repairs once, or answers with an error."""

import json
import os
from collections.abc import Callable, Iterator
from email.parser import BytesParser
from pathlib import Path

import pytest

from app.pipeline import FaceBlur
from app.plan import Plan, write_plan
from app.verification.repair import REASON
from bench.scoring import score
from testmedia.clip import Clip
from testmedia.fetch import fetch
from testmedia.leaks import with_gap
from tests.web.service_process import FORM, ROOT, HttpResponse, RunningService, form

Clips = Callable[[str], Clip]
WEAK = """
from app.effects import _MaskedFill
from testmedia.leaks import at_half_strength

_MaskedFill.hide = at_half_strength(_MaskedFill.hide)
"""
"""A module that every Python process of a service imports: all effects become half transparent."""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    with RunningService(tmp_path_factory.mktemp("spool"), verify=1, metrics=1) as running:
        yield running
        running.wait_until_clean()


@pytest.fixture(scope="module")
def leaking(clip: Clips, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A plan of the calm clip in which a face is visible in five frames."""
    plan = FaceBlur().analyse(clip("calm").path)
    path = tmp_path_factory.mktemp("plan") / "plan.json"
    write_plan(with_gap(plan, plan.tracks[0].id, 27, 5), path)
    return path.read_bytes()


def send(service: RunningService, clip: Clip, plan: bytes, **headers: str) -> HttpResponse:
    body = form(("media", "x.mp4", clip.path.read_bytes()), ("plan", "p.json", plan))
    return service.request("POST", "/invocations", body, **{"Content-Type": FORM}, **headers)


def test_a_leak_is_repaired_and_the_answer_is_clean(
    service: RunningService, clip: Clips, leaking: bytes, tmp_path: Path
) -> None:
    answer = send(service, clip("calm"), leaking, Accept="multipart/mixed")
    assert answer.status == 200
    assert answer.headers["X-Face-Blur-Summary"].endswith(" repaired=1")
    head = f"Content-Type: {answer.headers['Content-Type']}\r\n\r\n".encode()
    media, plan = (
        part.get_payload(decode=True)
        for part in BytesParser().parsebytes(head + answer.body).walk()
        if not part.is_multipart()
    )
    assert isinstance(media, bytes)
    assert isinstance(plan, bytes)
    (tmp_path / "out.mp4").write_bytes(media)
    (tmp_path / "plan.json").write_bytes(plan)
    truth = clip("calm").truth
    assert score(clip("calm").path, tmp_path / "out.mp4", truth, truth.people).leaks == 0
    assert Plan.read(tmp_path / "plan.json").tracks[-1].reason == REASON
    line = service.log_line(answer)
    assert line["repaired"] == 1
    assert line["seconds"]["verify"] > 0


def test_a_good_result_needs_no_repair(service: RunningService, clip: Clips) -> None:
    for body in (clip("calm").path.read_bytes(), fetch("obama2.jpg").read_bytes()):
        answer = service.invoke(body, "effect=solid")
        assert (answer.status, answer.headers["X-Face-Blur-Summary"][-10:]) == (200, "repaired=0")


def test_a_request_cannot_turn_it_off(service: RunningService, clip: Clips) -> None:
    answer = service.invoke(clip("calm").path.read_bytes(), "verify=false")
    assert (answer.status, answer.code) == (400, "bad_option")


def test_what_stays_visible_is_refused(clip: Clips, tmp_path: Path) -> None:
    (tmp_path / "weak").mkdir()
    (tmp_path / "weak" / "sitecustomize.py").write_text(WEAK, "utf-8")
    (tmp_path / "spool").mkdir()
    path = os.pathsep.join([str(tmp_path / "weak"), str(ROOT)])
    with RunningService(tmp_path / "spool", {"PYTHONPATH": path}, verify=1) as weak:
        for body in (clip("calm").path.read_bytes(), fetch("obama2.jpg").read_bytes()):
            answer = weak.invoke(body, "effect=solid")
            assert (answer.status, answer.code) == (422, "not_hidden")
            assert "can still be seen in frame" in answer.json["error"]["message"]
            assert list(answer.json) == ["error"]
            assert json.dumps(answer.json).count("/") == 0, "no path"
        weak.wait_until_clean()
    with RunningService(tmp_path / "spool", {"PYTHONPATH": path}) as weak:
        body = clip("calm").path.read_bytes()
        assert weak.invoke(body, "effect=solid").status == 200, "nobody looks at it"
