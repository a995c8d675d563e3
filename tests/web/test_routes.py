"""Faults that no client can cause, and the removal of names from messages."""

import json
import logging
import resource
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import pytest

from app.config import ServiceSettings, Settings
from app.errors import DiskFull, IncompleteUpload
from app.isolation import ChildFault, Pool
from app.isolation.messages import Message
from app.logs import JsonFormatter, redact
from app.web.metrics import Metrics
from app.web.routes import make_app
from app.web.service import Runner, Service
from app.web.uploads import BodyReader, new_file
from testmedia.fetch import fetch


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The lines that the service logs."""
    found: list[dict[str, Any]] = []

    def keep(record: logging.LogRecord) -> None:
        found.append(json.loads(JsonFormatter().format(record)))

    monkeypatch.setattr(logging.getLogger("face_blur"), "handle", keep)
    return found


class _Broken:
    """A pool of one child, which has a bug."""

    def __len__(self) -> int:
        return 1

    def take(self, timeout: float) -> "_Broken":
        return self

    def put_back(self, child: object) -> None:
        assert child is self

    def run(self, *arguments: object, **options: object) -> Message:
        raise ChildFault({"error": "AttributeError", "where": ["media_job.py:1 run"]})


def test_a_bug_is_a_500_without_details(tmp_path: Path, lines: list[dict[str, Any]]) -> None:
    limits = ServiceSettings(min_free=0)
    engines = cast(Pool, _Broken())
    service = Service(Settings(), limits, tmp_path, engines, Runner(engines, 0, 0), Metrics())
    client = make_app(service).test_client()
    response = client.post("/invocations", data=fetch("obama.jpg").read_bytes())
    assert response.status_code == 500
    error = response.get_json()["error"]
    assert error["code"] == "internal_error"
    (line,) = lines
    assert line["request"] in error["message"]
    assert (line["level"], line["status"], line["error"]) == ("error", 500, "AttributeError")
    assert any("media_job.py" in place for place in line["where"])
    assert list(tmp_path.iterdir()) == []


class _Cut(BytesIO):
    def read(self, size: int | None = -1) -> bytes:
        raise ConnectionResetError


def test_a_cut_connection_is_an_incomplete_upload(tmp_path: Path) -> None:
    body = BodyReader(_Cut(), None, tmp_path, ServiceSettings(min_free=0), lambda: None)
    with pytest.raises(IncompleteUpload):
        list(body.blocks())


def _write(path: Path) -> None:
    with new_file(path) as file:
        file.write(b"x" * 2**20)


def test_a_full_disk_is_reported(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(DiskFull):
            _write(tmp_path / "x")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(
    ("message", "redacted"),
    [
        ("/opt/ml/alice.jpg: no face found; use another", "no face found; use another"),
        ("bad: /a/b c: (/x/y) s3://bucket/alice.jpg", "bad: a file c: (a file) a file"),
        ("/spool/alice smith/x: no; /spool/alice smith: bad", "photo 1: no; a person: bad"),
        (
            "tickets: a prefix must be s3://BUCKET/ or s3://BUCKET/PREFIX/ (with the / at its end)",
            "tickets: a prefix must be s3://BUCKET/ or s3://BUCKET/PREFIX/ (with the / at its end)",
        ),
        ("x: is not of the form s3://BUCKET/KEY", "x: is not of the form s3://BUCKET/KEY"),
        ("s3://BUCKET/KEYS/alice.jpg s3://BUCKET/alice", "a file a file"),
        ("1/2 and and/or\nhttps://x.y/z stay", "1/2 and and/or https://x.y/z stay"),
        ("x" * 900, "x" * 500),
    ],
)
def test_paths_are_redacted(message: str, redacted: str) -> None:
    labels = {Path("/spool/alice smith"): "a person", Path("/spool/alice smith/x"): "photo 1"}
    assert redact(message, labels) == redacted


def test_a_log_line_of_an_exception_has_no_message() -> None:
    error = ValueError("alice")
    info = (ValueError, error, None)
    record = logging.LogRecord("gunicorn.error", 40, "x", 1, "Error in %s", ("/alice",), info)
    line = json.loads(JsonFormatter().format(record))
    assert (line["event"], line["error"]) == ("Error in %s", "ValueError")
    assert "alice" not in str(line)
    record = logging.LogRecord(
        "gunicorn.error", 30, "x", 1, "Invalid from ip=10.1.2.3: y", (), None
    )
    assert json.loads(JsonFormatter().format(record))["event"] == "Invalid from ip=- y"
    record = logging.LogRecord("botocore.x", 30, "x", 1, "alice of %s", ("x",), None)
    assert json.loads(JsonFormatter().format(record))["event"] == "botocore.x"
