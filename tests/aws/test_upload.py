"""Uploads: names, checks, and interruptions."""

import gzip
import hashlib
import io
import json
import os
import signal
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from app.errors import PeopleError, UnsupportedMedia, UsageError
from app.pipeline.people import find_photos
from scripts.aws import uploads
from scripts.aws.cloud import Cloud, CloudError, project_tags
from scripts.aws.uploads import (
    Progress,
    Upload,
    check_keys,
    checksum,
    find_media,
    find_people,
    head_object,
    part_size,
    upload,
    write_archive,
)
from scripts.aws.variables import Variables
from testmedia.clip import Clip

MP4 = b"\0\0\0\x18ftypisom\0\0\0\0isomiso2" + b"film" * 1000
JPEG = b"\xff\xd8\xff\xe0" + b"photo" * 100
BUCKET = "videos"
SMALLEST = 5 * 2**20
"""Minimum size of a part in S3."""


@contextmanager
def silent(item: Upload, size: int) -> Iterator[Progress]:
    yield lambda _: None


@pytest.fixture
def filled(cloud: Cloud) -> Cloud:
    """An account with a bucket."""
    make_bucket(cloud)
    return Cloud(Variables(bucket=BUCKET))


def make_bucket(cloud: Cloud) -> None:
    place = {"LocationConstraint": "eu-north-1"}
    cloud.client("s3").create_bucket(Bucket=BUCKET, CreateBucketConfiguration=place)


def keys(cloud: Cloud) -> list[str]:
    return [item["Key"] for item in cloud.pages("s3", "list_objects_v2", "Contents", Bucket=BUCKET)]


def body(cloud: Cloud, key: str) -> bytes:
    return bytes(cloud.read("s3", "get_object", Bucket=BUCKET, Key=key)["Body"].read())


def an_item(folder: Path, content: bytes = MP4, key: str = "input/a.mp4") -> Upload:
    path = folder / "a.mp4"
    path.write_bytes(content)
    return Upload(path, key, "video/mp4")


def test_files_and_folders_become_keys_below_the_prefix(tmp_path: Path) -> None:
    for name in ("a.mp4", "day/b.mp4", "day/two/c.MOV", "day/.hidden.mp4", "day/.DS_Store/d.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(MP4)
    (tmp_path / "day" / "photo.jpeg").write_bytes(JPEG)
    (tmp_path / "day" / "notes.txt").write_text("notes")
    items, strange = find_media([tmp_path / "a.mp4", tmp_path / "day"], "input/")
    assert [(item.key, item.content_type) for item in items] == [
        ("input/a.mp4", "video/mp4"),
        ("input/b.mp4", "video/mp4"),
        ("input/photo.jpeg", "image/jpeg"),
        ("input/two/c.MOV", "video/mp4"),
    ]
    assert strange == [tmp_path / "day" / "notes.txt"]


def test_a_named_file_must_be_media(tmp_path: Path) -> None:
    (tmp_path / "notes.mp4").write_text("notes")
    with pytest.raises(UnsupportedMedia, match=r"notes\.mp4: not a supported video or image"):
        find_media([tmp_path / "notes.mp4"], "input/")
    with pytest.raises(UsageError, match="no video or image was found"):
        find_media([tmp_path], "input/")


@pytest.mark.parametrize(
    ("names", "fault"),
    [
        (("a/x.mp4", "b/x.mp4"), r"a/x\.mp4 and .*b/x\.mp4 would have the same name"),
        (("a/x.mp4", "b/X.mp4"), "would have the same name"),
        (("a/caf\u00e9.mp4", "b/cafe\u0301.mp4"), "would have the same name"),
        (("a/x\ny.mp4",), "control characters"),
        (("a/x\udcff.mp4",), "is not text"),
    ],
)
def test_names_that_would_collide_are_refused(names: tuple[str, ...], fault: str) -> None:
    items = [Upload(Path(name), f"input/{Path(name).name}", "video/mp4") for name in names]
    with pytest.raises(UsageError, match=fault):
        check_keys(items)


def test_a_name_has_at_most_the_length_of_s3() -> None:
    check_keys([Upload(Path("x"), "i/" + "\u00e9" * 511, "video/mp4")])
    with pytest.raises(UsageError, match="longer than the 1024 bytes of S3"):
        check_keys([Upload(Path("x"), "i/" + "\u00e9" * 512, "video/mp4")])


def test_an_object_has_the_content_of_the_file_and_our_tag(filled: Cloud, tmp_path: Path) -> None:
    item = an_item(tmp_path)
    told: list[int] = []

    @contextmanager
    def bar(item: Upload, size: int) -> Iterator[Progress]:
        assert size == len(MP4)
        yield told.append

    assert upload(filled, [item], bar, overwrite=False) == [item]
    assert sum(told) == len(MP4)
    assert body(filled, item.key) == MP4
    found = head_object(filled, item.key)
    assert found is not None
    assert found["ContentType"] == "video/mp4"
    assert found["ChecksumSHA256"] == checksum(item.path, part_size(len(MP4)))
    tags = filled.read("s3", "get_object_tagging", Bucket=BUCKET, Key=item.key)["TagSet"]
    assert tags == project_tags("face-blur")


@pytest.mark.parametrize("size", [0, 1, SMALLEST, SMALLEST + 1, 2 * SMALLEST, 2 * SMALLEST + 7])
def test_the_checksum_equals_that_of_s3(
    filled: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(uploads, "PART", SMALLEST)
    item = an_item(tmp_path, os.urandom(size))
    assert upload(filled, [item], silent, overwrite=False) == [item]
    found = head_object(filled, item.key)
    assert found is not None
    assert found["ETag"].count("-") == (size > SMALLEST)
    assert upload(filled, [item], silent, overwrite=False) == []
    assert hashlib.sha256(body(filled, item.key)).digest() == (
        hashlib.sha256(item.path.read_bytes()).digest()
    )


def test_parts_grow_with_large_files() -> None:
    largest = 5 * 2**40
    assert part_size(largest) * 10_000 >= largest
    assert part_size(largest) % 2**20 == 0


def test_the_appended_number_of_parts_is_ignored(
    filled: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # S3 answers `<checksum>-<parts>` for objects of several parts, moto does not.
    item = an_item(tmp_path)
    upload(filled, [item], silent, overwrite=False)
    read = filled.read

    def as_s3(service: str, operation: str, **request: Any) -> dict[str, Any]:
        answer = read(service, operation, **request)
        if operation == "head_object":
            answer["ChecksumSHA256"] += "-3"
        return answer

    monkeypatch.setattr(filled, "read", as_s3)
    assert upload(filled, [item], silent, overwrite=False) == []


def test_other_content_is_replaced_only_with_overwrite(filled: Cloud, tmp_path: Path) -> None:
    first = an_item(tmp_path)
    upload(filled, [first], silent, overwrite=False)
    changed = an_item(tmp_path, MP4[:-1] + b"!")
    other = Upload(tmp_path / "a.mp4", "input/new.mp4", "video/mp4")
    with pytest.raises(UsageError, match=r"other content in videos: input/a\.mp4; .+overwrite"):
        upload(filled, [other, changed], silent, overwrite=False)
    assert keys(filled) == ["input/a.mp4"]
    assert body(filled, "input/a.mp4") == MP4
    assert upload(filled, [changed], silent, overwrite=True) == [changed]
    assert body(filled, "input/a.mp4").endswith(b"!")


def test_an_object_without_checksum_does_not_count_as_the_file(
    filled: Cloud, tmp_path: Path
) -> None:
    item = an_item(tmp_path)
    filled.client("s3").put_object(Bucket=BUCKET, Key=item.key, Body=MP4[::-1])
    with pytest.raises(UsageError, match="with other content"):
        upload(filled, [item], silent, overwrite=False)


def test_the_object_of_a_changing_file_is_deleted(filled: Cloud, tmp_path: Path) -> None:
    item = an_item(tmp_path)

    @contextmanager
    def changing(item: Upload, size: int) -> Iterator[Progress]:
        item.path.write_bytes(MP4[::-1])
        yield lambda _: None

    with pytest.raises(CloudError, match=r"a\.mp4: the uploaded object differs from the file"):
        upload(filled, [item], changing, overwrite=False)
    assert keys(filled) == []


def test_parts_of_an_interrupted_upload_are_deleted(filled: Cloud, tmp_path: Path) -> None:
    item = an_item(tmp_path)
    s3 = filled.client("s3")
    for key in (item.key, item.key + ".other", "elsewhere"):
        s3.create_multipart_upload(Bucket=BUCKET, Key=key)
    upload(filled, [item], silent, overwrite=False)
    left = s3.list_multipart_uploads(Bucket=BUCKET)["Uploads"]
    assert sorted(one["Key"] for one in left) == ["elsewhere", "input/a.mp4.other"]


def test_an_interrupted_upload_leaves_nothing_and_can_be_resumed(
    filled: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "PART", SMALLEST)
    small = an_item(tmp_path)
    path = tmp_path / "large.mp4"
    path.write_bytes(os.urandom(3 * SMALLEST))
    large = Upload(path, "input/large.mp4", "video/mp4")

    pressed: list[Upload] = []
    noticed = threading.Event()

    def notice(number: int, frame: FrameType | None) -> None:
        noticed.set()
        signal.default_int_handler(number, frame)

    @contextmanager
    def interrupted(item: Upload, size: int) -> Iterator[Progress]:
        def press(_: int) -> None:
            """Called by a sending thread, which continues after the main thread was interrupted."""
            if item == large and not pressed:
                pressed.append(item)
                main = threading.main_thread().ident
                assert main is not None
                signal.pthread_kill(main, signal.SIGINT)
                assert noticed.wait(30)
                time.sleep(3.0)  # time to cancel the transfer, even on a busy machine

        yield press

    before = signal.signal(signal.SIGINT, notice)
    try:
        with pytest.raises(KeyboardInterrupt):
            upload(filled, [small, large], interrupted, overwrite=False)
    finally:
        signal.signal(signal.SIGINT, before)
    assert keys(filled) == [small.key]
    assert "Uploads" not in filled.client("s3").list_multipart_uploads(Bucket=BUCKET)
    assert upload(filled, [small, large], silent, overwrite=False) == [large]


def test_a_missing_bucket_is_a_one_line_error(cloud: Cloud, tmp_path: Path) -> None:
    nowhere = Cloud(Variables(bucket="nobodys-bucket"))
    with pytest.raises(CloudError, match=r"NoSuchBucket") as caught:
        upload(nowhere, [an_item(tmp_path)], silent, overwrite=False)
    assert "\n" not in str(caught.value)


def test_a_kms_key_encrypts(cloud: Cloud, tmp_path: Path) -> None:
    make_bucket(cloud)
    ours = Cloud(Variables(bucket=BUCKET, kms_key="alias/videos"))
    upload(ours, [an_item(tmp_path)], silent, overwrite=False)
    found = head_object(ours, "input/a.mp4")
    assert found is not None
    assert (found["ServerSideEncryption"], found["SSEKMSKeyId"]) == ("aws:kms", "alias/videos")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "bo").mkdir(parents=True)
    for name in ("bo/2.jpg", "bo/1.jpg", "al.jpg"):
        (folder / name).write_bytes(JPEG + name.encode())
    return folder


def test_photos_keep_their_folders_in_s3(photos: Path) -> None:
    items = find_people(photos, "people/")
    assert [(item.key, item.content_type) for item in items] == [
        ("people/al.jpg", "image/jpeg"),
        ("people/bo/1.jpg", "image/jpeg"),
        ("people/bo/2.jpg", "image/jpeg"),
    ]


def test_the_archive_unpacks_to_a_folder_of_people(photos: Path, tmp_path: Path) -> None:
    archive = tmp_path / "people.tar.gz"
    write_archive(photos, archive)
    with tarfile.open(archive) as tar:
        assert {(one.uid, one.gid, one.mtime, one.uname) for one in tar} == {(0, 0, 0, "")}
        tar.extractall(tmp_path / "model", filter="data")
    found = find_photos(tmp_path / "model" / "people")
    assert {name: len(paths) for name, paths in found.items()} == {"al": 1, "bo": 2}
    assert (tmp_path / "model/people/bo/1.jpg").read_bytes() == JPEG + b"bo/1.jpg"


def test_equal_photos_make_equal_archives(photos: Path, tmp_path: Path) -> None:
    write_archive(photos, tmp_path / "1.tar.gz")
    for path in photos.rglob("*"):
        os.utime(path, (1, 1))
    (photos / "al.jpg").chmod(0o600)
    write_archive(photos, tmp_path / "another-name.gz")
    first = (tmp_path / "1.tar.gz").read_bytes()
    assert first == (tmp_path / "another-name.gz").read_bytes()
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(first))) as tar:
        assert tar.getnames() == [
            "people",
            "people/bo",
            "people/al.jpg",
            "people/bo/1.jpg",
            "people/bo/2.jpg",
        ]


def test_a_folder_without_people_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PeopleError):
        find_people(tmp_path, "people/")


def test_the_command(
    filled: Cloud, run_command: Any, clip: Callable[[str], Clip], people: Path
) -> None:
    video = clip("calm").path
    args = ("upload", video, "--people", people, "--bucket", BUCKET)
    dry = run_command(*args, "--dry-run")
    assert dry.code == 0, dry.err
    asked = [json.loads(line)["request"] for line in dry.out.splitlines()]
    wanted = ["input/calm.mp4", "people/obama/obama2.jpg", "people/obama/obama3.jpg"]
    assert [one["Key"] for one in asked] == [*wanted, "people.tar.gz"]
    assert asked[0] == {
        "Filename": str(video),
        "Bucket": BUCKET,
        "Key": "input/calm.mp4",
        "ExtraArgs": {
            "ChecksumAlgorithm": "SHA256",
            "ContentType": "video/mp4",
            "Tagging": "face-blur%3Aproject=face-blur",
        },
    }
    assert keys(filled) == []
    sent = run_command(*args)
    assert sent.code == 0, sent.err
    everything = [f"s3://{BUCKET}/{key}" for key in (*wanted, "people.tar.gz")]
    assert sent.out.splitlines() == [f"uploaded {place}" for place in everything]
    assert body(filled, "input/calm.mp4") == video.read_bytes()
    again = run_command(*args)
    assert (again.code, again.err) == (0, "")
    assert again.out.splitlines() == [f"there {place}" for place in everything]


def test_photos_without_a_face_are_refused_before_anything_is_sent(
    filled: Cloud, run_command: Any, carphone: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "people"
    folder.mkdir()
    (folder / "nobody.jpg").write_bytes(JPEG)
    bad = run_command("upload", carphone, "--people", folder, "--bucket", BUCKET)
    assert bad.code == 2
    assert "nobody.jpg" in bad.err
    assert bad.err.endswith("1 of its files cannot be used; see above\n")
    assert keys(filled) == []
    filled.client("s3").put_object(Bucket=BUCKET, Key="people/gone.jpg", Body=JPEG)
    kept = tmp_path / "kept.tar.gz"
    args = ("--people", folder, "--bucket", BUCKET, "--no-check", "--archive", kept)
    refused = run_command("upload", *args)
    assert refused.code == 2
    assert "has 1 objects that are not in the folder, such as people/gone.jpg" in refused.err
    assert keys(filled) == ["people/gone.jpg"]
    sent = run_command("upload", *args, "--others", "keep")
    assert sent.code == 0, sent.err
    assert keys(filled) == ["people.tar.gz", "people/gone.jpg", "people/nobody.jpg"]
    # Somebody has withdrawn: no job may use that photo again.
    sent = run_command("upload", *args, "--others", "delete")
    assert sent.code == 0, sent.err
    assert keys(filled) == ["people.tar.gz", "people/nobody.jpg"]
    assert body(filled, "people.tar.gz") == kept.read_bytes()


def test_nothing_to_upload_is_an_error(run_command: Any) -> None:
    ended = run_command("upload")
    assert (ended.code, ended.err) == (
        2,
        "upload.py: error: nothing to upload: give videos, or --people\n",
    )
