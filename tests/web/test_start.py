"""Failures at the start, each with one line of log; and people loaded at the start."""

import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

import numpy as np
import pytest
from PIL import Image

from app.config import Settings
from app.errors import PeopleError
from app.logs import JsonFormatter
from app.pipeline import FaceBlur, load_parts
from app.pipeline.engine_people import decode_gallery, encode_gallery, with_people
from app.storage import people_folder
from testmedia.fetch import fetch
from tests.web.service_process import FORM, ROOT, RunningService, environment, form


def _start(
    spool: Path, extra: dict[str, str], **settings: object
) -> tuple[int, list[dict[str, str]]]:
    """Start the service, and return the exit code and log of its failure."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "serve")],
        env=environment(spool, **settings) | extra,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"FACE_BLUR_MARGINS": "1"}, "unknown environment variable FACE_BLUR_MARGINS; valid are:"),
        ({"FACE_BLUR_MARGIN": "7"}, "margin: "),
        ({"FACE_BLUR_QUEUE": "-1"}, "queue: "),
        ({"FACE_BLUR_DEVISE": "cuda"}, "FACE_BLUR_DEVISE"),
        ({"SAGEMAKER_BIND_TO_PORT": "http"}, "SAGEMAKER_BIND_TO_PORT"),
        ({"SAGEMAKER_BIND_TO_PORT": "70000"}, "SAGEMAKER_BIND_TO_PORT"),
        ({"FACE_BLUR_SPOOL": "/nowhere/spool"}, "spool"),
    ],
)
def test_wrong_settings_are_fatal(tmp_path: Path, extra: dict[str, str], message: str) -> None:
    code, log = _start(tmp_path, extra)
    assert code == 2
    (line,) = log
    assert (line["level"], line["event"]) == ("critical", "start failed")
    assert message in line["message"]
    assert list(tmp_path.iterdir()) == []


def _packs(folder: Path, content: bytes | None) -> Path:
    pack = folder / "open"
    pack.mkdir(parents=True)
    shutil.copy(ROOT / "models" / "open" / "pack.toml", pack)
    if content is not None:
        for name in (
            "centerface.onnx",
            "centerface-int8.onnx",
            "face-reidentification-retail-0095.onnx",
        ):
            (pack / name).write_bytes(content)
    return folder


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("no pack", "there is no model pack 'none'"),
        ("missing", "weights are missing; run: face-blur models fetch open"),
        ("damaged", "weights are damaged; run: face-blur models fetch open"),
        ("alice", "photo 1 of people: no face found"),
        ("no gpu", "a GPU was requested, but onnxruntime-gpu is not installed"),
    ],
)
def test_missing_parts_are_fatal(tmp_path: Path, fault: str, message: str) -> None:
    spool, cache = tmp_path / "spool", tmp_path / "cache"
    spool.mkdir()
    settings: dict[str, object] = {}
    if fault == "no pack":
        settings = {"models": "none"}
    elif fault == "no gpu":
        settings = {"device": "cuda"}
    elif fault == "alice":
        (tmp_path / "people").mkdir()
        Image.new("RGB", (200, 200)).save(tmp_path / "people" / "alice.jpg")
        settings = {"people": tmp_path / "people"}
    else:
        content = b"damaged" if fault == "damaged" else None
        settings = {"models_root": _packs(tmp_path / "models", content)}
    extra = {} if fault in {"alice", "no gpu"} else {"XDG_CACHE_HOME": str(cache)}
    code, log = _start(spool, extra, **settings)
    assert code == 3
    (line,) = [line for line in log if line["level"] in {"critical", "error"}]
    assert line["event"] == "start failed"
    assert message in line["message"]
    assert not any(secret in str(log) for secret in ("alice", str(tmp_path)))
    assert list(spool.iterdir()) == []


class _Bucket(BaseHTTPRequestHandler):
    """A minimal S3: a bucket of objects."""

    objects: ClassVar[dict[str, bytes]] = {}

    def _body(self) -> tuple[int, bytes]:
        url = urlsplit(self.path)
        bucket, _, key = unquote(url.path).lstrip("/").partition("/")
        if bucket != "bucket":
            return 403, b"<Error><Code>AccessDenied</Code><Message>arn of alice</Message></Error>"
        if key:
            return (200, self.objects[key]) if key in self.objects else (404, b"")
        prefix = parse_qs(url.query).get("prefix", [""])[0]
        found = "".join(
            f"<Contents><Key>{escape(name)}</Key><Size>{len(content)}</Size></Contents>"
            for name, content in self.objects.items()
            if name.startswith(prefix)
        )
        return (
            200,
            f"<ListBucketResult><IsTruncated>false</IsTruncated>{found}</ListBucketResult>".encode(),
        )

    def do_GET(self) -> None:
        status, body = self._body()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815 - name of the base class

    def log_message(self, *args: object) -> None:
        """Log nothing."""


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, bytes]]:
    """The objects of the bucket ``bucket``; the environment makes boto3 use it."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Bucket)
    monkeypatch.setattr(_Bucket, "objects", {})
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    variables = {"ENDPOINT_URL_S3": f"http://127.0.0.1:{server.server_port}", "MAX_ATTEMPTS": "1"}
    variables |= {"ACCESS_KEY_ID": "x", "SECRET_ACCESS_KEY": "x", "DEFAULT_REGION": "us-east-1"}
    for name, value in variables.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    yield _Bucket.objects
    server.shutdown()
    server.server_close()
    thread.join()


def test_people_in_s3_are_loaded_and_their_photos_removed(
    tmp_path: Path, bucket: dict[str, bytes]
) -> None:
    bucket["cast/obama/1.jpg"] = fetch("obama2.jpg").read_bytes()
    bucket["cast/obama/2.jpg"] = fetch("obama3.jpg").read_bytes()
    bucket["cast/biden.jpg"] = fetch("biden.jpg").read_bytes()
    bucket["cast/"] = b""
    bucket["castle/other.jpg"] = b"no photo"
    bucket["cast/obama/Thumbs.db"] = bucket["cast/__MACOSX/obama/._1.jpg"] = b"of the system"
    portrait = fetch("obama.jpg").read_bytes()
    with RunningService(
        tmp_path, people="s3://bucket/cast", embeddings="true", min_free=0
    ) as service:
        assert service.spooled() == []
        ready = service.wait_for_log(lambda line: line["event"] == "ready")
        assert ready["people"] == 2
        # A folder for temporary files that nobody chose, such as /var/tmp, must not go unnoticed.
        assert (ready["uid"], ready["spool"]) == (os.getuid(), str(tmp_path))
        assert ready["encoder"] == "software"
        assert (ready["device"] == "cpu") == (ready["provider"] == "CPUExecutionProvider")
        assert 0 < ready["free_bytes"] <= shutil.disk_usage(tmp_path).total
        passed_over = [line for line in service.log if "passed over" in line["event"]]
        assert [line["files"] for line in passed_over] == [2]
        plan = service.invoke(portrait, Accept="application/json").json
        assert [person["name"] for person in plan["people"]] == ["biden", "obama"]
        assert [(t["person"], t["decision"]) for t in plan["tracks"]] == [("obama", "blur")]
        # The people of a request replace those of the service.
        body = form(("media", "x.jpg", portrait), ("people", "biden.jpg", bucket["cast/biden.jpg"]))
        plan = service.invoke(body, Content_Type=FORM, Accept="application/json").json
        assert [person["name"] for person in plan["people"]] == ["biden"]
        assert [track["decision"] for track in plan["tracks"]] == ["keep"]
        report = service.invoke(portrait, Accept="application/json; embeddings=1").json
        (face,) = report["faces"]
        assert sum(value**2 for value in face["embedding"]) == pytest.approx(1, abs=1e-3)
        assert face["box"] == pytest.approx([373, 85, 615, 431], abs=30)
        assert service.request("GET", "/metrics").status == 404
        assert "obama" not in str(service.log)


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("s3://bucket/none", "has 0 photos"),
        ("s3://other/cast", "the photos of people: access is denied"),
        ("s3://bucket/deep", "is not NAME.jpg"),
        ("s3://bucket/up", "is not NAME.jpg"),
        ("s3://bucket/long", "is not NAME.jpg"),
        ("s3://bucket/both", "has the name of a folder"),
        ("s3://BUCKET/x", "is not of the form s3://BUCKET/KEY"),
    ],
)
def test_unusable_people_in_s3_are_an_error(
    tmp_path: Path, bucket: dict[str, bytes], place: str, message: str
) -> None:
    bucket["deep/alice/x/y.jpg"] = bucket["up/../alice.jpg"] = b"x"
    bucket[f"long/{'alice' * 52}.jpg"] = bucket["both/alice"] = bucket["both/alice/1.jpg"] = b"x"
    with pytest.raises(PeopleError, match=message) as caught, people_folder(place, tmp_path):
        pass
    assert "alice" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_a_507(tmp_path: Path) -> None:
    with RunningService(tmp_path, min_free=10**18) as service:
        response = service.invoke(fetch("obama.jpg").read_bytes())
        assert (response.status, response.code) == (507, "disk_full")
        assert service.spooled() == []


def test_doubtful_photos_are_logged_without_names(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One person under two names."""
    people, spool = tmp_path / "people", tmp_path / "spool"
    spool.mkdir()
    for name, medium in (("alice", "obama2.jpg"), ("bob", "obama3.jpg")):
        (people / name).mkdir(parents=True)
        shutil.copy(fetch(medium), people / name / "photo.jpg")
    parts = load_parts(Settings(), recogniser=True)
    session = with_people(FaceBlur(Settings(), parts=parts), str(people), spool)
    assert len(session.gallery.doubts) == 1
    kept = decode_gallery(json.loads(json.dumps(encode_gallery(session.gallery))))
    assert kept.names == session.gallery.names == ("alice", "bob")
    for one, other in zip(kept.people, session.gallery.people, strict=True):
        assert np.array_equal(one.embeddings, other.embeddings)
        assert one.photos == other.photos
    (record,) = (one for one in caplog.records if one.getMessage() == "doubtful photos")
    line = JsonFormatter().format(record)
    assert json.loads(line)["doubts"] == 1
    assert "face-blur people" in line
    assert "alice" not in line
    assert "bob" not in line
