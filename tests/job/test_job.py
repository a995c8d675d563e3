"""The job on a folder of files."""

import hashlib
import json
import os
import resource
import shutil
import tempfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from app.plan import NO_FACE_FOUND, read_plan
from app.types import Image as Pixels
from app.video import open_source
from testmedia.clip import Clip
from testmedia.fetch import fetch
from tests.job.job_process import Mounts, drop_write_override

Clips = Callable[[str], Clip]


@pytest.fixture
def mounts(tmp_path: Path) -> Mounts:
    return Mounts(tmp_path / "ml")


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def frames(path: Path) -> list[Pixels]:
    return [frame.rgb() for frame in open_source(path)]


def write_program_stream(path: Path) -> None:
    """Write a video in a format that is read but not written."""
    with av.open(str(path), "w", format="mpeg") as container:
        stream = container.add_stream("mpeg2video", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 128, "yuv420p"
        for number in range(10):
            grey = np.full((128, 160, 3), 20 * number, np.uint8)
            frame = av.VideoFrame.from_ndarray(grey, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def add_various_inputs(mounts: Mounts, calm: Clip, people: Path) -> None:
    """Add valid, broken and hidden files."""
    mounts.add_input(calm.path, "Day 1/interview, take 2.mp4")
    mounts.add_input(calm.path, "no suffix")
    mounts.add_input(fetch("obama.jpg"), "photos/b.jpeg")
    mounts.add_input(fetch("biden.jpg"), os.fsdecode(b"photos/caf\xe9.jpg"))
    write_program_stream(mounts.input / "old.mpg")
    mounts.add_input(fetch("carphone.mp4"), ".trash/private.mp4")
    mounts.add_input(fetch("carphone.mp4"), ".private.mp4")
    mounts.add_input(fetch("obama.jpg"), "photos/@eaDir/b.jpeg/SYNOFILE_THUMB_M.jpg")
    (mounts.input / "Thumbs.db").write_bytes(b"no media")
    (mounts.input / "notes.txt").write_text("of alice")
    (mounts.input / "empty.mp4").touch()
    (mounts.input / "cut.mp4").write_bytes(calm.path.read_bytes()[:20_000])
    (mounts.input / "gone.mp4").symlink_to(mounts.input / "nowhere")
    os.mkfifo(mounts.input / "pipe.mp4")
    shutil.copytree(people, mounts.people)


def test_every_valid_file_is_processed(mounts: Mounts, clip: Clips, people: Path) -> None:
    calm = clip("calm")
    add_various_inputs(mounts, calm, people)
    mounts.set_host("algo-1")

    end = mounts.run(effect="solid", shape="rectangle")

    assert end.code == 1
    lines = mounts.lines("algo-1")
    outputs = {
        "Day 1/interview, take 2.mp4": "Day 1/interview, take 2.mp4",
        "no suffix": "no suffix.mp4",
        "photos/b.jpeg": "photos/b.jpeg",
        os.fsdecode(b"photos/caf\xe9.jpg"): os.fsdecode(b"photos/caf\xe9.jpg"),
        "old.mpg": "old.mpg.mkv",
    }
    done = {name: line for name, line in lines.items() if line["status"] == "done"}
    assert {name: line["output"] for name, line in done.items()} == outputs
    plans = {f"plans/{name}.plan.json" for name in outputs}
    assert mounts.outputs().keys() == plans | set(outputs.values())
    for name, line in done.items():
        assert line["source_sha256"] == sha256(mounts.input / name)
        assert line["result_sha256"] == sha256(mounts.output / line["output"])
        assert line["bytes"] == (mounts.output / line["output"]).stat().st_size
        assert line["plan_sha256"] == sha256(mounts.output / line["plan"])
        assert read_plan(mounts.output / line["plan"]).source.sha256 == line["source_sha256"]
    assert len(done["old.mpg"]["warnings"]) > 1
    assert done["old.mpg"]["warnings"][-1] == NO_FACE_FOUND
    assert done["old.mpg"]["frames"] == len(frames(mounts.output / "old.mpg.mkv")) == 10

    failed = {name: line["code"] for name, line in lines.items() if line["status"] == "failed"}
    broken = dict.fromkeys(("empty.mp4", "cut.mp4", "gone.mp4", "pipe.mp4"), "broken_media")
    assert failed == broken | {"notes.txt": "unsupported_media"}
    skipped = {name: line["code"] for name, line in lines.items() if line["status"] == "skipped"}
    assert skipped == {
        **dict.fromkeys((".trash/private.mp4", ".private.mp4"), "hidden"),
        **dict.fromkeys(("photos/@eaDir/b.jpeg/SYNOFILE_THUMB_M.jpg", "Thumbs.db"), "system"),
    }
    assert lines["empty.mp4"]["message"].startswith("the file is empty")
    assert not any(str(mounts.root) in json.dumps(line) for line in lines.values())

    message = end.line("finished")["message"]
    assert message == (
        "5 of 10 files failed: broken_media 4, unsupported_media 1; see reports/algo-1.jsonl"
    )
    assert mounts.message.read_text() == message
    log = json.dumps(end.log)
    assert not any(word in log for word in ("interview", "obama", "alice", str(mounts.root)))

    # Listed people are hidden in every frame, and nobody else.
    result = frames(mounts.output / "Day 1" / "interview, take 2.mp4")
    assert len(result) == calm.truth.frames
    for face in calm.truth.faces:
        x, y = round(sum(face.box[::2]) / 2), round(sum(face.box[1::2]) / 2)
        middle = result[face.frame][y - 5 : y + 5, x - 5 : x + 5].mean()
        assert bool(middle < 30) is (face.person == "obama"), face


def test_everyone_is_hidden_without_a_gallery(mounts: Mounts, clip: Clips) -> None:
    mounts.add_input(clip("calm").path)
    mounts.people.mkdir()
    (mounts.people / ".DS_Store").touch()
    end = mounts.run()
    ready = end.line("ready")
    assert (end.code, ready["people"]) == (0, 0)
    assert (ready["uid"], ready["spool"]) == (os.getuid(), tempfile.gettempdir())
    assert ready["free_bytes"] > 0
    line = mounts.lines()["calm.mp4"]
    assert (line["hidden"], line["people"]) == (2, 0)
    devices = ("device", "provider", "driver", "encoder")
    assert {name: line[name] for name in devices} == {name: ready[name] for name in devices}
    assert (line["device"] == "cpu") == (line["provider"] == "CPUExecutionProvider")
    assert line["encoder"] == "software"
    assert read_plan(mounts.output / line["plan"]).models.recogniser is None
    assert not mounts.message.exists()


def test_an_empty_input_succeeds(mounts: Mounts) -> None:
    end = mounts.run(blur="everyone", people="s3://nobody/asks")
    assert (end.code, end.line("ready")["files"]) == (0, 0)
    assert end.line("finished")["message"] == "0 of 0 files done"


def test_an_unusable_photo_fails_the_job(mounts: Mounts) -> None:
    mounts.add_input(fetch("obama.jpg"))
    mounts.people.mkdir()
    Image.new("RGB", (200, 200)).save(mounts.people / "alice.jpg")
    end = mounts.run()
    assert end.code == 2
    assert end.line("job failed")["code"] == "bad_people"
    message = "photo 1 of people: no face found"
    assert end.line("job failed")["message"].startswith(message)
    assert mounts.message.read_text().startswith(message)
    assert "alice" not in json.dumps(end.log)
    assert mounts.outputs() == {}
    assert mounts.begun_files() == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"margin": "7"}, "margin: "),
        ({"margins": "1"}, "unknown environment variable"),
        ({"people": "{root}/nowhere"}, "the folder of people: no such folder"),
    ],
)
def test_wrong_settings_are_reported_before_any_work(
    mounts: Mounts, settings: dict[str, str], message: str
) -> None:
    mounts.add_input(fetch("obama.jpg"))
    named = {key: value.format(root=mounts.root) for key, value in settings.items()}
    end = mounts.run(**named)
    assert end.code == 2
    assert message in end.line("job failed")["message"]
    assert message in mounts.message.read_text()
    assert str(mounts.root) not in json.dumps(end.log)
    assert mounts.outputs() == {}


def test_an_output_that_is_not_writable_is_reported_before_loading(
    mounts: Mounts, tmp_path: Path
) -> None:
    mounts.add_input(fetch("obama.jpg"))
    mounts.output.mkdir()
    mounts.output.chmod(0o555)
    mounts.prepare_process = drop_write_override
    end = mounts.run(models_root=tmp_path)
    assert end.code == 2
    message = end.line("job failed")["message"]
    assert message.startswith(f"the output is not writable for user {os.getuid()}")
    assert "USER_ID=0" in message
    assert list(mounts.output.iterdir()) == []


def test_models_that_do_not_exist_fail_the_job(mounts: Mounts) -> None:
    mounts.add_input(fetch("obama.jpg"))
    end = mounts.run(models="none")
    assert end.code == 2
    assert end.line("job failed")["code"] == "bad_option"
    assert mounts.outputs() == {}


def test_a_full_disk_fails_one_file_only(mounts: Mounts) -> None:
    mounts.add_input(fetch("obama.jpg"), "1.jpg")
    mounts.add_input(fetch("carphone.mp4"), "2.mp4")

    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))

    mounts.prepare_process = small_files
    end = mounts.run()
    assert end.code == 1
    lines = mounts.lines()
    assert (lines["1.jpg"]["status"], lines["1.jpg"]["code"]) == ("failed", "disk_full")
    assert lines["2.mp4"]["status"] == "done"
    assert mounts.outputs().keys() == {"2.mp4", "plans/2.mp4.plan.json"}


def test_existing_files_are_not_overwritten(mounts: Mounts) -> None:
    mounts.add_input(fetch("obama.jpg"), "a.jpg")
    mounts.add_input(fetch("obama.jpg"), "b")
    mounts.add_input(fetch("biden.jpg"), "b.jpg")
    mounts.output.mkdir()
    (mounts.output / "a.jpg").write_text("another file")
    end = mounts.run()
    assert end.code == 1
    codes = {name: (line["status"], line["code"]) for name, line in mounts.lines().items()}
    assert codes == {
        "a.jpg": ("failed", "bad_output"),
        "b": ("failed", "bad_output"),
        "b.jpg": ("done", "ok"),
    }
    assert (mounts.output / "a.jpg").read_text() == "another file"
    assert mounts.outputs().keys() == {"a.jpg", "b.jpg", "plans/b.jpg.plan.json"}
