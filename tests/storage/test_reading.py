"""S3 objects as files: every byte, or an error."""

import errno
import hashlib
import random
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from app.errors import Interrupted, PlaceError, StorageError
from app.files import sha256_of
from app.storage import RemoteFile, S3Uri, make_client
from app.video import Media, Writing, check_output, open_mixing_sink, open_sink, open_source
from testmedia.videos import MadeVideo, copy_video
from tests.storage.buckets import NAME, Bucket, S3Request

BLOCK = 1000
URI = S3Uri(NAME, "in/alice.bin")
CONTENT = random.Random(1).randbytes(20 * BLOCK + 7)


def never_stop() -> None:
    """Let the work continue."""


@contextmanager
def remote(block: int = BLOCK, read_seconds: float = 5.0) -> Iterator[RemoteFile]:
    with RemoteFile(make_client(read_seconds), URI, "the input", never_stop, block) as file:
        yield file


@pytest.fixture
def stored(bucket: Bucket) -> Bucket:
    """The bucket with ``CONTENT`` at ``URI``."""
    bucket.put(URI.key, CONTENT)
    return bucket


def fetched_ranges(bucket: Bucket) -> list[str]:
    return [request.range or "" for request in bucket.requests if request.method == "GET"]


def test_a_remote_file_reads_like_a_local_file(stored: Bucket, tmp_path: Path) -> None:
    path, draw = tmp_path / "same", random.Random(2)
    path.write_bytes(CONTENT)
    with remote() as file, path.open("rb") as same, file.open("rb") as there:
        for _ in range(60):
            if draw.random() < 0.7:
                offset, whence = draw.choice(
                    [(draw.randrange(len(CONTENT) + 50), 0), (-draw.randrange(3000), 2), (0, 1)]
                )
                assert there.seek(offset, whence) == same.seek(offset, whence)
            size = draw.choice([0, 1, 16, 999, 5000])
            assert there.read(size) == same.read(size)
            assert there.tell() == same.tell()
        assert there.seek(0) == 0
        assert there.read() == CONTENT
        assert sha256_of(file) == sha256_of(path)
        with pytest.raises(ValueError, match="negative"):
            there.seek(-1)


def test_blocks_are_fetched_once_and_ahead(stored: Bucket) -> None:
    with remote() as file, file.open("rb") as one, file.open("rb") as other:
        while first := one.read(300):
            assert other.read(300) == first
        assert len(fetched_ranges(stored)) == len(set(fetched_ranges(stored))) == 21
        assert "bytes=20000-20006" in fetched_ranges(stored)


def test_few_blocks_stay_in_memory(stored: Bucket) -> None:
    with remote() as file, file.open("rb") as reader:
        reader.read()
        reader.seek(0)
        reader.read(1)
        assert fetched_ranges(stored).count("bytes=0-999") == 2


@pytest.mark.parametrize("fault", ["cut", "stall"])
def test_a_broken_connection_is_retried(stored: Bucket, fault: str) -> None:
    broken: set[str | None] = set()

    def once(request: S3Request) -> str | None:
        if request.method != "GET" or request.range != "bytes=3000-3999" or request.range in broken:
            return None
        broken.add(request.range)
        return fault

    stored.fault = once
    # Long enough for slow responses on a busy machine.
    with remote(read_seconds=3) as file, file.open("rb") as reader:
        assert reader.read() == CONTENT
    assert broken


@pytest.mark.parametrize("fault", ["cut", "stall", "error", "whole"])
def test_a_persistent_fault_is_a_permanent_error(stored: Bucket, fault: str) -> None:
    stored.fault = lambda request: fault if request.range == "bytes=3000-3999" else None
    with remote(read_seconds=0.2) as file:
        with pytest.raises(StorageError) as caught, file.open("rb") as reader:
            reader.read()
        assert "alice" not in str(caught.value)
        assert str(caught.value).startswith("the input: ")
        stored.fault = lambda request: None
        with pytest.raises(StorageError), file.open("rb") as reader:
            reader.read(1)
        with pytest.raises(StorageError):
            file.check_read()


def test_an_object_that_changes_is_an_error(stored: Bucket) -> None:
    with remote() as file, file.open("rb") as reader:
        reader.read(10)
        stored.put(URI.key, CONTENT[::-1])
        with pytest.raises(PlaceError, match="the input: was changed during the work"):
            reader.read()


def test_a_missing_object_is_an_error(bucket: Bucket) -> None:
    with pytest.raises(PlaceError, match="the input: does not exist"), remote():
        pass


def test_missing_credentials_are_an_error(stored: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(PlaceError, match=r"no AWS credentials.*EnableNetworkIsolation"), remote():
        pass


def test_an_unreachable_endpoint_is_an_error(
    stored: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(StorageError, match="the input: S3 failed"), remote():
        pass


def test_waiting_can_be_stopped_and_the_threads_end(stored: Bucket) -> None:
    stored.fault = lambda request: "stall" if request.range else None
    stopped = threading.Event()

    def check() -> None:
        if stopped.is_set():
            raise Interrupted("the client went away")

    threading.Timer(0.2, stopped.set).start()
    began = time.monotonic()
    with (
        pytest.raises(Interrupted),
        RemoteFile(make_client(1.0), URI, "the input", check, BLOCK) as file,
    ):
        file.open("rb").read()
    assert time.monotonic() - began < 3, "at most one read of one second, and no retry"
    assert not [thread for thread in threading.enumerate() if "fetch-ahead" in thread.name]


VIDEOS = {
    "a.mp4": MadeVideo(),
    "a.mkv": MadeVideo(base=Fraction(1, 1000)),
    "a.ts": MadeVideo(base=Fraction(1, 90000)),
}


@pytest.mark.parametrize("name", VIDEOS)
@pytest.mark.parametrize("block", [1 << 14, 8 << 20])
def test_a_video_decodes_the_same_from_s3_and_from_disk(
    bucket: Bucket, tmp_path: Path, name: str, block: int
) -> None:
    path = VIDEOS[name].write(tmp_path / name)
    bucket.put(URI.key, path.read_bytes())
    with remote(block) as file:
        here, there = open_source(path), open_source(file)
        assert here.info == there.info
        pairs = list(zip(here, there, strict=True))
        assert len(pairs) > 1
        for one, other in pairs:
            assert one.pts == other.pts
            np.testing.assert_array_equal(one.rgb(), other.rgb())
        assert check_output(file, tmp_path / f"new-{name}") == check_output(
            path, tmp_path / f"new-{name}"
        )
        # Encoders with several threads are not always the same to the byte.
        writing = Writing(threads=1)
        for source in (path, file):
            with open_sink(source, tmp_path / f"from-{source is file}-{name}", writing) as sink:
                for frame in open_source(source):
                    sink.write(frame, np.zeros((0, 4), np.float32))
                sink.commit()
    made = [tmp_path / f"from-{kind}-{name}" for kind in (False, True)]
    # Matroska files contain random identifiers.
    if not name.endswith(".mkv"):
        assert made[0].read_bytes() == made[1].read_bytes()
    assert len(list(open_source(made[1]))) == len(pairs)


def test_a_fault_during_decoding_is_reported_as_a_storage_error(
    bucket: Bucket, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = MadeVideo(size=(320, 240), noise=60).write(tmp_path / "a.mp4")
    bucket.put(URI.key, path.read_bytes())
    assert path.stat().st_size > 20 << 12, "more than is kept in memory"
    with remote(1 << 12) as file:
        source = open_source(file)
        bucket.fault = lambda request: "error" if request.range else None
        with pytest.raises(StorageError, match="the input: S3 failed: InternalError"):
            list(source)
    assert capfd.readouterr() == ("", ""), "the media library must not print anything"


@pytest.mark.parametrize("index", ["front", "end"])
def test_all_passes_and_the_hash_fetch_each_block_once_with_a_disk(
    bucket: Bucket, tmp_path: Path, index: str
) -> None:
    """The second pass has three readers: frames, other streams, and copied packets."""
    flags = {"movflags": "+faststart"} if index == "front" else {}
    film = MadeVideo(
        (320, 240), 1000, options={"g": "25"}, sounds=[("aac", "deu")], muxer_options=flags
    )
    data = film.write(tmp_path / "a.mp4").read_bytes()
    block = len(data) // 40
    bucket.put(URI.key, data)
    with RemoteFile(make_client(), URI, "the input", never_stop, block, disk=tmp_path) as file:
        media = Media(file)
        assert sum(1 for _ in open_source(media)) == 1000
        assert media.sha256 == hashlib.sha256(data).hexdigest()
        hidden = np.zeros(1000, bool)
        hidden[400:430] = True
        with open_mixing_sink(media, tmp_path / "out.mp4", Writing(), hidden) as sink:
            for frame in open_source(media).only(sink.stretches):
                sink.write(frame, np.zeros((0, 4), np.float32))
            sink.commit()
    assert len(fetched_ranges(bucket)) == len(set(fetched_ranges(bucket))) == -(-len(data) // block)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "out.mp4"]


def test_a_full_disk_only_costs_further_requests(
    stored: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr("app.storage.block_file.os.pwrite", full)
    with RemoteFile(make_client(), URI, "the input", never_stop, BLOCK, disk=tmp_path) as file:
        for _ in range(2):
            with file.open("rb") as there:
                assert there.read() == CONTENT
        assert file.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert len(set(fetched_ranges(stored))) == 21
    assert len(fetched_ranges(stored)) > 21


def test_without_the_disk_two_passes_read_an_object_twice(bucket: Bucket, tmp_path: Path) -> None:
    """The second pass has two readers, for frames and for other streams."""
    film = MadeVideo((320, 240), 1000, options={"g": "25"}, sounds=[("aac", "deu")])
    data = copy_video(film.write(tmp_path / "a.mp4"), tmp_path / "b.mp4").read_bytes()
    block = len(data) // 40
    bucket.put(URI.key, data)
    with remote(block) as file:
        media = Media(file)
        assert sum(1 for _ in open_source(media)) == 1000
        assert media.sha256 == hashlib.sha256(data).hexdigest()
        with open_sink(media, tmp_path / "out.mp4", Writing()) as sink:
            for frame in open_source(media):
                sink.write(frame, np.zeros((0, 4), np.float32))
            sink.commit()
    blocks = -(-len(data) // block)
    # The header and the first blocks of each pass may be fetched again.
    assert len(fetched_ranges(bucket)) <= 2 * blocks + 8


def test_blocks_leave_the_reserve_free(stored: Bucket, tmp_path: Path) -> None:
    free = shutil.disk_usage(tmp_path).free
    uri, client = URI, make_client()
    with RemoteFile(
        client, uri, "the input", never_stop, BLOCK, disk=tmp_path, reserve=2 * free
    ) as file:
        assert file.sha256 == hashlib.sha256(CONTENT).hexdigest()
        assert not file.is_on_disk
    with RemoteFile(client, uri, "the input", never_stop, BLOCK, disk=tmp_path) as file:
        assert not file.is_on_disk
        assert file.sha256 == hashlib.sha256(CONTENT).hexdigest()
        assert file.is_on_disk
