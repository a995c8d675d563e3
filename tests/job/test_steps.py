"""The steps of the pipeline, each with its folders as SageMaker mounts them."""

import hashlib
import json
import os
import shutil
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from app.errors import ConfigError, FaceBlurError, MediaError, UsageError
from app.job import main
from app.job.pairs import named_files, pairs_text
from app.job.places import make_step_parser, result_name
from app.job.steps.joining import unpack
from app.job.steps.splitting import freeze_people, thaw_people
from app.pieces import split
from testmedia.clip import Clip, write_clip
from testmedia.fetch import fetch
from testmedia.smoke_media import scene
from testmedia.videos import numbers
from tests.pieces.split_videos import VIDEO, propose_inside_shots


def mounts(root: Path, source: Path, key: str = "input/a.mp4") -> Path:
    """Mount a file as SageMaker mounts an object of a manifest: with the whole key as its name."""
    place = root / "processing" / "input" / key
    place.parent.mkdir(parents=True)
    shutil.copyfile(source, place)
    (root / "output").mkdir()
    return root


def step(root: Path, name: str, *arguments: str, key: str = "input/a.mp4") -> int:
    words = ["step", name, f"--root={root}", f"--key={key}", "--prefix=input/", *arguments]
    return main(words)


def outputs(root: Path) -> set[str]:
    folder = root / "processing" / "output"
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def message(root: Path) -> str:
    return (root / "output" / "message").read_text(encoding="utf-8")


def multipart(media: bytes, plan: bytes) -> bytes:
    """Return an answer as the service writes it."""
    out = b""
    for name, file, content in (("media", "result.mp4", media), ("plan", "plan.json", plan)):
        out += b"--b1\r\nContent-Type: application/octet-stream\r\n"
        out += f'Content-Disposition: attachment; name="{name}"; filename="{file}"\r\n'.encode()
        out += f"Content-Length: {len(content)}\r\n\r\n".encode() + content + b"\r\n"
    return out + b"--b1--\r\n"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Clip:
    return write_clip(scene(), tmp_path_factory.mktemp("clip") / "clip.mp4")


def test_hide_publishes_result_plan_and_report(clip: Clip, tmp_path: Path) -> None:
    key = "input/monday/a.mp4"
    root = mounts(tmp_path / "ml", clip.path, key)
    assert step(root, "hide", key=key) == 0
    assert outputs(root) == {
        "monday/a.mp4",
        "plans/monday/a.mp4.plan.json",
        "reports/monday/a.mp4.json",
    }
    folder = root / "processing" / "output"
    report = json.loads((folder / "reports/monday/a.mp4.json").read_text())
    result = (folder / "monday/a.mp4").read_bytes()
    assert report["status"] == "done"
    assert report["result_sha256"] == hashlib.sha256(result).hexdigest()


def test_hide_publishes_nothing_of_a_damaged_video(clip: Clip, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    content = clip.path.read_bytes()
    broken.write_bytes(content[: len(content) // 2])
    root = mounts(tmp_path / "ml", broken)
    assert step(root, "hide") != 0
    assert outputs(root) == set()
    assert "the video" in message(root)
    assert str(tmp_path) not in message(root)


@pytest.mark.parametrize("name", ["hide", "split"])
def test_a_long_video_is_refused(
    name: str, clip: Clip, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACE_BLUR_MAX_SECONDS", "0.5")
    root = mounts(tmp_path / "ml", clip.path)
    assert step(root, name) != 0
    assert outputs(root) == set()
    assert "0.5 s are allowed" in message(root)


def test_split_keeps_a_video_without_a_cut_whole(clip: Clip, tmp_path: Path) -> None:
    root = mounts(tmp_path / "ml", clip.path)
    assert step(root, "split", "--seconds=1") == 0
    assert outputs(root) == {"look.json", "model.tar.gz"}
    look = json.loads((root / "processing/output/look.json").read_text())
    assert (look["pieces"], look["instances"]) == (1, 1)


def test_split_keeps_an_image_whole(tmp_path: Path) -> None:
    root = mounts(tmp_path / "ml", fetch("obama.jpg"))
    assert step(root, "split") == 0
    look = json.loads((root / "processing/output/look.json").read_text())
    assert (look["pieces"], look["why"]) == (1, "an image")


def test_photos_are_frozen_with_their_hashes(tmp_path: Path) -> None:
    photo = tmp_path / "people" / "Zoë" / "1.jpg"
    photo.parent.mkdir(parents=True)
    shutil.copyfile(fetch("obama.jpg"), photo)
    archive = tmp_path / "out" / "model.tar.gz"
    archive.parent.mkdir()
    freeze_people(tmp_path / "people", archive)
    content = photo.read_bytes()
    photo.write_bytes(b"another photo, later")
    folder = thaw_people(archive, tmp_path / "thawed")
    assert folder is not None
    assert (folder / "Zoë" / "1.jpg").read_bytes() == content
    with tarfile.open(archive) as tar:
        frozen = tar.extractfile("people.json")
        assert frozen is not None
        assert json.load(frozen) == {"Zoë/1.jpg": hashlib.sha256(content).hexdigest()}


@pytest.mark.parametrize("choice", ["listed", "others"])
def test_a_choice_of_people_needs_photos(
    choice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACE_BLUR_BLUR", choice)
    with pytest.raises(ConfigError, match=f"blur={choice} needs people"):
        freeze_people(tmp_path / "people", tmp_path / "model.tar.gz")


def test_an_answer_is_unpacked(tmp_path: Path) -> None:
    answer = tmp_path / "a.out"
    media = b"\r\n--b1\r\n in the media \r\n--b1--\r\n" * 3
    answer.write_bytes(multipart(media, b"{}"))
    unpack(answer, tmp_path / "media", tmp_path / "plan")
    assert (tmp_path / "media").read_bytes() == media
    assert (tmp_path / "plan").read_bytes() == b"{}"


@pytest.mark.parametrize("kept", [0, 1, 40, 200, -3, -9, -60])
def test_an_answer_that_is_cut_off_is_refused(kept: int, tmp_path: Path) -> None:
    answer = tmp_path / "a.out"
    answer.write_bytes(multipart(b"media", b"{}")[:kept])
    with pytest.raises(MediaError):
        unpack(answer, tmp_path / "media", tmp_path / "plan")


def test_verify_publishes_nothing_in_which_a_face_can_be_seen(clip: Clip, tmp_path: Path) -> None:
    root = mounts(tmp_path / "ml", clip.path)
    assert step(root, "hide") == 0
    plan = root / "processing/output/plans/a.mp4.plan.json"
    second = mounts(tmp_path / "second", clip.path)
    processing = second / "processing"
    (processing / "joined").mkdir()
    (processing / "split").mkdir()
    shutil.copyfile(plan, processing / "joined" / "plan.json")
    freeze_people(tmp_path / "nobody", processing / "split" / "model.tar.gz")
    # The source instead of the result: every face is visible.
    shutil.copyfile(clip.path, processing / "joined" / "joined.mp4")
    assert step(second, "verify") == 3
    assert outputs(second) == set()
    assert "findings in the joined video" in message(second)
    shutil.copyfile(root / "processing/output/a.mp4", processing / "joined" / "joined.mp4")
    assert step(second, "verify") == 0
    assert outputs(second) == {"a.mp4", "plans/a.mp4.plan.json", "reports/a.mp4.json"}


def test_join_refuses_pieces_that_were_not_processed(tmp_path: Path) -> None:
    source = replace(VIDEO, count=60).write(tmp_path / "a.mp4")
    root = mounts(tmp_path / "ml", source)
    manifest = split(propose_inside_shots(source, 3), root / "processing" / "split")
    answers = root / "processing" / "answers"
    answers.mkdir()
    for piece in manifest.pieces:
        content = (root / "processing" / "split" / piece.file).read_bytes()
        (answers / f"{piece.file}.out").write_bytes(multipart(content, b"{}"))
    assert step(root, "join") != 0
    assert outputs(root) == set()
    assert len(numbers(source)) == 60


@pytest.mark.parametrize("key", ["input/../a.mp4", "input/", "input//a.mp4", "/a.mp4", "input/./a"])
def test_keys_that_would_leave_the_folder_are_refused(key: str) -> None:
    with pytest.raises(UsageError):
        result_name(key, "input/")


def test_a_step_needs_exactly_one_file(clip: Clip, tmp_path: Path) -> None:
    root = mounts(tmp_path / "ml", clip.path)
    shutil.copyfile(clip.path, root / "processing" / "input" / "b.mp4")
    assert step(root, "hide") == 2
    assert message(root) == "the input has 2 files, not one; see its manifest"


def test_doctor_writes_what_the_machine_and_the_folders_have(tmp_path: Path) -> None:
    inputs = tmp_path / "processing" / "input"
    (inputs / "more").mkdir(parents=True)
    (inputs / "more" / "a.mp4").write_bytes(b"a")
    (tmp_path / "output").mkdir()
    assert main(["step", "doctor", f"--root={tmp_path}"]) == 0
    facts = json.loads((tmp_path / "processing/output/doctor.json").read_text())
    found = facts["folders"]["input"]
    assert (found["files"], found["names"], found["writable"]) == (1, ["more/a.mp4"], True)
    assert found["free_bytes"] > 0
    assert (facts["uid"], facts["faults"]) == (os.getuid(), [])


def test_the_job_writes_the_facts_before_its_work(clip: Clip, tmp_path: Path) -> None:
    """Also if nothing else succeeds: that is when they are needed."""
    root = mounts(tmp_path, clip.path)
    (root / "processing/input/input/a.mp4").write_bytes(b"no video")
    assert main([f"--root={root}", "--doctor"]) == 1
    facts = json.loads((root / "processing/output/doctor.json").read_text())
    assert facts["folders"]["input"]["names"] == ["input/a.mp4"]
    assert outputs(root) >= {"doctor.json", "reports/local.jsonl"}


def test_a_step_on_a_file_needs_its_key(clip: Clip, tmp_path: Path) -> None:
    root = mounts(tmp_path, clip.path)
    assert main(["step", "hide", f"--root={root}"]) == 2
    assert message(root) == "the step works on one file; give its --key"


def test_an_unknown_step_is_refused() -> None:
    with pytest.raises(FaceBlurError):
        make_step_parser().parse_args(["blur", "--key=a"])


def verified(root: Path) -> list[dict[str, object]]:
    """Run the step ``verify-results``; return the lines of its report."""
    assert main(["step", "verify-results", f"--root={root}"]) == 0
    text = (root / "processing/output/verification.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def listed(root: Path, files: dict[str, Path]) -> Path:
    """Mount files by their folder and name, and the list of the only pair."""
    (root / "output").mkdir(parents=True)
    row = {"source_etag": '"1"', "result_etag": '"2"', "source": "in/a.mp4", "result": "out/a.mp4"}
    if "plans/a.plan.json" in files:
        row |= {"plan": "out/a.plan.json", "plan_etag": '"3"'}
    for name, path in files.items():
        target = root / "processing" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    folder = root / "processing" / "pairs"
    folder.mkdir()
    (folder / "pairs.json").write_text(pairs_text("in/", "out/", "out/", [row]))
    return root


def test_results_are_verified_with_and_without_a_plan(clip: Clip, tmp_path: Path) -> None:
    made = mounts(tmp_path / "made", clip.path)
    assert step(made, "hide") == 0
    output = made / "processing" / "output"
    good, plan = output / "a.mp4", output / "plans" / "a.mp4.plan.json"
    pair = {"input/a.mp4": clip.path, "results/a.mp4": good}
    for number, files in enumerate((pair, pair | {"plans/a.plan.json": plan})):
        (line,) = verified(listed(tmp_path / str(number), files))
        assert (line["status"], line["frames"], line["suffix"]) == ("good", 30, ".mp4")
        assert (line["source_etag"], line["result_etag"]) == ('"1"', '"2"')
        assert line["result_sha256"] == hashlib.sha256(good.read_bytes()).hexdigest()
        assert line["source_sha256"] == hashlib.sha256(clip.path.read_bytes()).hexdigest()
    files = pair | {"results/a.mp4": tmp_path / "other.mp4"}
    write_clip(scene(), tmp_path / "other.mp4", preset="ultrafast")
    (line,) = verified(listed(tmp_path / "bad", files))
    assert (line["status"], line["code"]) == ("bad", "not_hidden")
    assert str(tmp_path) not in json.dumps(line)


def test_a_list_that_does_not_name_the_files_is_refused(clip: Clip, tmp_path: Path) -> None:
    """Otherwise a result could be taken for that of another source."""
    files = {"input/a.mp4": clip.path, "results/b.mp4": clip.path}
    root = listed(tmp_path / "ml", files)
    assert main(["step", "verify-results", f"--root={root}"]) == 2
    assert message(root) == "results: its files are not those of the list of results"
    assert outputs(root) == set()


@pytest.mark.parametrize("prefix", ["", "in/", "in/monday/"])
def test_files_are_found_by_keys_without_any_part_of_their_prefix(
    prefix: str, tmp_path: Path
) -> None:
    keys = ["in/monday/a.mp4", "in/monday/in/monday/a.mp4"]
    for key in keys:
        path = tmp_path / key.removeprefix(prefix)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(key)
    found = named_files(tmp_path, keys, "in/monday/")
    assert {key: path.read_text() for key, path in found.items()} == {key: key for key in keys}
