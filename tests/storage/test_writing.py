"""Uploads are complete, or leave the object as before."""

import random
import threading
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.errors import Interrupted, PlaceError, StorageError
from app.storage import S3Uri, find_object, make_client, upload_object
from tests.storage.buckets import NAME, Bucket, S3Request

PART = 5 << 20
"""The smallest part that S3 accepts."""
URI = S3Uri(NAME, "out/alice.mp4")
METADATA = {"face-blur": "1234"}


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.storage.writing._PART_BYTES", PART)


@pytest.fixture(params=[1, 2 * PART + 1], ids=["small", "parts"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "result.mp4"
    path.write_bytes(random.Random(3).randbytes(request.param))
    return path


@pytest.fixture(autouse=True)
def _no_leftovers(bucket: Bucket) -> Iterator[None]:
    yield
    bucket.fault = lambda request: None
    assert bucket.uploads() == []
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("send")]


def send(path: Path, *, overwrite: bool = False, check: Callable[[], None] = lambda: None) -> None:
    upload_object(
        make_client(2.0),
        path,
        URI,
        "the output",
        content_type="video/mp4",
        metadata=METADATA,
        overwrite=overwrite,
        check=check,
    )


def test_an_uploaded_file_is_stored(bucket: Bucket, file: Path) -> None:
    assert find_object(make_client(), URI, "the output") is None
    send(file)
    assert bucket.get(URI.key) == file.read_bytes()
    head = bucket.head(URI.key)
    assert (head["ContentType"], head["Metadata"]) == ("video/mp4", METADATA)
    stored = find_object(make_client(), URI, "the output")
    assert stored is not None
    assert (stored.size, stored.metadata) == (file.stat().st_size, METADATA)
    assert stored.crc in {
        None,
        b64encode(zlib.crc32(file.read_bytes()).to_bytes(4, "big")).decode(),
    }
    parts = [request for request in bucket.requests if "partNumber" in request.query]
    assert len(parts) == -(-file.stat().st_size // PART)


def test_an_existing_object_is_replaced_only_with_overwrite(bucket: Bucket, file: Path) -> None:
    bucket.put(URI.key, b"older")
    with pytest.raises(PlaceError, match="the output: already exists"):
        send(file)
    assert bucket.get(URI.key) == b"older"
    send(file, overwrite=True)
    assert bucket.get(URI.key) == file.read_bytes()


@pytest.mark.parametrize("method", ["PUT", "POST"])
@pytest.mark.parametrize("fault", ["error", "stall"])
def test_a_failure_leaves_nothing(bucket: Bucket, file: Path, method: str, fault: str) -> None:
    def failing(request: S3Request) -> str | None:
        hit = request.method == method and "uploadId" in request.query
        # Only parts stall: a lost response to the completion is tested below.
        return ("error" if method == "POST" else fault) if hit else None

    bucket.fault = failing
    with pytest.raises(StorageError) as caught:
        send(file)
    assert str(caught.value).startswith("the output: ")
    assert "alice" not in str(caught.value)
    assert bucket.keys() == []


def test_a_lost_response_is_not_a_failure(
    bucket: Bucket, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S3 completes the object, and boto3 repeats the request because the response is lost."""
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    completions: list[S3Request] = []

    def lose(request: S3Request) -> str | None:
        if request.method != "POST" or "uploadId" not in request.query:
            return None
        completions.append(request)
        return "lost" if len(completions) == 1 else None

    bucket.fault = lose
    send(file)
    assert len(completions) == 2
    assert bucket.get(URI.key) == file.read_bytes()


def test_an_object_of_another_writer_is_not_taken_for_ours(bucket: Bucket, file: Path) -> None:
    """Another writer stores the same bytes just before our upload completes."""

    def steal(request: S3Request) -> str | None:
        if request.method == "POST" and "uploadId" in request.query:
            bucket.put(URI.key, file.read_bytes())
        return None

    bucket.fault = steal
    with pytest.raises(PlaceError, match="already exists"):
        send(file)
    assert bucket.head(URI.key)["Metadata"] == {}


def test_an_upload_can_be_stopped(bucket: Bucket, file: Path) -> None:
    bucket.put(URI.key, b"older")

    def check() -> None:
        if any("partNumber" in request.query for request in bucket.requests):
            raise Interrupted("the client went away")

    with pytest.raises(Interrupted):
        send(file, overwrite=True, check=check)
    assert bucket.get(URI.key) == b"older"


def test_a_missing_bucket_is_an_error(bucket: Bucket, file: Path) -> None:
    with pytest.raises(PlaceError, match="the output: does not exist"):
        upload_object(
            make_client(),
            file,
            S3Uri("nobodys", "a.mp4"),
            "the output",
            content_type="video/mp4",
            metadata=METADATA,
            overwrite=False,
            check=lambda: None,
        )
