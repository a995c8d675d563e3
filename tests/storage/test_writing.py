"""Uploads: whole, or as if there had been none."""

import random
import threading
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.errors import Interrupted, PlaceError, StorageError
from app.storage import S3Uri, find, make_client, upload
from tests.storage.buckets import NAME, Asked, Bucket

PART = 5 << 20
"""The smallest that S3 takes."""
PLACE = S3Uri(NAME, "out/alice.mp4")
MARK = {"face-blur": "1234"}


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.storage.writing._PART", PART)


@pytest.fixture(params=[1, 2 * PART + 1], ids=["small", "parts"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "result.mp4"
    path.write_bytes(random.Random(3).randbytes(request.param))
    return path


@pytest.fixture(autouse=True)
def _no_leftovers(bucket: Bucket) -> Iterator[None]:
    yield
    bucket.fault = lambda asked: None
    assert bucket.uploads() == []
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("send")]


def send(path: Path, *, overwrite: bool = False, check: Callable[[], None] = lambda: None) -> None:
    upload(
        make_client(2.0), path, PLACE, "the output",
        content_type="video/mp4", metadata=MARK, overwrite=overwrite, check=check,
    )  # fmt: skip


def test_what_is_put_is_there(bucket: Bucket, file: Path) -> None:
    assert find(make_client(), PLACE, "the output") is None
    send(file)
    assert bucket.get(PLACE.key) == file.read_bytes()
    head = bucket.head(PLACE.key)
    assert (head["ContentType"], head["Metadata"]) == ("video/mp4", MARK)
    stored = find(make_client(), PLACE, "the output")
    assert stored is not None
    assert (stored.size, stored.metadata) == (file.stat().st_size, MARK)
    assert stored.crc in {
        None,
        b64encode(zlib.crc32(file.read_bytes()).to_bytes(4, "big")).decode(),
    }
    parts = [asked for asked in bucket.asked if "partNumber" in asked.query]
    assert len(parts) == -(-file.stat().st_size // PART)


def test_what_is_there_stays_unless_it_may_go(bucket: Bucket, file: Path) -> None:
    bucket.put(PLACE.key, b"older")
    with pytest.raises(PlaceError, match="the output: exists already"):
        send(file)
    assert bucket.get(PLACE.key) == b"older"
    send(file, overwrite=True)
    assert bucket.get(PLACE.key) == file.read_bytes()


@pytest.mark.parametrize("method", ["PUT", "POST"])
@pytest.mark.parametrize("fault", ["error", "stall"])
def test_a_failure_leaves_nothing(bucket: Bucket, file: Path, method: str, fault: str) -> None:
    def failing(asked: Asked) -> str | None:
        hit = asked.method == method and "uploadId" in asked.query
        # Parts fail when they have been taken, the end before that: a lost answer comes below.
        return ("error" if method == "POST" else fault) if hit else None

    bucket.fault = failing
    with pytest.raises(StorageError) as caught:
        send(file)
    assert str(caught.value).startswith("the output: ")
    assert "alice" not in str(caught.value)
    assert bucket.keys() == []


def test_an_answer_that_is_lost_is_no_failure(
    bucket: Bucket, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S3 gives the object its name, and boto3 asks again because it has not heard of it."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    asked_to_end: list[Asked] = []

    def lose(asked: Asked) -> str | None:
        if asked.method != "POST" or "uploadId" not in asked.query:
            return None
        asked_to_end.append(asked)
        return "lost" if len(asked_to_end) == 1 else None

    bucket.fault = lose
    send(file)
    assert len(asked_to_end) == 2
    assert bucket.get(PLACE.key) == file.read_bytes()


def test_somebody_elses_object_is_not_taken_for_ours(bucket: Bucket, file: Path) -> None:
    """Another one puts the same bytes there between our look and our end."""

    def steal(asked: Asked) -> str | None:
        if asked.method == "POST" and "uploadId" in asked.query:
            bucket.put(PLACE.key, file.read_bytes())
        return None

    bucket.fault = steal
    with pytest.raises(PlaceError, match="exists already"):
        send(file)
    assert bucket.head(PLACE.key)["Metadata"] == {}


def test_it_can_be_stopped(bucket: Bucket, file: Path) -> None:
    bucket.put(PLACE.key, b"older")

    def check() -> None:
        if any("partNumber" in asked.query for asked in bucket.asked):
            raise Interrupted("the client went away")

    with pytest.raises(Interrupted):
        send(file, overwrite=True, check=check)
    assert bucket.get(PLACE.key) == b"older"


def test_a_bucket_that_is_not_there(bucket: Bucket, file: Path) -> None:
    with pytest.raises(PlaceError, match="the output: is not there"):
        upload(
            make_client(), file, S3Uri("nobodys", "a.mp4"), "the output",
            content_type="video/mp4", metadata=MARK, overwrite=False, check=lambda: None,
        )  # fmt: skip
