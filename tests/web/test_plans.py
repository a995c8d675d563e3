"""The running service with plans: rendering one, and answering with media and plan together."""

import io
import json
import re
import runpy
import shutil
import subprocess
from collections.abc import Callable, Iterator
from http.client import parse_headers
from pathlib import Path
from typing import Any
from zipfile import ZIP_STORED, ZipFile

import av
import numpy as np
import pytest

from app import errors
from app.errors import FaceBlurError
from testmedia.clip import Clip
from testmedia.fetch import fetch
from testmedia.truth import Seen
from tests.web.service_process import FORM, OPTIONS, HttpResponse, RunningService, form

Clips = Callable[[str], Clip]
PAGE = Path(__file__).parents[2] / "docs" / "service.md"
needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")


@pytest.fixture(scope="module")
def shared_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    with RunningService(tmp_path_factory.mktemp("spool"), metrics=1, max_frames=170) as running:
        yield running


@pytest.fixture
def service(shared_service: RunningService) -> Iterator[RunningService]:
    """The running service; its spool must be empty after each test."""
    yield shared_service
    shared_service.wait_until_clean()
    assert shared_service.request("GET", "/ping").status == 200


@pytest.fixture(scope="module")
def calm(clip: Clips) -> Clip:
    return clip("calm")


@pytest.fixture(scope="module")
def plan(shared_service: RunningService, calm: Clip) -> dict[str, Any]:
    """The plan of a clip of two people, with both hidden."""
    response = shared_service.invoke(
        calm.path.read_bytes(), "effect=solid, blur=everyone", Accept="application/json"
    )
    made: dict[str, Any] = response.json
    assert [track["decision"] for track in made["tracks"]] == ["blur", "blur"]
    return made


def send(
    service: RunningService, calm: Clip, plan: object, *more: Any, **headers: str
) -> HttpResponse:
    content = plan if isinstance(plan, bytes) else json.dumps(plan).encode()
    body = form(("media", "x.mp4", calm.path.read_bytes()), ("plan", "p.json", content), *more)
    return service.request("POST", "/invocations", body, **{"Content-Type": FORM}, **headers)


def edited(plan: dict[str, Any], calm: Clip, kept: str) -> dict[str, Any]:
    """The plan with this person kept; the person of a track is found by the truth of the clip."""
    tracks = []
    for track in plan["tracks"]:
        row = track["boxes"][len(track["boxes"]) // 2]
        middle = ((row[1] + row[3]) / 2, (row[2] + row[4]) / 2)
        (person,) = {seen.person for seen in calm.truth.at(row[0]) if contains(seen, *middle)}
        tracks.append(track | {"decision": "keep" if person == kept else "blur"})
    assert {track["decision"] for track in tracks} == {"blur", "keep"}
    return plan | {"tracks": tracks}


def contains(seen: Seen, x: float, y: float) -> bool:
    x1, y1, x2, y2 = seen.box
    return x1 <= x <= x2 and y1 <= y <= y2


def hidden_people(content: bytes, calm: Clip) -> dict[str, set[bool]]:
    """For each person, whether the middle of the face is black, over all frames."""
    with av.open(io.BytesIO(content), "r") as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(frames) == calm.truth.frames
    found: dict[str, set[bool]] = {}
    for seen in calm.truth.recognisable():
        x1, y1, x2, y2 = (int(value) for value in seen.box)
        middle = frames[seen.frame][(y1 + y2) // 2 - 3 :, (x1 + x2) // 2 - 3 :][:6, :6]
        found.setdefault(str(seen.person), set()).add(float(np.mean(middle)) < 12)
    return found


def test_an_edited_plan_is_rendered_instead_of_an_analysis(
    service: RunningService, calm: Clip, plan: dict[str, Any]
) -> None:
    kept, *others = sorted(calm.truth.people)
    response = send(service, calm, edited(plan, calm, kept))
    assert (response.status, response.headers["Content-Type"]) == (200, "video/mp4")
    assert hidden_people(response.body, calm) == {
        kept: {False},
        **{name: {True} for name in others},
    }, "the effect solid is that of the plan"
    summary = "frames=60 tracks=2 hidden=1 uncertain=0 unclear=0 not_found=0"
    assert response.headers["X-Face-Blur-Summary"] == summary
    line = service.log_line(response)
    assert "analyse" not in line["seconds"]
    assert (line["hidden"], line["tracks"]) == (1, 2)


def test_options_of_the_rendering_replace_those_of_the_plan(
    service: RunningService, calm: Clip, plan: dict[str, Any]
) -> None:
    made = send(service, calm, plan, ("effect", None, b"pixelate"))
    assert made.status == 200
    assert hidden_people(made.body, calm) == {name: {False} for name in calm.truth.people}


def test_what_does_not_go_with_a_plan_is_refused(
    service: RunningService, calm: Clip, plan: dict[str, Any]
) -> None:
    photo = ("people", "alice.jpg", fetch("obama.jpg").read_bytes())
    json_only = {"Accept": "application/json"}
    foreign = plan | {"source": plan["source"] | {"sha256": "0" * 64}}
    strange = plan | {"settings": plan["settings"] | {"margin": 9}}
    cases: list[tuple[object, tuple[Any, ...], dict[str, str], str, str]] = [
        (plan, (photo,), {}, "bad_option", "people: not possible together with a plan"),
        (plan, (("pad", None, b"9"),), {}, "bad_option", "pad: not possible together"),
        (plan, (), {OPTIONS: "blur=everyone"}, "bad_option", "blur: not possible together"),
        (plan, (), json_only, "bad_option", "brings a plan already"),
        (plan, (("plan", "q.json", b"{}"),), {}, "bad_option", "several parts called plan"),
        (foreign, (), {}, "bad_plan", "made for another file"),
        (strange, (), {}, "bad_plan", "the plan: settings: margin"),
        (plan | {"version": 7}, (), {}, "bad_plan", "version 7 is unknown"),
        (plan | {"shots": [[0, 59]]}, (), {}, "bad_plan", "shots"),
        (b"{", (), {}, "bad_plan", "the plan"),
        (b"", (), {}, "bad_plan", "the plan"),
        (b"[" * 100_000, (), {}, "bad_plan", "nested too deeply"),
        (b"\xff\xfe", (), {}, "bad_plan", "the plan"),
    ]
    for content, more, headers, code, message in cases:
        response = send(service, calm, content, *more, **headers)
        assert (response.status, response.code) == (400, code), response.body
        text = response.json["error"]["message"]
        assert message in text
        assert len(text.splitlines()) == 1
        assert not any(secret in text for secret in (str(service.spool), "given.json", "alice"))


def test_a_file_that_is_sent_as_text_is_explained(service: RunningService) -> None:
    for name in ("media", "plan", "people"):
        response = service.invoke(form((name, None, b"edited.json")), Content_Type=FORM)
        assert (response.status, response.code) == (400, "bad_option")
        assert f"add -F {name}=@FILE" in response.json["error"]["message"]


def unpacked(body: bytes, boundary: str) -> dict[str, tuple[str, bytes]]:
    """File name and content of each part by name: split at the boundary, not by the lengths."""
    delimiter = b"\r\n--" + boundary.encode()
    start, *parts = (b"\r\n" + body).split(delimiter)
    assert (start, parts.pop()) == (b"", b"--\r\n")
    found = {}
    for part in parts:
        stream = io.BytesIO(part.removeprefix(b"\r\n"))
        head = parse_headers(stream)
        content = stream.read()
        assert int(head["Content-Length"]) == len(content)
        name = head.get_param("name", header="Content-Disposition")
        found[str(name)] = (f"{head.get_filename()} {head['Content-Type']}", content)
    return found


def test_multipart_holds_the_same_media_and_plan_as_two_requests(
    service: RunningService, calm: Clip, plan: dict[str, Any]
) -> None:
    options = "effect=solid, blur=everyone"
    content = calm.path.read_bytes()
    response = service.invoke(content, options, Accept="multipart/mixed")
    assert response.status == 200
    assert int(response.headers["Content-Length"]) == len(response.body)
    assert response.headers["X-Face-Blur-Summary"].startswith("frames=60 tracks=2 hidden=2 ")
    boundary = re.fullmatch(
        r"multipart/mixed; boundary=([0-9a-f]{64})", response.headers["Content-Type"]
    )
    assert boundary is not None
    parts = unpacked(response.body, boundary[1])
    assert {name: about for name, (about, _) in parts.items()} == {
        "media": "result.mp4 video/mp4",
        "plan": "plan.json application/json",
    }
    assert json.loads(parts["plan"][1]) == plan
    assert parts["media"][1] == service.invoke(content, options).body
    again = service.invoke(content, options, Accept="multipart/mixed")
    assert again.headers["Content-Type"] != response.headers["Content-Type"], "a new boundary"


def test_zip_holds_the_media_and_the_plan_that_was_sent(
    service: RunningService, calm: Clip, plan: dict[str, Any]
) -> None:
    kept, *_ = sorted(calm.truth.people)
    changed = edited(plan, calm, kept)
    response = send(service, calm, changed, Accept="application/zip")
    assert (response.status, response.headers["Content-Type"]) == (200, "application/zip")
    with ZipFile(io.BytesIO(response.body)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["result.mp4", "plan.json"]
        assert {entry.compress_type for entry in archive.infolist()} == {ZIP_STORED}
        sent = json.loads(archive.read("plan.json"))
        assert sent.pop("summary")["hidden"] == 1, "counted again"
        assert sent == {key: value for key, value in changed.items() if key != "summary"}
        assert hidden_people(archive.read("result.mp4"), calm)[kept] == {False}


@pytest.mark.parametrize("accept", ["multipart/mixed", "application/zip"])
def test_an_error_is_json_whatever_was_asked_for(service: RunningService, accept: str) -> None:
    response = service.invoke(b"no media " * 20_000, Accept=accept)
    assert (response.status, response.headers["Content-Type"]) == (415, "application/json")
    assert response.code == "unsupported_media"


def commands(service: RunningService, heading: str) -> list[list[str]]:
    """The commands of a section of the documentation, for this service."""
    section = PAGE.read_text("utf-8").split(f"\n### {heading}\n")[1].split("\n### ")[0]
    found = re.findall(r"^(curl .*|python3 .*)$", section, re.MULTILINE)
    there = f"127.0.0.1:{service.port}"
    return [
        [part.strip("'") for part in re.findall(r"'[^']*'|\S+", line)]
        for line in (one.replace("localhost:8080", there) for one in found)
    ]


def run_all(lines: list[list[str]], folder: Path) -> None:
    for line in lines:
        subprocess.run(line, cwd=folder, check=True, timeout=60, capture_output=True)


@needs_curl
def test_the_documented_ways_to_unpack_work(
    service: RunningService, calm: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(calm.path, tmp_path / "interview.mp4")
    multipart, *archive = commands(service, "Media and plan at once")
    run_all([multipart], tmp_path)
    script = tmp_path / "unpack.py"
    found = re.search(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert found is not None
    script.write_text(found[1])
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(script))
    content, plan = Path("result.mp4").read_bytes(), Path("plan.json").read_bytes()
    assert hidden_people(content, calm).keys() == set(map(str, calm.truth.people))
    assert len(json.loads(plan)["tracks"]) == 2
    Path("result.mp4").unlink()
    run_all(archive, tmp_path)
    assert (Path("result.mp4").read_bytes(), Path("plan.json").read_bytes()) == (content, plan)


@needs_curl
def test_the_documented_review_with_curl_works(
    service: RunningService, calm: Clip, tmp_path: Path
) -> None:
    shutil.copy(calm.path, tmp_path / "interview.mp4")
    shutil.copy(fetch("obama2.jpg"), tmp_path / "alice.jpg")
    run_all(commands(service, "Review with a plan"), tmp_path)
    with av.open(str(tmp_path / "hidden.mp4")) as container:
        assert sum(1 for _ in container.decode(video=0)) == calm.truth.frames


@needs_curl
def test_curl_leaves_no_file_after_an_error(service: RunningService, tmp_path: Path) -> None:
    (tmp_path / "interview.mp4").write_bytes(b"no media")
    (line, *_) = commands(service, "Media and plan at once")
    done = subprocess.run(line, cwd=tmp_path, check=False, timeout=60, capture_output=True)
    assert done.returncode == 22
    assert [path.name for path in tmp_path.iterdir()] == ["interview.mp4"]


def test_every_code_of_an_error_is_documented() -> None:
    table = PAGE.read_text("utf-8").split("\n### Errors\n")[1]
    listed = {
        (int(status), code)
        for line in table.splitlines()
        if line.startswith("| ")
        for status in re.findall(r"\d+", line.split("|")[1])
        for code in re.findall(r"`([a-z_]+)`", line.split("|")[2])
    }
    kinds = [one for one in vars(errors).values() if isinstance(one, type)]
    ours = {(one.http_status, one.code) for one in kinds if issubclass(one, FaceBlurError)}
    assert len(ours) > 10
    assert ours <= listed
